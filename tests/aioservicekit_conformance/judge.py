"""Judging a target: explore, blame, shrink.

Exploring makes many cases and goes on past the first refused one. Each refused history is explained by some rules, each of which,
relaxed alone in the model, admits it. To blame is the smallest set of rules that explains all of them. Then, for each of these
rules, one refused case is shrunk to a shortest history.
"""

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from aioservicekit_model.channel import RULES_OF_THE_TABLE
from aioservicekit_model.checker import at_stake, blame, explains, histories_states

from .case import Action, Case, replay
from .machine import machine
from .scripts import SCRIPTS, parse
from .target import Target

__all__ = ["Exploration", "Failure", "explore", "shrink", "silent"]

STEPS = 14
SAMPLE = 8  # at every so-manyth case it is counted which rules forbade something in it
SHORT = 9  # actions: a case that needs no pruning to be explained by few rules
EXPLAINED = 60  # so many refused cases in a row with nothing new to explain are enough
NOTHING_NEW = 400  # so many cases since something new had to be explained are enough
UNEXPLAINED = "?"  # in place of a rule, where no single rule explains a history

# Where several rules explain all that was seen, the blame goes to the one that says least beside it: had a more general rule been
# broken, other histories would have shown it. These rules say most; the last one says the most.
GENERAL = [
    "CH-1.3",
    "CH-5.3",
    "CH-2.2",
    "CH-4.3",
    "CH-1.6",
    "CH-3.7",
    "CH-4.2",
    "CH-2.4",
    "CH-4.1",
    "CH-4.6",
    "CH-3.4",
    "CH-3.2",
    "CH-3.1",
]


class Failure(NamedTuple):
    """A refused case, and the rules each of which explains it."""

    default_size: int
    actions: tuple[Action, ...]
    candidates: frozenset[str]
    operations: int


class Exploration:
    """What many cases of one target have shown.

    Attributes:
        cases: how many were made.
        refused: how many of them were refused.
        escapes: why cases could not be judged, and how many.
        reached: in how many cases each interesting situation was met.
        sampled: of how many cases the rules at stake were counted.
        staked: in how many of these each rule forbade something.
        failures: refused cases that differ in what explains them.
    """

    def __init__(self) -> None:
        self.cases = 0
        self.refused = 0
        self.escapes: Counter[str] = Counter()
        self.reached: Counter[str] = Counter()
        self.sampled = 0
        self.staked: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self._since_new = 0
        self._last_new = 0

    @property
    def certain(self) -> frozenset[str]:
        """Rules that are broken for certain: something was seen that nothing else explains."""
        return frozenset(rule for f in self.failures if len(f.candidates) == 1 for rule in f.candidates)

    def add(self, case: Case, sample: bool = False) -> None:
        self.cases += 1
        self.reached.update(case.reached.keys())
        if case.escaped:
            self.escapes[case.escaped] += 1
        elif case.refused is not None:
            self.refused += 1
            self._explain(case)
        if sample or self.cases % SAMPLE == 0:
            self.sampled += 1
            self.staked.update(case_at_stake(case))

    @property
    def enough(self) -> bool:
        return max(self._since_new, sum(self.escapes.values())) >= EXPLAINED or (
            bool(self.failures) and self.cases - self._last_new >= NOTHING_NEW
        )

    def _explain(self, case: Case) -> None:
        if any(explains(case.default_size, case.history, rule) for rule in self.certain):
            return
        self._since_new += 1
        pruned = prune(case)
        candidates = blame(pruned.default_size, pruned.history)
        self._note(pruned, candidates)
        if pruned is not case and len(case.actions) <= SHORT:
            of_all = blame(case.default_size, case.history)
            if not candidates <= of_all:  # left out was what makes it another failure
                self._note(case, of_all)

    def _note(self, case: Case, candidates: frozenset[str]) -> None:
        """Keep a failure, if it is the shortest of those that the same rules explain."""
        found = Failure(case.default_size, tuple(case.actions), candidates, case.operations)
        same = [failure for failure in self.failures if failure.candidates == found.candidates]
        if not same:
            self._since_new = 0
            self._last_new = self.cases
            self.failures.append(found)
        elif found.operations < same[0].operations:
            self.failures[self.failures.index(same[0])] = found

    def blamed(self) -> tuple[str, ...]:
        """The smallest set of rules that explains every failure."""
        explained = [failure.candidates for failure in self.failures if failure.candidates]
        rules = sorted(frozenset().union(*explained), key=_generality)
        for count in range(len(rules) + 1):
            for chosen in combinations(rules, count):
                if all(not candidates.isdisjoint(chosen) for candidates in explained):
                    return tuple(sorted(chosen))
        raise AssertionError("all rules together explain every failure")  # pragma: no cover

    def failure_of(self, rule: str) -> Failure:
        """The failure that speaks most clearly of a rule."""
        return min(
            (failure for failure in self.failures if rule in failure.candidates),
            key=lambda failure: (len(failure.candidates), failure.operations),
        )

    @property
    def unexplained(self) -> Failure | None:
        """A failure that no single rule explains, if there is nothing that one explains."""
        return next((failure for failure in self.failures if not failure.candidates), None)


def _generality(rule: str) -> tuple[int, str]:
    return (GENERAL.index(rule) + 1 if rule in GENERAL else 0, rule)


def case_at_stake(case: Case) -> frozenset[str]:
    """The rules that forbade something at some instant of a case."""
    return frozenset().union(*map(at_stake, histories_states(case.default_size, case.history), case.history))


class _Enough(Exception):
    pass


def silent(cases: int, total: int) -> None:
    """Tells nobody how far exploring has come."""


def explore(
    target: Target, max_examples: int, number: int, progress: Callable[[int, int], None] = silent
) -> Exploration:
    """Play the scripts and make `max_examples` cases, fewer if a target is refused again and again for the same reasons.

    Args:
        number: the seed; the same seed makes the same cases.
        progress: called with the number of cases made and that of all to be made, after each case and at the end.
    """
    exploration = Exploration()
    collecting = gc.get_threshold()
    drawn = 0

    def done(case: Case) -> None:
        nonlocal drawn
        if exploration.enough:
            raise _Enough
        exploration.add(case)
        drawn += 1
        progress(drawn, max(drawn, max_examples))

    options = settings(
        max_examples=max_examples,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    gc.set_threshold(100_000)  # what the checker remembers is much, and stays
    try:
        for size, script in SCRIPTS:
            exploration.add(replay(target, size, parse(script)), sample=True)
        run_state_machine_as_test(seed(number)(machine(target, done)), settings=options)
    except _Enough:
        pass
    finally:
        gc.set_threshold(*collecting)
    progress(drawn, drawn)
    return exploration


def prune(case: Case) -> Case:
    """Leave out actions as long as the target is refused at the same kind of event, so that few things can explain it."""
    kind = refused_kind(case)
    improved = True
    while improved:
        improved = False
        for fewer in _fewer(case.actions):
            again = replay(case.target, case.default_size, fewer)
            shorter = len(again.actions) < len(case.actions) and again.operations <= case.operations
            if shorter and refused_kind(again) == kind:
                case, improved = again, True
                break
    return case


def refused_kind(case: Case) -> tuple[object, ...] | None:
    """What a case was refused for, roughly: which kind of event, and what was wrong with it."""
    if case.refused is None:
        return None
    event = case.history[case.refused]
    call = case.call_of(event)
    return (
        event.what,
        call and call.kind,
        event.value if isinstance(event.value, str) else type(event.value),
        case.overdue,
    )


def shrink(target: Target, failure: Failure, rule: str) -> Case:
    """The shortest case that can be found by leaving out actions and deviations and that is refused for the same reasons."""
    best = replay(target, failure.default_size, failure.actions)

    def attempt(default_size: int, actions: Sequence[Action]) -> bool:
        nonlocal best
        case = replay(target, default_size, actions)
        if case.refused is None or not _shorter(case, best):
            return False
        candidates = blame(default_size, case.history)
        if not candidates <= failure.candidates or (rule != UNEXPLAINED and rule not in candidates):
            return False
        best = case
        return True

    improved = True
    while improved:
        improved = any(attempt(best.default_size, actions) for actions in _simpler(best.actions)) or any(
            attempt(size, best.actions) for size in (0, 1) if size != best.default_size
        )
    return best


def _weight(case: Case) -> tuple[int, ...]:
    return (
        case.operations,
        len(case.actions),
        sum(action.after is not None for action in case.actions),
        sum((action.after or 0) + (action.size or 0) for action in case.actions),
        case.default_size,
    )


def _shorter(case: Case, than: Case) -> bool:
    return _weight(case) < _weight(than)


def _simpler(actions: list[Action]) -> Iterator[list[Action]]:
    """Ways to make a case simpler, the greatest steps first."""
    yield from _fewer(actions)
    for first, second in combinations(range(len(actions)), 2):
        yield [action for index, action in enumerate(actions) if index not in (first, second)]
    for index, action in enumerate(actions):
        simpler = [action._replace(after=None)] if action.after is not None else []
        simpler += [action._replace(after=fewer) for fewer in range(action.after or 0)]
        simpler += [
            action._replace(size=size) for size in (None, 0, 1) if action.what == "subscribe" and size != action.size
        ]
        simpler += [action._replace(what="read")] if action.what == "next" else []
        for one in simpler:
            yield [*actions[:index], one, *actions[index + 1 :]]


def _fewer(actions: list[Action]) -> Iterator[list[Action]]:
    """Ways to leave out a run of actions, the longest first."""
    length = (len(actions) + 1) // 2
    while length:
        for start in range(0, len(actions) - length + 1, max(1, length // 2)):
            yield actions[:start] + actions[start + length :]
        length //= 2


assert set(GENERAL) <= RULES_OF_THE_TABLE
