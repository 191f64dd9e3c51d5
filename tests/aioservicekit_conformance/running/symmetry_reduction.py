"""Symmetry reduction: histories that differ only in the numbers of operations and messages become the same one."""

from collections.abc import Iterable
from itertools import count

from aioservicekit_model.channel import State
from aioservicekit_model.history import Event

__all__ = ["SymmetryReduction"]


class SymmetryReduction:
    """Gives operations and messages small numbers that are used again when free, so that cases share what is remembered.

    The checker's answer is the same: it looks at numbers only to tell apart what there is at one time.
    """

    def __init__(self) -> None:
        self._operations: dict[int, int] = {}
        self._messages: dict[int, int] = {}

    def operation(self, number: int) -> int:
        return self._operations[number]

    def event(self, event: Event, states: frozenset[State]) -> Event:
        """The event, renamed. `states` tells which messages there still are."""
        match event.what:
            case "call":
                number = self._operations[event.op] = _free(self._operations.values())
                if event.kind == "send":
                    used = set().union(*(state.messages for state in states))
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


def _free(used: Iterable[object]) -> int:
    return next(number for number in count(1) if number not in set(used))
