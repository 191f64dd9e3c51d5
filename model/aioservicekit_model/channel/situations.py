"""What is to come about in an exploration of the channel: if it never does, what was checked of it says nothing."""

from collections.abc import Callable
from functools import partial

from ..explorer import Property, Sometimes
from .history import READS
from .machine import OPEN, Operation, State
from .properties import is_full
from .world import Bounds, Label, World, channel

__all__ = ["situations"]


def situations(bounds: Bounds) -> dict[str, Property[World, Label]]:
    """What is to come about somewhere, as far as the bounds let it."""
    found = dict(OF_ANY)
    sizes = [bounds.default_size if size is None else size for size in bounds.sizes]
    if any(0 < size < bounds.publishers * bounds.messages for size in sizes):
        found |= OF_ROOM
    if len(sizes) > 1:
        found |= OF_SEVERAL
    if bounds.closings:
        found |= OF_CLOSINGS
    if not bounds.joined:
        found |= OF_JOINS
    if bounds.cancellations:
        found |= OF_CANCELLATIONS
    if bounds.waiting > 1:
        found |= OF_LINES
    return {name: Sometimes(partial(_of_some_operation, happens)) for name, happens in found.items()}


Happens = Callable[[State, Operation], bool]


def _of_some_operation(happens: Happens, world: World) -> bool:
    state = channel(world)
    return any(happens(state, op) for op in state.operations)


def waits(op: Operation, kinds: tuple[str, ...]) -> bool:
    return op.kind in kinds and op.outcome is None


OF_ANY: dict[str, Happens] = {
    "a send commits at once": lambda state, op: (
        waits(op, ("send",)) and state.phase == OPEN and not any(map(is_full, state.connected))
    ),
    "a read waits for a message": lambda state, op: (
        waits(op, READS) and state.phase == OPEN and not state.subscriber(op.on).buffer
    ),
}

OF_ROOM: dict[str, Happens] = {
    "a send waits for room": lambda state, op: (
        waits(op, ("send",)) and (op.on, True) in state.publishers and any(map(is_full, state.connected))
    ),
}

OF_SEVERAL: dict[str, Happens] = {
    "a send waits for one of several subscribers": lambda state, op: (
        waits(op, ("send",)) and {True, False} <= {is_full(subscriber) for subscriber in state.connected}
    ),
}

OF_CLOSINGS: dict[str, Happens] = {
    "a send waits on a publisher that has closed": lambda state, op: (
        waits(op, ("send",)) and (op.on, False) in state.publishers
    ),
    "a read waits on a subscriber that has closed and is empty": lambda state, op: (
        waits(op, READS) and state.subscriber(op.on)[2:] == ((), False)
    ),
    "what a closed subscriber holds is read": lambda state, op: (
        waits(op, READS) and not state.subscriber(op.on).connected and bool(state.subscriber(op.on).buffer)
    ),
}

OF_JOINS: dict[str, Happens] = {
    "a message is sent to nobody": lambda state, op: waits(op, ("send",)) and not state.subscribers,
    "a subscriber joins while a message is under way": lambda state, op: (
        waits(op, ("subscribe",)) and any(waits(other, ("send",)) for other in state.operations)
    ),
}

OF_CANCELLATIONS: dict[str, Happens] = {
    "a send that waits is asked to cancel": lambda state, op: waits(op, ("send",)) and op.cancel_requested,
    "a send that has committed is asked to cancel": lambda state, op: (
        op.kind == "send" and op.outcome == ("return", None) and op.cancel_requested
    ),
    "a read that has its message is asked to cancel": lambda state, op: (
        op.kind in READS and op.outcome is not None and op.outcome.what == "return" and op.cancel_requested
    ),
}

OF_LINES: dict[str, Happens] = {
    "reads wait in line": lambda state, op: (
        waits(op, READS)
        and any(waits(other, READS) and other != op and other.on == op.on for other in state.operations)
    ),
}
