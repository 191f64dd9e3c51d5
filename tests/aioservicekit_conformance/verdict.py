"""Verdicts: what exploring and the named checks say of each rule."""

import gc
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from aioservicekit_model.channel import RULES_OF_THE_TABLE, Op, State, overdue
from aioservicekit_model.checker import blame, histories_states
from aioservicekit_model.history import Event
from aioservicekit_model.rules import RULES, Level

from .care import CHECKS
from .case import REACHED, Case
from .checks import OPTIONAL, UNTESTED, Broken, NotTakenOn
from .judge import STEPS, UNEXPLAINED, Exploration, explore, shrink, silent
from .moments import Moment, describe_call, moments
from .replay import KeptFailure, as_program, as_text, broken, program_of_check
from .target import Target

__all__ = ["Report", "Verdict", "judge"]


class Verdict(NamedTuple):
    """What is said of one rule.

    Attributes:
        verdict: "pass", "fail", "unsupported" (the target does what the suite can't drive) or "untested".
        cases: how many cases could have shown the rule broken.
        evidence: one line: what the verdict rests on.
        expected, observed: of a failure.
        history: of a failure, its shortest history, a line an event; empty where a named check failed.
        replay, program: of a failure, the file that replays it, and the program that shows it.
        moments: the same history, to be drawn.
    """

    rule: str
    level: Level
    verdict: str
    cases: int
    evidence: str
    expected: str = ""
    observed: str = ""
    history: tuple[str, ...] = ()
    replay: str = ""
    program: str = ""
    moments: tuple[Moment, ...] = ()


class Report(NamedTuple):
    target: str
    verdicts: tuple[Verdict, ...]
    explored: int
    reached: dict[str, int]

    @property
    def conforms(self) -> bool:
        """Every MUST holds, but for rules of CH-6 and CH-7 that are not tested, or that the target does not take on."""
        return all(
            v.verdict == "pass" or v.level is not Level.MUST or (v.verdict == "untested" and v.rule in OPTIONAL)
            for v in self.verdicts
        )

    def conforms_but_for(self, known_failing: frozenset[str]) -> bool:
        """As `conforms`, with known failures; but one of these that passes does not."""
        judged = [v for v in self.verdicts if v.rule not in known_failing]
        stale = [v for v in self.verdicts if v.rule in known_failing and v.verdict == "pass"]
        return not stale and self._replace(verdicts=tuple(judged)).conforms


def judge(
    target: Target,
    rules: frozenset[str],
    max_examples: int,
    number: int,
    progress: Callable[[int, int], None] = silent,
) -> Report:
    """Judge a target by some of the rules.

    Args:
        rules: the ids of the rules that matter; of the others nothing is said.
        max_examples: how many cases to make.
        number: the seed; the same seed makes the same cases.
        progress: called with the number of cases made and that of all to be made.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # coroutines that a defective target never awaits, endpoints left open
        gc.freeze()  # the checks look for garbage often: none of it is older than they are
        try:
            return _judge(target, rules, max_examples, number, progress)
        finally:
            gc.unfreeze()
            gc.collect()  # what cases have left over is gone before anybody hears of it


def _judge(
    target: Target, rules: frozenset[str], max_examples: int, number: int, progress: Callable[[int, int], None]
) -> Report:
    found: dict[str, tuple[str, Broken]] = {}
    passed: dict[str, list[str]] = {}
    left_out: dict[str, str] = dict(UNTESTED)
    for check in CHECKS:
        if check.rule in rules:
            try:
                error = broken(check, target)
            except NotTakenOn as reason:
                left_out[check.rule] = str(reason)
            else:
                if error is not None:
                    found.setdefault(check.rule, (check.name, error))
                else:
                    passed.setdefault(check.rule, []).append(check.name)
    if rules & RULES_OF_THE_TABLE:
        exploration = explore(target, max_examples, number, progress)
    else:
        exploration = Exploration()
    failed = _failures(target, exploration)
    verdicts = tuple(
        _verdict(
            target.name, rule, exploration, failed.get(rule), found.get(rule), left_out.get(rule), passed.get(rule, [])
        )
        for rule in RULES
        if rule in rules
    )
    reached = {what: exploration.reached[what] for what in REACHED}
    return Report(target.name, verdicts, exploration.cases, reached)


def _failures(target: Target, exploration: Exploration) -> dict[str, Case]:
    failed = {rule: shrink(target, exploration.failure_of(rule), rule) for rule in exploration.blamed()}
    if not failed and exploration.unexplained:
        case = shrink(target, exploration.unexplained, UNEXPLAINED)
        failed[_rule_of(case)] = case
    return failed


def _rule_of(case: Case) -> str:
    """The rule to name where no single one explains a history: that of the kind of operation that did the impossible."""
    call = case.call_of(case.judged[-1])
    if call is None:
        return "CH-1.2"
    return {"send": "CH-3.1", "read": "CH-4.1", "next": "CH-4.7", "close": "CH-5.1"}.get(call.kind, "CH-2.1")


def _verdict(
    target: str,
    rule: str,
    exploration: Exploration,
    case: Case | None,
    found: tuple[str, Broken] | None,
    left_out: str | None,
    passed: list[str],
) -> Verdict:
    level = RULES[rule].level
    staked = exploration.staked[rule]
    if case is not None:
        expected, observed = explain(case)
        evidence = (
            f"refused after {case.operations} operations ({exploration.refused} of {exploration.cases} cases refused)"
        )
        others = blame(case.default_size, case.history) - {rule}
        if others:
            evidence += f"; this history alone could be blamed on {', '.join(sorted(others))} as well"
        failure = KeptFailure(target, rule, case.default_size, tuple(case.actions))
        return Verdict(
            *(rule, level, "fail", exploration.cases, evidence, expected, observed, tuple(timeline(case))),
            replay=as_text(failure),
            program=as_program(failure, case, expected, observed),
            moments=moments(case),
        )
    if found is not None:
        name, error = found
        failure = KeptFailure(target, rule, check=name)
        return Verdict(
            *(rule, level, "fail", 1, f"check: {name}", error.expected, error.observed),
            replay=as_text(failure),
            program=program_of_check(failure, error),
        )
    if left_out is not None:
        return Verdict(rule, level, "untested", 0, left_out)
    if exploration.escapes and not (passed and rule not in RULES_OF_THE_TABLE):
        escape, count = exploration.escapes.most_common(1)[0]
        return Verdict(
            rule, level, "unsupported", 0, f"the target uses {escape}, in {count} of {exploration.cases} cases"
        )
    if rule not in RULES_OF_THE_TABLE:
        return Verdict(rule, level, "pass", len(passed), f"check: {'; '.join(passed)}")
    if not staked:
        return Verdict(rule, level, "untested", 0, f"none of {exploration.sampled} cases could have broken it")
    evidence = f"could have broken in {staked} of {exploration.sampled} sampled cases of up to {STEPS} steps"
    if passed:
        evidence += f"; check: {'; '.join(passed)}"
    return Verdict(rule, level, "pass", staked, evidence)


# ------------------------------------------------------------------------------------------------------ words for people


def explain(case: Case) -> tuple[str, str]:
    """What the rules permitted where a case was refused, and what was seen instead."""
    event = case.judged[-1]
    states = histories_states(case.default_size, case.judged[:-1])[-1]
    match event.what:
        case "observe":
            phases = sorted({state.phase for state in states})
            return f"the channel is in {' or '.join(phases)}", f"it is in {event.value}"
        case "rest":
            found = sorted({due.name for state in states for due in overdue(state)})
            return "everything that can go on has done so when nothing is left to run", "; ".join(
                found
            ) or "nothing moves"
        case _:
            possible = sorted({_outcome(state, state.op(event.op)) for state in states})
            if len(possible) > 1:
                possible = [each for each in possible if each != WAITS]  # it may be undecided yet, and not for long
            observed = f"returns {event.value!r}" if event.what == "return" else f"raises {event.value}"
            call = case.call_of(event)
            assert call is not None, "what ends was called"
            return f"{describe_call(call)} {' or '.join(possible)}", observed if event.value is not None else "returns"


WAITS = "goes on waiting"


def _outcome(state: State, op: Op) -> str:
    if op.outcome is None:
        return WAITS
    if op.outcome.what == "raise":
        return f"raises {op.outcome.value}"
    return "returns" if op.outcome.value is None else f"returns {op.outcome.value!r}"


def timeline(case: Case) -> list[str]:
    """A case's history for people to read, a line an event; what a call comes to at once stands beside it."""
    lines = [f"channel = Channel(buffer_size={case.default_size})"]
    seen = "initiation"
    calls: dict[int, Event] = {}
    waiting: dict[int, int] = {}  # where the line of an operation's call stands, as long as nothing came after it
    for index, event in enumerate(case.judged):
        refused = index == case.refused
        mark = "   <== no channel that keeps the rules does this" if refused else ""
        match event.what:
            case "call":
                calls[event.op] = event
                lines.append(f"[{event.op}] {describe_call(event)}  ...{mark}")
                waiting = {event.op: len(lines) - 1}
            case "return" | "raise":
                value = "" if event.value is None else f" {event.value}"
                if event.op in waiting:
                    lines.pop(waiting.pop(event.op))
                lines.append(f"[{event.op}] {describe_call(calls[event.op])}  {event.what}s{value}{mark}")
                waiting.clear()
            case "cancel":
                lines.append(f"[{event.op}] {describe_call(calls[event.op])}  is cancelled{mark}")
                waiting.clear()
            case "observe" if event.value != seen or refused:
                seen = str(event.value)
                lines.append(f"    the channel is in {seen}{mark}")
            case "rest" if refused or lines[-1] != "    at rest":
                lines.append(f"    at rest{mark}")
                waiting.clear()
    return lines


def as_json(reports: list[Report], version: str) -> dict[str, Any]:
    """The JSON report's content."""
    return {
        "version": version,
        "targets": [
            {
                "target": report.target,
                "conforms": report.conforms,
                "cases": report.explored,
                "reached": report.reached,
                "rules": [
                    {
                        "rule": v.rule,
                        "level": str(v.level),
                        "verdict": v.verdict,
                        "cases": v.cases,
                        "evidence": v.evidence,
                        **(
                            {"expected": v.expected, "observed": v.observed, "history": v.history} if v.observed else {}
                        ),
                        **({"replay": v.replay} if v.replay else {}),
                    }
                    for v in report.verdicts
                ],
            }
            for report in reports
        ],
    }


def as_junit(reports: list[Report]) -> "ElementTree[Element]":
    """The JUnit report: a suite a target, a case a rule."""
    suites = Element("testsuites")
    for report in reports:
        counts = Counter(v.verdict for v in report.verdicts)
        skipped = counts["untested"] + counts["unsupported"]
        suite = SubElement(
            suites,
            "testsuite",
            name=report.target,
            tests=str(len(report.verdicts)),
            failures=str(counts["fail"]),
            skipped=str(skipped),
        )
        for v in report.verdicts:
            case = SubElement(suite, "testcase", classname=report.target, name=f"{v.rule} {RULES[v.rule].title}")
            if v.verdict == "fail":
                failure = SubElement(case, "failure", message=f"expected {v.expected}; observed {v.observed}")
                failure.text = "\n".join((RULES[v.rule].sentence, "", *v.history))
            elif v.verdict != "pass":
                SubElement(case, "skipped", message=v.evidence)
    indent(suites)
    return ElementTree(suites)
