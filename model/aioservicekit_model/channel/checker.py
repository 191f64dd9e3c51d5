"""Judge histories by a machine: keep the set of all its states that explain the events so far. An empty set is a violation.

A history is judged event by event. Between two events, any internal actions may have happened, so the set is closed under
them. States are values, and there are few of them. So the successors of each set are cached, and a case costs little more than
one look-up per event. The cache is bounded to some ten megabytes. The checker knows states and actions, and nothing about
channels.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Protocol, TypeVar, cast

from .history import Event

__all__ = ["GIVEN_UP", "Machine", "advance", "first_refused", "start", "states_along"]

S = TypeVar("S")


class Machine(Protocol[S]):
    """A state machine: a module with these functions, or an object with these methods."""

    def __hash__(self) -> int: ...

    def initial(self, default_size: int, /) -> Iterator[S]: ...

    def steps(self, state: S, /) -> Iterator[tuple[Any, Any, S]]: ...

    def see(self, state: S, event: Event, /) -> Iterator[S]: ...


GIVEN_UP: frozenset[Any] = frozenset({"given up"})  # too many states to keep: it is unknown what they explain


def start(machine: Machine[S], default_size: int) -> frozenset[S]:
    """The states in which a new channel may be."""
    return frozenset(machine.initial(default_size))


def advance(machine: Machine[S], states: frozenset[S], event: Event, most: int | None = None) -> frozenset[S]:
    """The states that explain one more event.

    Args:
        most: the largest number of states to keep; None keeps all.

    Returns:
        The states: empty if none explains the event, `GIVEN_UP` if there are too many.
    """
    return cast("frozenset[S]", _advance(machine, states, event, most))


@lru_cache(maxsize=10_000)
def _advance(machine: Machine[Any], states: frozenset[Any], event: Event, most: int | None) -> frozenset[Any]:
    after = frozenset(after for state in states for after in machine.see(state, event))
    return after if after == states else closed(machine, after, most)


def closed(machine: Machine[S], states: Iterable[S], most: int | None) -> frozenset[S]:
    """The states, and all that may follow by internal actions before the next event."""
    found: set[S] = set()
    fringe = list(states)
    while fringe:
        state = fringe.pop()
        if state not in found:
            found.add(state)
            fringe.extend(after for _, _, after in machine.steps(state))
        if most is not None and len(found) > most:
            return GIVEN_UP
    return frozenset(found)


def states_along(
    machine: Machine[S], default_size: int, history: Sequence[Event], most: int | None = None
) -> list[frozenset[S]]:
    """The sets of states along a history, beginning with the one before its first event, up to where there are more than `most`."""
    found = [start(machine, default_size)]
    for event in history:
        states = advance(machine, found[-1], event, most)
        if states == GIVEN_UP:
            break
        found.append(states)
    return found


def first_refused(
    machine: Machine[Any], default_size: int, history: Sequence[Event], most: int | None = None
) -> int | None:
    """The index of the first event that no state explains, or None if the whole history is explained.

    Raises:
        TooManyStates: there were more than `most`.
    """
    states = start(machine, default_size)
    for index, event in enumerate(history):
        states = advance(machine, states, event, most)
        if not states:
            return index
        if states == GIVEN_UP:
            raise TooManyStates
    return None


class TooManyStates(Exception):
    """The search was given up."""
