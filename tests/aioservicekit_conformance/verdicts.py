"""Verdicts: the judgement of each rule, and what that means for a target."""

from typing import NamedTuple

from aioservicekit_model.rules import RULES, Level

from .report.diagram import Moment

__all__ = ["OPTIONAL", "UNTESTED", "Report", "Verdict"]

UNTESTED = {
    "CH-6.1": "several event loops in several threads are not explored yet",
    "CH-6.2": "several event loops in several threads are not explored yet",
    "CH-6.3": "several event loops in several threads are not explored yet",
    "CH-7.1": "references are not checked yet",
}
OPTIONAL = frozenset({*UNTESTED, "CH-7.2", "CH-7.3"})  # a target that does not claim these still conforms


class Verdict(NamedTuple):
    """The verdict on one rule.

    Attributes:
        verdict: "pass", "fail", "masked" (a refused history may be its breach, or that of a rule that has failed),
            "unsupported" (the target does what the suite can't drive) or "untested".
        cases: the number of cases that could have shown that the target breaks the rule.
        evidence: one line that says what the verdict rests on.
        expected, observed, because: for a failure, what was expected, what was observed, and why that is impossible.
        obligations: for a failure, the broken obligations of a rule with several, as far as known, such as "CH-3.9b".
        history: for a failure, its shortest history, one line per event; empty if a named check failed.
        replay, program: for a failure, the file that replays it, and the program that shows it.
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
    """The verdicts on one target.

    Attributes:
        explored: the number of cases made.
        reached: the number of cases that met each interesting situation.
        exhausted: if everything within bounds was tried, one line about each of the bounds.
    """

    target: str
    verdicts: tuple[Verdict, ...]
    explored: int
    reached: dict[str, int]
    exhausted: tuple[str, ...] = ()

    def status(self, verdict: Verdict) -> str:
        """What a verdict means for the run of the command, pytest or JUnit: "passed", "failed" or "skipped".

        A rule is skipped if it is not a MUST, or if it is one of CH-6 and CH-7 and is not tested or not claimed by the target.
        A rule that was requested by name is never skipped.
        """
        if verdict.verdict == "pass":
            return "passed"
        asked_for_all = len(self.verdicts) == len(RULES)
        let_off = verdict.level is not Level.MUST or (verdict.verdict == "untested" and verdict.rule in OPTIONAL)
        return "skipped" if asked_for_all and let_off else "failed"

    @property
    def conforms(self) -> bool:
        """Whether every rule that must hold has been judged, and holds."""
        return not any(self.status(verdict) == "failed" for verdict in self.verdicts)

    def conforms_but_for(self, known_failing: frozenset[str]) -> bool:
        """As `conforms`, but known failures count as kept, and one of them that passes does not."""
        return not any(
            (self.status(v) == "passed") if v.rule in known_failing else (self.status(v) == "failed")
            for v in self.verdicts
        )
