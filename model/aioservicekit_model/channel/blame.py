"""Which rules were broken: each of them, when relaxed alone, explains what the strict machine refuses."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from . import machine
from .checker import TooManyStates, first_refused
from .history import Event
from .machine import ACTIONS, Operation, State, overdue
from .mistakes import ENDINGS, MISTAKES, NEGLECTS
from .past import Past, StateWithPast
from .relaxed import OBLIGATIONS_OF_THE_MACHINE, OF_THE_STATE, RULES_OF_THE_MACHINE, mistaken, relaxed, rule_of

__all__ = ["blame", "broken_obligations", "exercised", "explains", "given_up"]

# A relaxed machine can have more states than are worth keeping. Beyond this bound, its search is given up.
MOST_STATES = 500

MISTAKEN = tuple((mistake, mistaken(mistake)) for mistake in MISTAKES)


def blame(default_size: int, history: Sequence[Event], rules: frozenset[str] = RULES_OF_THE_MACHINE) -> frozenset[str]:
    """The rules that explain a refused history best: relaxed alone, each explains the most events beyond the refused one.

    A rule whose search was given up may explain the history too. It is included if any other rule does.

    Args:
        rules: the rules to try.

    Returns:
        The candidates; empty if no single rule explains the refused event.
    """
    refused = first_refused(machine, default_size, history)
    reach = {rule: _reach(default_size, history, rule) for rule in sorted(rules)}
    furthest = max((index for index in reach.values() if index is not None), default=0)
    if refused is None or furthest <= refused:
        return frozenset()
    return frozenset(rule for rule, index in reach.items() if index in (None, furthest))


def explains(default_size: int, history: Sequence[Event], rule: str, *, for_certain: bool = False) -> bool:
    """Whether relaxing this rule admits the whole history. A search that was given up counts, unless `for_certain`."""
    reach = _reach(default_size, history, rule)
    return reach == len(history) or (reach is None and not for_certain)


def given_up(default_size: int, history: Sequence[Event], rule: str) -> bool:
    """Whether relaxing this rule leads to more states than are searched, so nobody knows whether it explains the history."""
    return _reach(default_size, history, rule) is None


def broken_obligations(default_size: int, history: Sequence[Event], rule: str) -> tuple[str, ...]:
    """The obligations that, relaxed alone, explain as much of a refused history as their whole rule does."""
    furthest = _reach(default_size, history, rule)
    return tuple(each for each in obligations(rule) if furthest == _reach(default_size, history, each))


def obligations(rule: str) -> tuple[str, ...]:
    """The obligations of a rule, such as "CH-3.8a"; empty for a rule with only one."""
    return tuple(sorted(each for each in OBLIGATIONS_OF_THE_MACHINE if rule_of(each) == rule != each))


def _reach(default_size: int, history: Sequence[Event], rule: str) -> int | None:
    """The number of events that relaxing the rule explains; None if the search was given up."""
    try:
        refused = first_refused(relaxed(rule), default_size, history, MOST_STATES)
    except TooManyStates:
        return None
    return len(history) if refused is None else refused


@lru_cache(maxsize=4_000)
def exercised(states: frozenset[State], event: Event) -> frozenset[str]:
    """The rules that could have been broken in one of these states or at this event: each alone forbids something there."""
    called = (_exercised_by_call(state, event) for state in states if event.what == "call" and event.kind == "close")
    return frozenset().union(*map(_exercised, states), *called)


@lru_cache(maxsize=4_000)
def _exercised(state: State) -> frozenset[str]:
    alone = {rule for op in state.operations for rule in _alone_forbidding(state, op)}
    late = {
        each.rule
        for op, due in overdue(state)
        for each in NEGLECTS
        if each.obligation == due.rule and each.when(state, op, Past())
    }
    ends = {each.rule for op in state.operations for each in ENDINGS if op.kind in each.kinds}
    return frozenset(map(rule_of, {*OF_THE_STATE, *alone, *late, *ends}))


def _exercised_by_call(state: State, event: Event) -> frozenset[str]:
    return frozenset(map(rule_of, _alone_forbidding(*state.called(event))))


def _alone_forbidding(state: State, op: Operation) -> Iterator[str]:
    """The rules that alone forbid an action or a mistake which would change something."""
    for action in ACTIONS:
        if op.kind in action.kinds and action.when(state, op):
            broken = [rule for rule, guard in action.guards.items() if not guard(state, op)]
            if len(broken) == 1:
                yield broken[0]
    now = StateWithPast(state)
    for mistake, row in MISTAKEN:
        if op.kind in row.kinds and any(after not in (state, now) for after in row.leads_to(now, op)):
            yield mistake.rule
