"""Failures: what refused cases show, and the rules that they blame.

Some rules explain a refused history: when one of them is relaxed alone, the model admits it. The smallest set of rules that
explains all refused histories is blamed. It masks every other rule that explains one of them: nobody can tell whether such a rule
is kept.

Examining a refused case closely takes as long as making fifty cases, and a target that is refused once is refused often. So cases
that show nothing new are examined only for a while.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from aioservicekit_model.channel.blame import blame, explains, given_up
from aioservicekit_model.channel.history import JOINS, READS
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE

from ..running.case import Action, Case, Subject, replay
from .minimiser import anything_simpler, fewer_actions, minimise

__all__ = ["Failure", "Failures", "shortest"]

SHORT = 9  # actions: few rules explain a case as short as this, without any pruning
CLOSELY = 25  # this many refused cases are examined closely, even if certainly broken rules explain them
IN_VAIN = 12  # after this many more in a row that show nothing new, no other rules are tried on them
EXPLAINED = 60  # after this many refused cases in a row with nothing new, further ones are not worth making

# Ties go to the narrowest rule: had a more general one been broken, other histories would have shown it. These are the general
# ones, the most general last.
GENERAL = [
    "CH-2.2",
    "CH-4.3",
    "CH-1.6",
    "CH-1.3",
    "CH-5.3",
    "CH-3.7",
    "CH-5.1",
    "CH-4.2",
    "CH-2.4",
    "CH-4.1",
    "CH-4.6",
    "CH-3.4",
    "CH-3.2",
    "CH-3.1",
]


class Failure(NamedTuple):
    """A refused case.

    Attributes:
        default_size, actions: the case.
        candidates: the rules that explain it, each by itself.
        steps: the number of calls and requests to cancel, up to the refused event.
        doubtful: the candidates that are not certain: there were too many states to search, or another rule says more directly
            what was broken.
    """

    default_size: int
    actions: tuple[Action, ...]
    candidates: frozenset[str]
    steps: int
    doubtful: frozenset[str] = frozenset()

    def is_certain_of(self, rules: Iterable[str]) -> bool:
        """Whether one of these rules explains it for certain."""
        return not (self.candidates - self.doubtful).isdisjoint(rules)


class Failures:
    """What the refused cases of one target show.

    Attributes:
        refused: the number of refused cases.
        explained: for each rule, how many of these it explains.
    """

    def __init__(self, rules: frozenset[str]) -> None:
        """`rules` are those that matter: a case that none of them may explain is not examined closely."""
        self._rules = rules
        self.refused = 0
        self.explained: Counter[str] = Counter()
        self._kept: list[Failure] = []  # one of each kind: they differ in the rules that explain them
        self._beside: dict[str, set[str]] = defaultdict(set)  # by rule: the other explanations of the same cases
        self._explained_for_certain = 0
        self._in_vain = 0
        self._since_new = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    @property
    def certain(self) -> frozenset[str]:
        """Rules that are certainly broken: nothing else explains something that was seen."""
        return frozenset(rule for f in self._kept if len(f.candidates) == 1 for rule in f.candidates)

    @property
    def enough(self) -> bool:
        """Whether more refused cases would most likely show nothing new."""
        return self._since_new >= EXPLAINED

    def add(self, case: Case) -> bool:
        """Add a refused case; return whether it is of a new kind."""
        self.refused += 1
        certain = {rule for rule in self.certain if _explains(case, rule)}
        if certain and self._explained_for_certain >= CLOSELY:
            self._note_explained(certain | self._explained_besides(case))
            return False
        self._explained_for_certain += bool(certain)
        return self._look_closely(case, certain)

    def _look_closely(self, case: Case, certain: set[str]) -> bool:
        self._since_new += 1
        pruned = _pruned(case)
        wholly = {rule for rule in self._rules if _explains(case, rule, for_certain=True)}
        if "CH-3.6" in self._rules and _shows_two_orders(case):
            wholly.add("CH-3.6")
        some_matter = self._rules == RULES_OF_THE_MACHINE or wholly or _blame(pruned, self._rules)
        if not some_matter:
            return False
        candidates = _blame(pruned)
        new = self._keep(pruned, candidates)
        if pruned is not case and len(case.actions) <= SHORT:
            of_all = _blame(case)
            if not candidates <= of_all:  # with less, it is a different failure
                new |= self._keep(case, of_all)
                candidates |= of_all
        self._note_explained(candidates | certain | wholly)
        return new

    def _explained_besides(self, case: Case) -> set[str]:
        """Rules that explain this case, and have explained none before."""
        if self._in_vain >= IN_VAIN:
            return set()
        fresh = self._rules - self._beside.keys()
        found = {rule for rule in fresh if _explains(case, rule, for_certain=True)}
        self._in_vain = 0 if found else self._in_vain + 1
        return found

    def _note_explained(self, rules: frozenset[str] | set[str]) -> None:
        self.explained.update(rules)
        for rule in rules:
            self._beside[rule].update(rules)

    def _keep(self, case: Case, candidates: frozenset[str]) -> bool:
        """Keep a failure if it is the shortest of its kind; return whether it is the first."""
        doubtful = frozenset(rule for rule in candidates if given_up(case.default_size, case.history, rule))
        if _a_send_outlasts_the_channel(case):
            doubtful |= candidates & {"CH-1.6"}  # CH-3.7 says it of the send itself
        found = Failure(case.default_size, tuple(case.actions), candidates, case.steps, doubtful)
        same = [failure for failure in self._kept if failure.candidates == candidates]
        if not same:
            self._since_new = 0
            self._kept.append(found)
        elif found.steps < same[0].steps:
            self._kept[self._kept.index(same[0])] = found
        return not same

    # Conclusions

    def blamed(self) -> tuple[str, ...]:
        """The smallest set of rules that explains every failure.

        Of several such sets, the one that explains most failures for certain, and then the one with the narrowest rules.
        """
        explained = [failure for failure in self._kept if failure.candidates]
        rules = sorted(frozenset().union(*(failure.candidates for failure in explained)), key=self._generality)
        for count in range(len(rules) + 1):
            sets = [c for c in combinations(rules, count) if all(not f.candidates.isdisjoint(c) for f in explained)]
            if sets:
                return tuple(sorted(max(sets, key=lambda c: sum(f.is_certain_of(c) for f in explained))))
        raise AssertionError("all rules together explain every failure")  # pragma: no cover

    def _generality(self, rule: str) -> tuple[int, str]:
        if rule == "CH-2.2" and not any(rule in f.candidates and _only_joins_and_sends(f) for f in self._kept):
            return (len(GENERAL) + 1, rule)  # a wrong size shows without anything else
        return (GENERAL.index(rule) + 1 if rule in GENERAL else 0, rule)

    def masked(self) -> dict[str, list[str]]:
        """The rules that explain some refused case and are not blamed, each with the blamed rules that explain the same case."""
        blamed = set(self.blamed())
        return {rule: sorted(besides & blamed) for rule, besides in self._beside.items() if rule not in blamed}

    def clearest(self, rule: str) -> Failure:
        """The failure that shows most clearly that this rule is broken."""
        return min(
            (failure for failure in self._kept if rule in failure.candidates),
            key=lambda failure: (len(failure.candidates), failure.steps),
        )

    @property
    def unexplained(self) -> Failure | None:
        """A failure that no single rule explains."""
        return next((failure for failure in self._kept if not failure.candidates), None)


def _only_joins_and_sends(failure: Failure) -> bool:
    return all(action.what in (*JOINS, "send") for action in failure.actions)


def _blame(case: Case, rules: frozenset[str] = RULES_OF_THE_MACHINE) -> frozenset[str]:
    return blame(case.default_size, case.history, rules)


def _explains(case: Case, rule: str, *, for_certain: bool = False) -> bool:
    return explains(case.default_size, case.history, rule, for_certain=for_certain)


def _pruned(case: Case) -> Case:
    """The same case without everything that the same kind of refusal does not need."""
    kind = _refused_kind(case)
    return minimise(case, lambda pruned: _refused_kind(pruned) == kind, fewer_actions)


def _refused_kind(case: Case) -> tuple[object, ...] | None:
    """Roughly why a case was refused: the kind of event, and what was wrong with it."""
    if case.refused is None:
        return None
    event = case.history[case.refused]
    call = case.call_of(event)
    value = event.value if isinstance(event.value, str) else type(event.value)
    return (event.what, call and call.kind, value, case.overdue)


def _shows_two_orders(case: Case) -> bool:
    """Whether two subscribers got two messages in different orders. It shows that CH-3.6 is broken, whatever explains the rest."""
    got: dict[int, object] = {event.op: event.value for event in case.history if event.what == "return"}
    orders: dict[str, list[object]] = defaultdict(list)
    for event in case.history:
        if event.what == "call" and event.kind in READS and event.op in got:
            orders[event.on].append(got[event.op])
    return any(
        [message for message in first if message in second] != [message for message in second if message in first]
        for first, second in combinations(orders.values(), 2)
    )


def _a_send_outlasts_the_channel(case: Case) -> bool:
    """Whether a send returns that was called before the channel closed."""
    if case.refused is None:
        return False
    event = case.history[case.refused]
    call = case.call_of(event)
    if call is None or (event.what, call.kind) != ("return", "send"):
        return False
    since = case.history[case.history.index(call) : case.refused]
    return any((each.what, each.kind, each.on) == ("call", "close", "channel") for each in since)


def shortest(target: Subject, failure: Failure, rule: str | None) -> Case:
    """The shortest case that is refused for the same reasons as a failure.

    Args:
        rule: one of its candidates, which must be blamed; None if it has none.
    """

    def blames(case: Case) -> bool:
        if case.refused is None:
            return False
        candidates = _blame(case)
        return candidates <= failure.candidates and (rule is None or rule in candidates)

    best = minimise(replay(target, failure.default_size, failure.actions), blames, anything_simpler)
    numbered = replay(target, best.default_size, _numbered(best.actions))
    return numbered if _refused_kind(numbered) == _refused_kind(best) else best


def _numbered(actions: Sequence[Action]) -> list[Action]:
    """The same actions, with operations numbered in the order of their calls."""
    numbers: dict[int, int] = {}
    for action in actions:
        if action.what != "cancel":
            numbers[action.op] = len(numbers) + 1
    return [action._replace(op=numbers[action.op]) for action in actions]


assert set(GENERAL) <= RULES_OF_THE_MACHINE
