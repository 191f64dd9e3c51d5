"""Symmetry reduction: histories that differ only in the numbers of operations and messages become the same."""

from collections.abc import Iterable
from itertools import count

from aioservicekit_model.channel.history import READS, Event
from aioservicekit_model.channel.machine import Message, State

__all__ = ["SymmetryReduction"]


class SymmetryReduction:
    """Gives operations and messages small numbers, reused when free, so that cases share what the checker caches.

    The checker's answer stays the same: it uses numbers only to tell apart what exists at the same time.
    """

    def __init__(self) -> None:
        self._operations: dict[int, int] = {}
        self._messages: dict[int, int] = {}

    def operation(self, number: int) -> int:
        return self._operations[number]

    def event(self, event: Event, states: frozenset[State]) -> Event:
        """The renamed event. `states` tells which messages still exist."""
        match event.what:
            case "call":
                number = self._operations[event.op] = _free(self._operations.values())
                if event.kind == "send":
                    used = set().union(*map(_messages, states))
                    self._messages = {m: name for m, name in self._messages.items() if name in used}
                    self._messages[event.op] = _free(used)
                    return event._replace(op=number, value=self._messages[event.op])
                return event._replace(op=number)
            case "return" | "raise":
                value = self._messages.get(event.value, 0) if isinstance(event.value, int) else event.value
                return event._replace(op=self._operations.pop(event.op), value=value)
            case "cancel":
                return event._replace(op=self._operations[event.op])
        return event


def _messages(state: State) -> set[Message]:
    """All messages that are buffered or on their way."""
    on_their_way = {op.value for op in state.operations if op.kind == "send"}
    taken = {op.outcome.value for op in state.operations if op.kind in READS and op.outcome}
    return on_their_way.union(taken, *(s.buffer for s in state.subscribers))


def _free(used: Iterable[object]) -> int:
    return next(number for number in count(1) if number not in set(used))
