"""The suite as tests of another project: one line in a test file gives one test per rule.

from aioservicekit_conformance.as_tests import conformance

test_channel = conformance("my_package.channels")
"""

import os
import pickle
import re
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

from aioservicekit_model.rules import RULES

from .judging import judge
from .report.wording import KEY
from .target import load
from .verdicts import Report, Verdict

__all__ = ["assert_kept", "conformance"]

ABANDONED = 600  # seconds after which a process that judges for others is considered dead


def conformance(
    target: str, *, known_failing: Iterable[str] = (), max_examples: int = 2000, seed: int = 0
) -> Callable[[str, pytest.TempPathFactory], None]:
    """Make a test function for pytest, with one case per rule. The target is judged only once, even in several processes.

    Args:
        target: `module` or `module:attribute`, as on the command line.
        known_failing: rules that are expected to fail; if one of them passes, its test fails.
        max_examples: the number of cases to make, 1 or more.
        seed: the same seed makes the same cases.

    Raises:
        ValueError: `known_failing` names a rule that does not exist.
    """
    known = frozenset(known_failing)
    if wrong := sorted(known - set(RULES)):
        raise ValueError(f"there is no rule {wrong[0]!r}; the rules are {next(iter(RULES))} to {list(RULES)[-1]}")

    def marked(rule: str) -> object:
        return pytest.param(
            rule, marks=[pytest.mark.xfail(strict=True, reason="known to fail")] if rule in known else []
        )

    @pytest.mark.parametrize("rule", [marked(rule) for rule in RULES])
    def test(rule: str, tmp_path_factory: pytest.TempPathFactory) -> None:
        assert_kept(target, rule, max_examples, seed, tmp_path_factory)

    return test


def assert_kept(
    target: str, rule: str, max_examples: int = 2000, seed: int = 0, factory: pytest.TempPathFactory | None = None
) -> None:
    """Fail the running test unless the target keeps the rule; skip it if the rule was not requested.

    Args:
        factory: in a run with several processes, gives a folder that they share, so that one judges the target for all.
    """
    shared = factory.getbasetemp().parent if factory and "PYTEST_XDIST_TESTRUNUID" in os.environ else None
    report = _judged_once(target, max_examples, seed, shared)
    verdict = next(each for each in report.verdicts if each.rule == rule)
    said = "\n".join(_report(verdict)) if verdict.verdict == "fail" else f"{verdict.verdict}: {verdict.evidence}"
    match report.status(verdict):
        case "skipped":
            pytest.skip(said)
        case "failed":
            pytest.fail(said, pytrace=False)


@cache
def _judged_once(target: str, max_examples: int, seed: int, shared: Path | None) -> Report:
    """The report of a target, made by the first process of a run that requests it."""
    if shared is None:
        return _judged(target, max_examples, seed)
    run = os.environ["PYTEST_XDIST_TESTRUNUID"]  # a nested run may share its folder with others
    name = re.sub(r"\W", "-", f"conformance {target} {max_examples} {seed} {run}")
    begun, done = (shared / f"{name}.{state}" for state in ("begun", "done"))
    try:
        begun.touch(exist_ok=False)
    except FileExistsError:
        while not done.exists():
            if time.time() - begun.stat().st_mtime > ABANDONED:
                return _judged(target, max_examples, seed)
            time.sleep(0.1)
        report: Report = pickle.loads(done.read_bytes())
        return report
    report = _judged(target, max_examples, seed)
    partly = done.with_suffix(".partly")
    partly.write_bytes(pickle.dumps(report))
    partly.replace(done)
    return report


def _judged(target: str, max_examples: int, seed: int) -> Report:
    return judge(load(target), frozenset(RULES), max_examples, seed)


def _report(verdict: Verdict) -> list[str]:
    rule = RULES[verdict.rule]
    history = ["", *verdict.history, "", KEY] if verdict.history else []
    because = [f"because: {verdict.because}"] if verdict.because else []
    return [
        f"{rule.id} {rule.title}: {rule.sentence}",
        *(f"broken: {clause}" for clause in verdict.clauses),
        f"expected: {verdict.expected}",
        f"observed: {verdict.observed}",
        *because,
        *history,
        *("", "to replay:", "", *verdict.replay.splitlines()),
        "",
        f"look at: {rule.look_at}",
    ]
