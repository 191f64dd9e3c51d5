"""Verdicts: the judgement of each rule, and what that means for a target."""

from typing import NamedTuple

from aioservicekit_model.rules import RULES, Level

from .report.diagram import Moment

__all__ = ["NOT_JUDGED", "OPTIONAL", "UNTESTED", "Report", "Verdict", "with_what_is_not_judged"]

LIVE = ("CH-6.1", "CH-6.2", "CH-6.3")
UNTESTED = dict.fromkeys(LIVE, "threads and their event loops are judged as they run: use --live")
NOT_JUDGED = {"CH-3.7": "clause (c), on exceptions from outside, is not judged"}
OPTIONAL = frozenset({*UNTESTED, "CH-7.1", "CH-7.2", "CH-7.3"})  # a target that does not claim these still conforms


def with_what_is_not_judged(rule: str, told: str) -> str:
    """What is told of a pass, with the clauses of its rule that nothing judges."""
    return f"{told}; {NOT_JUDGED[rule]}" if rule in NOT_JUDGED else told


class Verdict(NamedTuple):
    """The verdict on one rule.

    Attributes:
        verdict: "pass", "fail", "masked" (a refused history may be its breach, or that of a rule that has failed),
            "unsupported" (the target does what the suite can't drive), "untested" or "not applicable" (its language does without
            the rule; see `agents.protocol`).
        cases: the number of cases that could have shown that the target breaks the rule.
        evidence: one line that says what the verdict rests on.
        expected, observed, because: for a failure, what was expected, what was observed, and why that is impossible.
        obligations: for a failure, the broken obligations of a rule with several, as far as known, such as "CH-3.9b".
        history: for a failure, its shortest history, one line per event; empty if a named check failed.
        replay, program: for a failure, the file that replays it, and the program that shows it.
        commands: for a failure of an agent, the lines that show it when they are its standard input.
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
    commands: str = ""
    moments: tuple[Moment, ...] = ()

    @classmethod
    def passed(cls, rule: str, cases: int, evidence: str) -> "Verdict":
        """A pass, which names the clauses that nothing judges."""
        return cls(rule, RULES[rule].level, "pass", cases, with_what_is_not_judged(rule, evidence))

    @property
    def clauses(self) -> tuple[str, ...]:
        """The broken obligations in the specification's words."""
        return tuple(f"{each}: {RULES[self.rule].obligations[each[-1]]}" for each in self.obligations)


class Report(NamedTuple):
    """The verdicts on one target.

    Attributes:
        explored: the number of cases made.
        reached: how many of them met each interesting situation.
        given_up: how many of them were not judged to the end, because too many states explain them.
        cases: what they are called: "cases", or "live runs".
        exhausted: if everything within bounds was tried, one line about each of the bounds, and one about unused freedom.
    """

    target: str
    verdicts: tuple[Verdict, ...]
    explored: int
    reached: dict[str, int]
    given_up: int = 0
    cases: str = "cases"
    exhausted: tuple[str, ...] = ()

    @property
    def made(self) -> str:
        """How many cases there were, with what they are."""
        return f"{self.explored} {self.cases}"

    def status(self, verdict: Verdict) -> str:
        """What a verdict means for the run of the command, pytest or JUnit: "passed", "failed" or "skipped".

        A rule is skipped if it is not a MUST, if it does not apply, or if it is one of CH-6 and CH-7 and is not tested or not
        claimed by the target. A rule that was requested by name is never skipped.
        """
        if verdict.verdict == "pass":
            return "passed"
        asked_for_all = len(self.verdicts) == len(RULES)
        optional = verdict.verdict == "untested" and verdict.rule in OPTIONAL
        let_off = verdict.level is not Level.MUST or verdict.verdict == "not applicable" or optional
        return "skipped" if asked_for_all and let_off else "failed"

    @property
    def conforms(self) -> bool:
        """Whether every rule that must hold has been judged, and holds."""
        return not any(self.status(verdict) == "failed" for verdict in self.verdicts)

    @property
    def without(self) -> list[str]:
        """The rules that do not apply, which every claim names."""
        return [verdict.rule for verdict in self.verdicts if verdict.verdict == "not applicable"]

    @property
    def claim(self) -> str:
        """What may be said of the target, such as "conforms, without CH-1.1, CH-5.4"."""
        if not self.conforms:
            return "does not conform"
        return f"conforms, without {', '.join(self.without)}" if self.without else "conforms"

    def conforms_but_for(self, known_failing: frozenset[str]) -> bool:
        """As `conforms`, but known failures count as kept, and one of them that passes does not."""
        return not any(
            (self.status(v) == "passed") if v.rule in known_failing else (self.status(v) == "failed")
            for v in self.verdicts
        )
