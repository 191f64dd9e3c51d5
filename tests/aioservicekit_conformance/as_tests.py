"""The suite as tests of somebody else's project: one line in a test file gives a test a rule.

from aioservicekit_conformance.as_tests import conformance

test_channel = conformance("my_package.channels")
"""

from collections.abc import Callable, Iterable
from functools import cache

import pytest

from aioservicekit_model.rules import RULES

from .target import load
from .verdict import Verdict, judge

__all__ = ["assert_kept", "conformance"]


def conformance(
    target: str, *, known_failing: Iterable[str] = (), max_examples: int = 2000, seed: int = 0
) -> Callable[[str], None]:
    """A test function for pytest, with a case for each rule; the target is judged once, in each process that runs any.

    Args:
        target: `module` or `module:attribute`, as on the command line.
        known_failing: rules that are expected to fail; one of them that passes fails its test.
        max_examples: how many cases to make, 1 or more.
        seed: the same seed makes the same cases.

    Raises:
        ValueError: there is no such rule as one of `known_failing`.
    """
    known = frozenset(known_failing)
    if wrong := sorted(known - set(RULES)):
        raise ValueError(f"there is no rule {wrong[0]!r}; the rules are {next(iter(RULES))} to {list(RULES)[-1]}")

    def marked(rule: str) -> object:
        return pytest.param(
            rule, marks=[pytest.mark.xfail(strict=True, reason="known to fail")] if rule in known else []
        )

    @pytest.mark.parametrize("rule", [marked(rule) for rule in RULES])
    def test(rule: str) -> None:
        assert_kept(target, rule, max_examples, seed)

    return test


def assert_kept(target: str, rule: str, max_examples: int = 2000, seed: int = 0) -> None:
    """Fail the test that runs if the target breaks the rule, and skip it if that could not be judged."""
    verdict = _verdicts(target, max_examples, seed)[rule]
    if verdict.verdict in ("untested", "unsupported"):
        pytest.skip(verdict.evidence)
    if verdict.verdict == "fail":
        pytest.fail("\n".join(_report(verdict)), pytrace=False)


@cache
def _verdicts(target: str, max_examples: int, seed: int) -> dict[str, Verdict]:
    report = judge(load(target), frozenset(RULES), max_examples, seed)
    return {verdict.rule: verdict for verdict in report.verdicts}


def _report(verdict: Verdict) -> list[str]:
    rule = RULES[verdict.rule]
    history = ["", *verdict.history] if verdict.history else []
    return [
        f"{rule.id} {rule.title}: {rule.sentence}",
        f"expected: {verdict.expected}",
        f"observed: {verdict.observed}",
        *history,
        *("", "to replay:", "", *verdict.replay.splitlines()),
        "",
        f"look at: {rule.look_at}",
    ]
