"""Verdicts: what is said of each rule, and what that means for a target."""

from typing import NamedTuple

from aioservicekit_model.rules import RULES, Level

from .report.diagram import Moment

__all__ = ["OPTIONAL", "UNTESTED", "Report", "Verdict"]

UNTESTED = {
    "CH-6.1": "several event loops in several threads are not explored yet",
    "CH-6.2": "several event loops in several threads are not explored yet",
    "CH-6.3": "several event loops in several threads are not explored yet",
    "CH-7.1": "references are not looked at yet",
}
OPTIONAL = frozenset({*UNTESTED, "CH-7.2", "CH-7.3"})  # a target that does nothing about these conforms all the same


class Verdict(NamedTuple):
    """What is said of one rule.

    Attributes:
        verdict: "pass", "fail", "masked" (a refused history may be its breach, or that of a rule that has failed),
            "unsupported" (the target does what the suite can't drive) or "untested".
        cases: how many cases could have shown the rule broken.
        evidence: one line: what the verdict rests on.
        expected, observed, because: of a failure: what was expected, what was seen, and why that is impossible.
        obligations: of a failure, what was broken of a rule with several obligations, as far as it is known: "CH-3.9b".
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
    because: str = ""
    obligations: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    replay: str = ""
    program: str = ""
    moments: tuple[Moment, ...] = ()

    @property
    def clauses(self) -> tuple[str, ...]:
        """The broken obligations in the specification's words."""
        return tuple(f"{each}: {RULES[self.rule].obligations[each[-1]]}" for each in self.obligations)


class Report(NamedTuple):
    target: str
    verdicts: tuple[Verdict, ...]
    explored: int
    reached: dict[str, int]

    def status(self, verdict: Verdict) -> str:
        """What a verdict means for the run, be it the command's, pytest's or JUnit's: "passed", "failed" or "skipped".

        Skipped are rules that are no MUST, and those of CH-6 and CH-7 that are not tested, or that the target does not take on.
        A rule that was asked for by name is never skipped.
        """
        if verdict.verdict == "pass":
            return "passed"
        asked_for_all = len(self.verdicts) == len(RULES)
        let_off = verdict.level is not Level.MUST or (verdict.verdict == "untested" and verdict.rule in OPTIONAL)
        return "skipped" if asked_for_all and let_off else "failed"

    @property
    def conforms(self) -> bool:
        """Every rule that must hold has been judged, and holds."""
        return not any(self.status(verdict) == "failed" for verdict in self.verdicts)

    def conforms_but_for(self, known_failing: frozenset[str]) -> bool:
        """As `conforms`, with known failures; but one of these that passes does not."""
        return not any(
            (self.status(v) == "passed") if v.rule in known_failing else (self.status(v) == "failed")
            for v in self.verdicts
        )
