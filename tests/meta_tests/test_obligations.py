"""A failure says which obligation of its rule was broken, if the rule has several."""

import io

import pytest
from channels.defective import DEFECTS
from rich.console import Console

from aioservicekit_conformance.checks.registry import CHECKS
from aioservicekit_conformance.checks.runner import run_check
from aioservicekit_conformance.judging import SAME_HISTORIES, judge
from aioservicekit_conformance.report.html import as_html
from aioservicekit_conformance.report.machine_readable import as_json, as_junit
from aioservicekit_conformance.report.terminal import print_report
from aioservicekit_conformance.target import describe
from aioservicekit_conformance.verdicts import NOT_JUDGED, UNTESTED, Report, Verdict
from aioservicekit_model.channel.relaxed import OBLIGATIONS_OF_THE_MACHINE
from aioservicekit_model.rules import RULES


def test_each_check_judges_one_obligation() -> None:
    """A check names its rule, with the letter of a clause if the rule has several."""
    wrong = [
        check.obligation
        for check in CHECKS
        if check.obligation not in {f"{check.rule}{letter}" for letter in RULES[check.rule].obligations or ("",)}
    ]
    assert wrong == []


def test_every_obligation_is_judged_or_named_as_not_judged() -> None:
    """Cases, checks or live runs judge each clause; a pass names those that nothing judges."""
    judged = OBLIGATIONS_OF_THE_MACHINE | {check.obligation for check in CHECKS} | UNTESTED.keys()
    judged |= {f"{rule}a" for rule in SAME_HISTORIES}
    obligations = {f"{rule}{letter}" for rule, text in RULES.items() for letter in text.obligations or ("",)}
    left = {each[:-1]: each[-1] for each in obligations - judged}
    assert left.keys() == NOT_JUDGED.keys()
    for rule, letter in left.items():
        verdict = Verdict.passed(rule, 1, "")
        assert f"clause ({letter})" in verdict.evidence
        assert f"clause ({letter})" in printed(Report("theirs", (verdict,), 1, {}))


def printed(report: Report) -> str:
    """What the terminal shows of a report, on one line."""
    terminal = Console(file=io.StringIO(), width=200)
    print_report(terminal, report, seed=0)
    assert isinstance(terminal.file, io.StringIO)
    return " ".join(terminal.file.getvalue().split())


@pytest.mark.parametrize(
    ("defect", "obligation"),
    [
        ("refuses_types_with_value_error", "CH-2.3a"),
        ("accepts_a_negative_own_size", "CH-2.3a"),
        ("registers_before_it_checks", "CH-2.3b"),
        ("committed_sends_forget_the_request", "CH-3.9b"),
        ("iteration_ends_early", "CH-4.7a"),
        ("iteration_never_ends", "CH-4.7b"),
    ],
)
def test_a_check_finds_its_obligation_broken_and_no_other(defect: str, obligation: str) -> None:
    """The checks that refuse a planted defect belong to the clause that it breaks."""
    target = describe(defect, DEFECTS[defect].target)
    checks = [check for check in CHECKS if check.rule == DEFECTS[defect].rule]
    assert {check.obligation for check in checks if run_check(check, target)} == {obligation}


@pytest.fixture(scope="module")
def report() -> Report:
    name = "registers_before_it_checks"
    return judge(describe(name, DEFECTS[name].target), frozenset({"CH-2.3"}), 1, 0)


def test_every_form_of_the_report_shows_the_clause(report: Report) -> None:
    """The terminal, JSON, JUnit and the page tell which clause is broken, in the specification's words."""
    (verdict,) = report.verdicts
    clause = f"CH-2.3b: {RULES['CH-2.3'].obligations['b']}"
    assert (verdict.verdict, verdict.clauses) == ("fail", (clause,))

    assert f"broken: {clause}" in printed(report)

    (rule,) = as_json([report], version="1")["targets"][0]["rules"]
    assert rule["obligations"] == ("CH-2.3b",)

    failure = as_junit([report]).find(".//failure")
    assert failure is not None
    assert failure.text is not None
    assert clause in failure.text.splitlines()

    page = as_html([report], version="1", seed=0)
    assert f"<dt>broken</dt><dd>{clause}</dd>" in page


def test_clauses_that_explain_a_failure_alike_are_alternatives(report: Report) -> None:
    """Where either of two clauses explains a failure, the terminal and the page say so."""
    (verdict,) = report.verdicts
    told = report._replace(verdicts=(verdict._replace(obligations=("CH-2.3a", "CH-2.3b")),))
    first, second = (f"CH-2.3{letter}: {RULES['CH-2.3'].obligations[letter]}" for letter in "ab")
    assert f"broken: {first} or: {second}" in printed(told)
    page = as_html([told], version="1", seed=0)
    assert page.count("<dt>broken</dt>") == 1
    assert f"<dt>or</dt><dd>{second}</dd>" in page


def test_a_rule_with_one_obligation_has_no_clauses() -> None:
    """A failure of a rule without letters names only the rule."""
    name = next(name for name, defect in DEFECTS.items() if defect.rule == "CH-2.6")
    target = describe(name, DEFECTS[name].target)
    (verdict,) = judge(target, frozenset({"CH-2.6"}), 150, 0).verdicts
    assert (verdict.verdict, verdict.obligations, verdict.clauses) == ("fail", (), ())
