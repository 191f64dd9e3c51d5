"""Explore a target: run the scripts, and then as many cases as the state machine draws. Refused cases don't end it."""

import gc
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from aioservicekit_model.channel import machine as strict
from aioservicekit_model.channel.blame import exercised
from aioservicekit_model.channel.checker import states_along
from aioservicekit_model.channel.history import JOINS
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE

from ..running.case import MOST_STATES, Case, Subject, replay
from .failures import Failures
from .scripts import SCRIPTS, parse
from .state_machine import channel_machine

__all__ = ["STEPS", "Exploration", "explore", "silent"]

STEPS = 14
SAMPLE = 8  # the rules that a case exercises are counted in one of this many cases
ESCAPED = 60  # stop after so many cases that can't be judged
NOTHING_NEW = 400  # once a case has been refused, stop after so many cases without a new kind of failure
ALONE = 4  # with `--rule`, stop once a quarter of the usual number of cases has exercised each rule


class Exploration:
    """What many cases of one target have shown.

    Attributes:
        cases: the number of cases made.
        failures: the refused cases, and the rules that they blame.
        escapes: why cases could not be judged, and how many.
        given_up: the number of cases that too many states explain: they were judged up to some event only.
        late: of an agent that can't tell rests: for each rule, the number of cases in which something waited to the end that the
            rule may forbid.
        reached: the number of cases that met each interesting situation.
        joins_end_at_once: whether every join has ended before anything else happened.
        sampled: the number of cases in which the exercised rules were counted.
        exercised: for each rule, how many of these cases exercised it.
        unit: what was counted, such as cases.
        hung: the case in which the target hung, if there is one; no more were made after it.
    """

    def __init__(self, rules: frozenset[str] = RULES_OF_THE_MACHINE) -> None:
        """`rules` are those that matter: only cases that one of them may explain are examined closely."""
        self.rules = rules & RULES_OF_THE_MACHINE
        self.cases = 0
        self.failures = Failures(self.rules)
        self.escapes: Counter[str] = Counter()
        self.given_up = 0
        self.late: Counter[str] = Counter()
        self.reached: Counter[str] = Counter()
        self.joins_end_at_once = True
        self.sampled = 0
        self.unit = f"sampled cases of up to {STEPS} steps"
        self.exercised: Counter[str] = Counter()
        self.hung: Case | None = None
        self._exercised_when_drawn: Counter[str] = Counter()
        self._last_new = 0

    def add(self, case: Case, *, script: bool = False) -> None:
        self.cases += 1
        self.reached.update(case.reached.keys())
        if case.late:  # a busy machine may have been slow this once
            self.late.update(case.late & replay(case.target, case.default_size, case.actions).late)
        self.joins_end_at_once &= not _leaves_a_join(case)
        self.given_up += case.given_up
        if case.hung:
            self.hung = case
        elif case.escaped:
            self.escapes[case.escaped] += 1
        elif case.refused is not None and self.failures.add(case):
            self._last_new = self.cases
        if script or self.cases % SAMPLE == 0:
            self.sampled += 1
            rules = _exercised(case)
            self.exercised.update(rules)
            self._exercised_when_drawn.update(() if script else rules)

    def enough(self, max_examples: int) -> bool:
        """Whether more cases would most likely show nothing new."""
        return (
            self.hung is not None
            or self.escapes.total() >= ESCAPED
            or self.failures.enough
            or (self._nothing_new() if self.rules == RULES_OF_THE_MACHINE else self._enough_alone(max_examples))
        )

    def _nothing_new(self) -> bool:
        return bool(self.failures) and self.cases - self._last_new >= NOTHING_NEW

    def _enough_alone(self, max_examples: int) -> bool:
        """Whether rules that are judged alone are certainly broken, or have been exercised often enough."""
        chances = max(max_examples / ALONE / SAMPLE, 1)
        return all(rule in self.failures.certain or self._exercised_when_drawn[rule] >= chances for rule in self.rules)


def _leaves_a_join(case: Case) -> bool:
    """Whether something happened between the call of a join and its end, so that it might have been cancelled."""
    return any(
        event.what == "call" and event.kind in JOINS and event.op != following.op
        for event, following in pairwise(case.history)
    )


def _exercised(case: Case) -> frozenset[str]:
    """The rules that forbade something at some instant of a case."""
    states = states_along(strict, case.default_size, case.history, MOST_STATES)
    return frozenset().union(*map(exercised, states, case.history))


class _Enough(BaseException):
    """Ends exploring at once; Hypothesis would take an `Exception` for a failure of the test, and repeat it."""


def silent(cases: int, total: int) -> None:
    """Report no progress."""


def explore(
    target: Subject,
    max_examples: int,
    number: int,
    progress: Callable[[int, int], None] = silent,
    exploration: Exploration | None = None,
) -> Exploration:
    """Run the scripts and draw `max_examples` cases, or fewer if a target is refused repeatedly for the same reasons.

    Args:
        number: the seed; the same seed draws the same cases.
        progress: called after each case and at the end, with the numbers of cases drawn and to be drawn.
        exploration: collects the cases, and says which rules matter.
    """
    exploration = exploration or Exploration()
    drawn = 0

    def done(case: Case) -> None:
        nonlocal drawn
        exploration.add(case)
        drawn += 1
        progress(drawn, max_examples)
        if drawn == max_examples or exploration.enough(max_examples):
            raise _Enough

    options = settings(
        max_examples=max_examples,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    collecting = gc.get_threshold()
    gc.set_threshold(100_000)  # the checker caches much, and keeps it
    try:
        for size, script in SCRIPTS:
            exploration.add(replay(target, size, parse(script)), script=True)
            if exploration.hung:
                raise _Enough
        run_state_machine_as_test(seed(number)(channel_machine(target, done)), settings=options)  # type: ignore[arg-type]  # a factory will do
    except _Enough:
        pass
    finally:
        gc.set_threshold(*collecting)
    progress(drawn, drawn)
    return exploration
