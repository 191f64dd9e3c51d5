"""Judge a target: explore it, run the named checks, and give a verdict on each rule."""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aioservicekit_model.channel.blame import blame, broken_obligations
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE
from aioservicekit_model.rules import RULES

from .agents.agent import Agent
from .agents.case import AgentCase
from .checks.check import Broken, Check, Escaped, NotTakenOn
from .checks.registry import CHECKS
from .checks.runner import run_check
from .exhaustive.everything import Exhausted, exhaust, freedom
from .exploring.explorer import Exploration, explore, silent
from .exploring.failures import Failure, shortest
from .report.diagram import moments
from .report.explaining import because, explain
from .report.failure_file import KeptFailure, as_text
from .report.program import as_program, program_of_check
from .report.timeline import timeline
from .report.wording import many
from .running.case import MOST_STATES, REACHED, Case, replay
from .running.stepped import hanging
from .running.watchdog import Hang, watched
from .target import Target
from .verdicts import UNTESTED, Report, Verdict

__all__ = ["Interrupted", "Judging", "judge", "undisturbed"]

ATTEMPTS = 5  # to find a case that fails twice: a target may look at a set in another order each time
GIVEN_UP_AT_MOST = 0.1  # if more of the cases than this were given up, too little was judged for a verdict


class Interrupted(KeyboardInterrupt):
    """Somebody has pressed Ctrl+C; the text says what was known by then."""


def judge(
    target: Target | Agent,
    rules: frozenset[str],
    max_examples: int,
    number: int,
    progress: Callable[[int, int], None] = silent,
    *,
    exhaustive: bool = False,
) -> Report:
    """Judge a target, or the channel of an agent, by some of the rules. Named checks are programs in Python, for targets alone.

    Args:
        rules: the ids of the rules that matter; the report leaves out the others.
        max_examples: the number of cases to make.
        number: the seed; the same seed makes the same cases.
        progress: called with the numbers of cases made and to be made.
        exhaustive: instead, try everything within bounds; `progress` is then called with numbers of states.
    """
    with undisturbed():
        return Judging(target, rules).judge(None if exhaustive else max_examples, number, progress)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Judge here: the watchdog looks, nothing that a target leaves behind warns, and it is gone at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # coroutines that a defective target never awaits, endpoints left open
        try:
            with watched():
                yield
        finally:
            gc.unfreeze()
            gc.collect()  # what cases have left over is gone before anybody is told of it


class Judging:
    """Everything that is found out about one target, by rule: the rules that fail, and why others can't be judged."""

    def __init__(self, target: Target | Agent, rules: frozenset[str]) -> None:
        self._target = target
        self._rules = rules
        self._failed: dict[str, Verdict] = {}
        self._passed: dict[str, list[str]] = {}
        self._left_out = {rule: ("untested", why) for rule, why in UNTESTED.items()}
        if isinstance(target, Agent):
            self._left_out |= target.left_out
        self._escaped: dict[str, str] = {}
        self._hung = ""

    def judge(self, max_examples: int | None, number: int, progress: Callable[[int, int], None]) -> Report:
        explored = self._rules | {SAME_HISTORIES[rule] for rule in self._rules & SAME_HISTORIES.keys()}
        exploration = Exploration(explored)
        exhausted: list[Exhausted] = []
        try:
            if max_examples is None and isinstance(self._target, Target):
                exhausted = exhaust(self._target, exploration, progress)
            elif max_examples is not None and explored & RULES_OF_THE_MACHINE:
                explore(self._target, max_examples, number, progress, exploration)
            if exploration.hung:
                self._hang(exploration.hung)
            else:
                if isinstance(self._target, Target):
                    self._run_checks(self._target)
                self._show_failures(exploration)
        except KeyboardInterrupt:
            found = ", ".join(sorted({*exploration.failures.blamed(), *self._failed})) or "no rule"
            told = f"{exploration.cases} cases made, {exploration.failures.refused} refused; broken as far as known: {found}"
            raise Interrupted(told) from None
        masked = exploration.failures.masked()
        blamed = exploration.failures.blamed()
        masked |= {rule: [other] for rule, other in SAME_HISTORIES.items() if other in blamed}
        verdicts = tuple(self._verdict(rule, exploration, masked) for rule in RULES if rule in self._rules)
        reached = {what: exploration.reached[what] for what in REACHED}
        return Report(
            *(self._target.name, verdicts, exploration.cases, reached, exploration.given_up),
            exhausted=(*map(str, exhausted), *freedom(exhausted)),
        )

    def _run_checks(self, target: Target) -> None:
        gc.freeze()  # the checks collect garbage often, and none of it is older than they are
        for check in CHECKS:
            if check.rule in self._rules and not self._hung:
                try:
                    error = run_check(check, target)
                    again = error and run_check(check, target)
                except NotTakenOn as reason:
                    self._left_out[check.rule] = ("untested", str(reason))
                except Escaped as reason:
                    self._escaped[check.rule] = f"the target uses {reason}, in the check: {check.name}"
                except Hang as hang:
                    self._hung = hanging(hang)
                    self._fail_check(check, Broken("the check to end", self._hung))
                else:
                    if error is None:
                        self._passed.setdefault(check.rule, []).append(check.name)
                    elif again is None:
                        self._escaped[check.rule] = (
                            f"it behaves differently from run to run, in the check: {check.name}"
                        )
                    else:
                        self._fail_check(check, error)

    def _fail_check(self, check: Check, error: Broken) -> None:
        rule = check.rule
        failure = KeptFailure(self._target.name, rule, check=check.name)
        self._failed.setdefault(
            rule,
            Verdict(
                *(rule, RULES[rule].level, "fail", 1, f"check: {check.name}", error.expected, error.observed),
                obligations=(check.obligation,) if RULES[rule].obligations else (),
                replay=as_text(failure),
                program=program_of_check(failure, error),
            ),
        )

    def _show_failures(self, exploration: Exploration) -> None:
        """Shrink a case for each blamed rule, and see it fail once more."""
        failures = exploration.failures
        for rule in failures.blamed():
            if rule in self._rules:
                self._show(rule, failures.clearest(rule), exploration)
        if not failures.blamed() and failures.unexplained:
            self._show(None, failures.unexplained, exploration)

    def _show(self, blamed: str | None, failure: Failure, exploration: Exploration) -> None:
        for _ in range(ATTEMPTS):
            case = shortest(self._target, failure, blamed)
            rule = blamed or _rule_of(case)
            again = replay(self._target, case.default_size, case.actions)
            if case.refused is not None and timeline(again) == timeline(case):
                break
        else:
            self._escaped[rule] = "it behaves differently from run to run: a failure did not recur"
            return
        expected, observed = explain(case)
        explained = exploration.failures.explained[rule]
        calls, steps = sum(event.what == "call" for event in case.judged), case.steps
        evidence = f"refused after {many(calls, 'call')}"
        if steps > calls:
            evidence += f" and {many(steps - calls, 'cancellation')}"
        if explained:
            evidence += f"; explains {explained} of {exploration.failures.refused} refused cases"
        evidence += f"; {exploration.cases} cases in all"
        if others := blame(case.default_size, case.history) - {rule}:
            evidence += f"; this history by itself could also be blamed on {', '.join(sorted(others))}"
        kept = self._kept(rule, case)
        self._failed[rule] = Verdict(
            *(rule, RULES[rule].level, "fail", explained, evidence, expected, observed),
            because=because(case),
            obligations=broken_obligations(case.default_size, case.judged, rule),
            history=tuple(timeline(case)),
            replay=as_text(kept),
            program="" if isinstance(case, AgentCase) else as_program(kept, case, expected, observed),
            commands=case.commands if isinstance(case, AgentCase) else "",
            moments=moments(case),
        )

    def _kept(self, rule: str, case: Case) -> KeptFailure:
        kind = "agent" if isinstance(self._target, Agent) else "target"
        return KeptFailure(self._target.name, rule, case.default_size, tuple(case.actions), kind=kind)

    def _hang(self, case: Case) -> None:
        self._hung = str(case.hung)
        at_fault = (
            "agent answers no more" if isinstance(case, AgentCase) else "target does not let go of its event loop"
        )
        running = [*case.pending.values()][-1:]
        closed = any((event.what, event.kind, event.on) == ("call", "close", "channel") for event in case.history)
        at_rest = "CH-1.4" if closed else "CH-1.2" if case.actions else "CH-1.1"  # it hangs where its state is read
        rule = NAMED_FOR_HANGS.get(running[0].kind, "CH-2.5") if running else at_rest
        self._failed[rule] = Verdict(
            *(rule, RULES[rule].level, "fail", 1, f"the {at_fault}"),
            *("every operation ends, or waits and lets other tasks run", self._hung),
            history=tuple(timeline(case)),
            replay=as_text(self._kept(rule, case)),
            commands=case.commands if isinstance(case, AgentCase) else "",
        )

    def _verdict(self, rule: str, exploration: Exploration, masked: dict[str, list[str]]) -> Verdict:
        level = RULES[rule].level
        exercised = exploration.exercised[rule]
        passed = self._passed.get(rule, [])

        def untold(verdict: str, evidence: str) -> Verdict:
            return Verdict(rule, level, verdict, 0, evidence)

        if rule in self._failed:
            return self._failed[rule]
        if rule in self._left_out:
            return untold(*self._left_out[rule])
        if rule in masked:
            by = " and ".join(masked[rule]) or "others"
            count = exploration.failures.explained[SAME_HISTORIES.get(rule, rule)]
            return untold(
                "masked", f"by {by}: {count} of {exploration.failures.refused} refused cases may break this rule too"
            )
        if rule in self._escaped:
            return untold("unsupported", self._escaped[rule])
        if exploration.escapes and not (passed and rule not in RULES_OF_THE_MACHINE):
            escape, count = exploration.escapes.most_common(1)[0]
            return untold("unsupported", f"the target uses {escape}, in {count} of {exploration.cases} cases")
        given_up = f"{exploration.given_up} of {exploration.cases} cases were given up: more than {MOST_STATES} states explain them"
        if rule in RULES_OF_THE_MACHINE and exploration.given_up > exploration.cases * GIVEN_UP_AT_MOST:
            return untold("unsupported", given_up)
        if self._hung:
            return untold("untested", f"nothing more was judged, because the target {self._hung}")
        if late := exploration.late[rule]:
            told = "something waited as if this rule were broken; it may be late, since the agent can't tell rests"
            return untold("untested", f"in {late} of {exploration.cases} cases {told}")
        if rule not in RULES_OF_THE_MACHINE or (passed and not exercised):
            return Verdict.passed(rule, len(passed), f"check: {'; '.join(passed)}")
        if not exercised and rule == "CH-2.6" and exploration.joins_end_at_once:
            return untold("not applicable", "every join ended at its call, so none could be cancelled")
        if not exercised:
            return untold("untested", f"none of {exploration.sampled} {exploration.unit} could have broken it")
        evidence = f"could have broken in {exercised} of {exploration.sampled} {exploration.unit}"
        if isinstance(self._target, Agent) and any(check.rule == rule for check in CHECKS):
            evidence += "; its named checks, which are programs in Python, were left out"
        if passed:
            evidence += f"; check: {'; '.join(passed)}"
        if exploration.given_up:
            evidence += f"; {given_up}"
        return Verdict.passed(rule, exercised, evidence)


# A cancelled operation that raises although it has had its effect breaks both rules, and in cases the second one is blamed.
SAME_HISTORIES = {"CH-3.9": "CH-3.8", "CH-4.8": "CH-4.5"}

# The rule to name if no single rule explains a failure, by the kind of the operation; and the rule to name for a hang.
NAMED_FOR_WANT = {"send": "CH-3.1", "read": "CH-4.1", "next": "CH-4.7", "close": "CH-5.1", "": "CH-1.2"}
NAMED_FOR_HANGS = {"send": "CH-3.4", "read": "CH-4.6", "next": "CH-4.6", "close": "CH-5.1"}


def _rule_of(case: Case) -> str:
    call = case.call_of(case.judged[-1])
    return NAMED_FOR_WANT.get(call.kind if call else "", "CH-2.1")
