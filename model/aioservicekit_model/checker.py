"""Judging histories: keep the set of all model states that explain what was seen; an empty set is a violation.

A history is judged event by event. Between two events anything may have happened that the rules permit and nobody sees, so the
set is closed under the model's unseen steps. Model states are values and few, so both steps are remembered and a case costs
little more than a look-up an event; what is remembered is bounded, to some ten megabytes.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from .channel import RULES_OF_THE_TABLE, STRICT, State, forbidding, forbidding_call, forget, initial, see, unseen
from .history import Event

__all__ = ["advance", "at_stake", "blame", "explains", "first_refused", "histories_states", "start"]

States = frozenset[State]

# A relaxed model can have more states than are worth keeping. Where it exceeds this bound its search is given up: from there on
# nobody knows what it explains. The strict model is never cut short.
MOST_RELAXED_STATES = 500
GIVEN_UP: States = frozenset({State(phase="given up")})


def start(default_size: int, relaxed: frozenset[str] = STRICT) -> States:
    """The states that a new channel may be in."""
    return frozenset(initial(default_size, relaxed))


@lru_cache(maxsize=10_000)
def advance(states: States, event: Event, relaxed: frozenset[str] = STRICT) -> States:
    """The states that explain one event more; empty if none does."""
    after = frozenset(after for state in states for after in see(state, event, relaxed))
    if after == states or (event.what in ("return", "raise") and not relaxed):
        return after  # closed as it is: what has ended was decided, so that nothing waited for its end
    return closed_under_unseen(after, relaxed)


def closed_under_unseen(states: Iterable[State], relaxed: frozenset[str] = STRICT) -> States:
    """The states, and all that may follow from them before the next event; `GIVEN_UP` if there are too many."""
    found: set[State] = set()
    fringe = list(states)
    while fringe:
        state = forget(fringe.pop(), relaxed)
        if state not in found:
            found.add(state)
            fringe.extend(unseen(state, relaxed))
        if relaxed and len(found) > MOST_RELAXED_STATES:
            return GIVEN_UP
    return frozenset(found)


def first_refused(default_size: int, history: Sequence[Event]) -> int | None:
    """The index of the first event that no state explains, or None if the whole history is explained."""
    index = _reach(default_size, history, STRICT)
    return None if index == len(history) else index


def blame(default_size: int, history: Sequence[Event], rules: frozenset[str] = RULES_OF_THE_TABLE) -> frozenset[str]:
    """The rules each of which, relaxed alone, explains a refused history best: the furthest beyond where it is refused.

    A rule whose search was given up may explain it too, and is among them if any other does.

    Args:
        rules: those that are tried.

    Returns:
        The candidates; empty if no single rule explains the refused event.
    """
    reach = {rule: _reach(default_size, history, frozenset({rule})) for rule in sorted(rules)}
    refused = _reach(default_size, history, STRICT)
    furthest = max((index for index in reach.values() if index is not None), default=0)
    if refused is None or furthest <= refused:
        return frozenset()
    return frozenset(rule for rule, index in reach.items() if index in (None, furthest))


def explains(default_size: int, history: Sequence[Event], rule: str, *, for_certain: bool = False) -> bool:
    """Whether the whole history is admitted once this rule is relaxed; unless for certain, also where the search was given up."""
    reach = _reach(default_size, history, frozenset({rule}))
    return reach == len(history) or (reach is None and not for_certain)


def _reach(default_size: int, history: Sequence[Event], relaxed: frozenset[str]) -> int | None:
    """How many events are explained; None if the search was given up."""
    states = start(default_size, relaxed)
    for index, event in enumerate(history):
        states = advance(states, event, relaxed)
        if not states:
            return index
        if states == GIVEN_UP:
            return None
    return len(history)


def histories_states(default_size: int, history: Sequence[Event]) -> list[States]:
    """The sets of states along a history, up to where it is refused."""
    found = [start(default_size)]
    for event in history:
        found.append(advance(found[-1], event))
    return found


@lru_cache(maxsize=4_000)
def at_stake(states: States, event: Event) -> frozenset[str]:
    """The rules that alone forbid something in one of these states, or at this event: they could have been broken here."""
    called = (forbidding_call(state, event) for state in states if event.what == "call")
    return frozenset().union(*map(_at_stake, states), *called)


@lru_cache(maxsize=4_000)
def _at_stake(state: State) -> frozenset[str]:
    return frozenset(forbidding(state))
