"""Judging a target: explore, and blame.

Exploring makes many cases and goes on past the first refused one. Each refused history is explained by some rules, each of which,
relaxed alone in the model, admits it. To blame is the smallest set of rules that explains all of them; any other rule that
explains one is masked by these: nobody can tell whether it is kept.
"""

import gc
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import combinations

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from aioservicekit_model.channel import machine as strict
from aioservicekit_model.channel.blame import blame, exercised, explains
from aioservicekit_model.channel.checker import states_along
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE

from ..running.case import MOST_STATES, Case, replay
from ..target import Target
from .scripts import SCRIPTS, parse
from .shrinking import Failure, prune
from .state_machine import machine

__all__ = ["Exploration", "explore", "silent"]

STEPS = 14
SAMPLE = 8  # at every so-manyth case it is counted which rules forbade something in it
SHORT = 9  # actions: a case that needs no pruning to be explained by few rules
CLOSELY = 25  # so many refused cases are looked at, though rules that are broken for certain explain them
IN_VAIN = 12  # so many of the others in a row that say nothing new are enough
EXPLAINED = 60  # so many refused cases in a row with nothing new to explain are enough
NOTHING_NEW = 400  # so many cases since something new had to be explained are enough
ALONE = 4  # rules that are judged alone need one in so many of the usual cases, if each is at stake in all of these

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


class Exploration:
    """What many cases of one target have shown.

    Attributes:
        rules: those that matter: what explains a refused case is looked for where one of these may.
        cases: how many were made.
        refused: how many of them were refused.
        explained: how many of these each rule explains.
        escapes: why cases could not be judged, and how many.
        reached: in how many cases each interesting situation was met.
        sampled: of how many cases the rules at stake were counted.
        staked: in how many of these each rule forbade something.
        failures: refused cases that differ in what explains them.
        hung: the case in which the target did not come back, if there is one: then no more were made.
    """

    def __init__(self, rules: frozenset[str] = RULES_OF_THE_MACHINE) -> None:
        self.rules = rules & RULES_OF_THE_MACHINE
        self.cases = 0
        self.refused = 0
        self.explained: Counter[str] = Counter()
        self.escapes: Counter[str] = Counter()
        self.reached: Counter[str] = Counter()
        self.sampled = 0
        self.staked: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.hung: Case | None = None
        self._beside: dict[str, set[str]] = defaultdict(set)  # by rule: what else explained the same
        self._staked_in_drawn: Counter[str] = Counter()
        self._since_new = 0
        self._last_new = 0
        self._closely = 0
        self._in_vain = 0

    @property
    def certain(self) -> frozenset[str]:
        """Rules that are broken for certain: something was seen that nothing else explains."""
        return frozenset(rule for f in self.failures if len(f.candidates) == 1 for rule in f.candidates)

    def add(self, case: Case, sample: bool = False) -> None:
        self.cases += 1
        self.reached.update(case.reached.keys())
        if case.hung:
            self.hung = case
        elif case.escaped:
            self.escapes[case.escaped] += 1
        elif case.refused is not None:
            self.refused += 1
            self._explain(case)
        if sample or self.cases % SAMPLE == 0:
            self.sampled += 1
            staked = case_at_stake(case)
            self.staked.update(staked)
            self._staked_in_drawn.update(() if sample else staked)

    @property
    def enough(self) -> bool:
        return (
            self.hung is not None
            or max(self._since_new, sum(self.escapes.values())) >= EXPLAINED
            or (bool(self.failures) and self.cases - self._last_new >= NOTHING_NEW)
        )

    def enough_alone(self, max_examples: int) -> bool:
        """Whether some rules that are judged alone are broken for certain, or have had their chances to be."""
        chances = max_examples / ALONE / SAMPLE
        return self.rules != RULES_OF_THE_MACHINE and all(
            rule in self.certain or self._staked_in_drawn[rule] >= max(chances, 1) for rule in self.rules
        )

    def _explain(self, case: Case) -> None:
        certain = {rule for rule in self.certain if explains(case.default_size, case.history, rule)}
        if certain and self._closely >= CLOSELY:
            self._note_explained(certain | self._explains_besides(case))
            return
        self._closely += bool(certain)
        self._since_new += 1
        pruned = prune(case)
        wholly = {rule for rule in self.rules if explains(case.default_size, case.history, rule, for_certain=True)}
        if self.rules != RULES_OF_THE_MACHINE and not (
            wholly or blame(pruned.default_size, pruned.history, self.rules)
        ):
            return
        candidates = blame(pruned.default_size, pruned.history)
        self._note(pruned, candidates)
        if pruned is not case and len(case.actions) <= SHORT:
            of_all = blame(case.default_size, case.history)
            if not candidates <= of_all:  # left out was what makes it another failure
                self._note(case, of_all)
                candidates |= of_all
        self._note_explained(candidates | certain | wholly)

    def _explains_besides(self, case: Case) -> set[str]:
        """Rules that have not explained anything yet, and explain this history."""
        if self._in_vain >= IN_VAIN:
            return set()
        fresh = self.rules - self._beside.keys()
        found = {rule for rule in fresh if explains(case.default_size, case.history, rule, for_certain=True)}
        self._in_vain = 0 if found else self._in_vain + 1
        return found

    def _note_explained(self, rules: frozenset[str] | set[str]) -> None:
        self.explained.update(rules)
        for rule in rules:
            self._beside[rule].update(rules)

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

    def masked(self) -> dict[str, list[str]]:
        """The rules that explain some refused case and are not to blame, each with those of the blamed that explain it too."""
        blamed = set(self.blamed())
        return {rule: sorted(besides & blamed) for rule, besides in self._beside.items() if rule not in blamed}

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
    states = states_along(strict, case.default_size, case.history, MOST_STATES)
    return frozenset().union(*map(exercised, states, case.history))


class _Enough(BaseException):
    """Ends exploring at once; Hypothesis would take an `Exception` for a failure of the test, and repeat it."""


def silent(cases: int, total: int) -> None:
    """Tells nobody how far exploring has come."""


def explore(
    target: Target,
    max_examples: int,
    number: int,
    progress: Callable[[int, int], None] = silent,
    exploration: Exploration | None = None,
) -> Exploration:
    """Play the scripts and make `max_examples` cases, fewer if a target is refused again and again for the same reasons.

    Args:
        number: the seed; the same seed makes the same cases.
        progress: called with the number of cases made and that of all to be made, after each case and at the end.
        exploration: what to enter them into; it says which rules matter.
    """
    exploration = exploration or Exploration()
    collecting = gc.get_threshold()
    drawn = 0

    def done(case: Case) -> None:
        nonlocal drawn
        if drawn == max_examples or exploration.enough or exploration.enough_alone(max_examples):
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
            if exploration.hung:
                raise _Enough
        run_state_machine_as_test(seed(number)(machine(target, done)), settings=options)  # type: ignore[arg-type]  # a factory will do
    except _Enough:
        pass
    finally:
        gc.set_threshold(*collecting)
    progress(drawn, drawn)
    return exploration


assert set(GENERAL) <= RULES_OF_THE_MACHINE
