"""Judging histories: keep the set of all model states that explain what was seen; an empty set is a violation.

A history is judged event by event. Between two events anything may have happened that the rules permit and nobody sees, so the
set is closed under the model's unseen steps. Model states are values and few, so both steps are remembered and a case costs
little more than a look-up an event.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from .channel import RULES_OF_THE_TABLE, STRICT, State, forbidding, forbidding_call, forget, initial, see, unseen
from .history import Event

__all__ = ["advance", "at_stake", "blame", "explains", "first_refused", "histories_states", "start"]

States = frozenset[State]

# A relaxed model can have more states than are worth keeping; one that exceeds this bound counts as not explaining a history.
# The strict model is never cut short. Whoever wants to know who is to blame asks with a short history.
MOST_RELAXED_STATES = 500


def start(default_size: int, relaxed: frozenset[str] = STRICT) -> States:
    """The states that a new channel may be in."""
    return frozenset(initial(default_size, relaxed))


@lru_cache(maxsize=200_000)
def advance(states: States, event: Event, relaxed: frozenset[str] = STRICT) -> States:
    """The states that explain one event more; empty if none does."""
    after = frozenset(after for state in states for after in see(state, event, relaxed))
    if after == states or (event.what in ("return", "raise") and not relaxed):
        return after  # closed as it is: what has ended was decided, so that nothing waited for its end
    return closed_under_unseen(after, relaxed)


def closed_under_unseen(states: Iterable[State], relaxed: frozenset[str] = STRICT) -> States:
    """The states, and all that may follow from them before the next event."""
    found: set[State] = set()
    fringe = list(states)
    while fringe:
        state = fringe.pop() if relaxed else forget(fringe.pop())
        if state not in found:
            found.add(state)
            fringe.extend(unseen(state, relaxed))
        if relaxed and len(found) > MOST_RELAXED_STATES:
            return frozenset()
    return frozenset(found)


def first_refused(default_size: int, history: Sequence[Event], relaxed: frozenset[str] = STRICT) -> int | None:
    """The index of the first event that no state explains, or None if the whole history is explained."""
    states = start(default_size, relaxed)
    for index, event in enumerate(history):
        states = advance(states, event, relaxed)
        if not states:
            return index
    return None


def blame(default_size: int, history: Sequence[Event]) -> frozenset[str]:
    """The rules each of which, relaxed alone, explains a refused history best: the furthest beyond where it is refused.

    Returns:
        The candidates; empty if no single rule explains the refused event.
    """
    reach = {rule: _reach(default_size, history, frozenset({rule})) for rule in sorted(RULES_OF_THE_TABLE)}
    furthest = max(reach.values())
    refused = _reach(default_size, history, STRICT)
    return frozenset(rule for rule in reach if reach[rule] == furthest > refused)


def explains(default_size: int, history: Sequence[Event], rule: str) -> bool:
    """Whether the whole history is admitted once this rule is relaxed."""
    return first_refused(default_size, history, frozenset({rule})) is None


def _reach(default_size: int, history: Sequence[Event], relaxed: frozenset[str]) -> int:
    index = first_refused(default_size, history, relaxed)
    return len(history) if index is None else index


def histories_states(default_size: int, history: Sequence[Event]) -> list[States]:
    """The sets of states along a history, up to where it is refused."""
    found = [start(default_size)]
    for event in history:
        found.append(advance(found[-1], event))
    return found


@lru_cache(maxsize=200_000)
def at_stake(states: States, event: Event) -> frozenset[str]:
    """The rules that alone forbid something in one of these states, or at this event: they could have been broken here."""
    called = (forbidding_call(state, event) for state in states if event.what == "call")
    return frozenset().union(*map(_at_stake, states), *called)


@lru_cache(maxsize=200_000)
def _at_stake(state: State) -> frozenset[str]:
    return frozenset(forbidding(state))
