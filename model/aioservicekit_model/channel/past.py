"""History variables: what mistakes have to remember about the past, and what no channel that keeps the rules needs."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .history import CANCELLED, READS
from .machine import INITIATION, Message, Operation, State, publisher_closed

__all__ = ["Past", "StateWithPast", "called", "ended", "remember"]

LAST = 3  # how many old messages are remembered


class Past(NamedTuple):
    """What is remembered: only what the mistakes of the relaxed rules look at."""

    seen: str = INITIATION  # the phase last observed
    recent: tuple[Message, ...] = ()  # the last messages that committed
    unheard: tuple[Message, ...] = ()  # the last messages that reached nobody, since one reached somebody
    newcomers: tuple[str, ...] = ()  # subscribers that have received nothing yet
    delivered: tuple[tuple[int, str], ...] = ()  # waiting sends, and subscribers that already have their message
    room: str = "read"  # what last made room: a "read", the "closing" of a full subscriber, or a "cancellation"
    gave_up: tuple[str, ...] = ()  # for each read that has given up: its subscriber
    late: tuple[int, ...] = ()  # operations called on a closed endpoint on which nothing waited
    lingering: tuple[tuple[str, int], ...] = ()  # closed subscribers that go on receiving, with their sizes
    closing: tuple[str, ...] = ()  # what is still to close, after its closing has returned
    arriving: tuple[tuple[str, Message], ...] = ()  # committed messages that have not reached these subscribers yet


class StateWithPast(NamedTuple):
    state: State
    past: Past = Past()


Update = Callable[[Past, State, Operation, State], Any]


def committed(op: Operation, after: State) -> bool:
    return op.kind == "send" and after.operation(op.number).outcome == ("return", None)


def given_up(op: Operation, after: State) -> bool:
    return after.operation(op.number).outcome == ("raise", CANCELLED)


def waiting(state: State, kinds: Iterable[str]) -> list[Operation]:
    return [op for op in state.operations if op.kind in kinds and op.outcome is None]


def recent(past: Past, before: State, op: Operation, after: State) -> Any:
    return (*past.recent, op.value)[-LAST:] if committed(op, after) else past.recent


def unheard(past: Past, before: State, op: Operation, after: State) -> Any:
    if not committed(op, after):
        return past.unheard
    return () if before.connected else (*past.unheard, op.value)[-LAST:]


def newcomers(past: Past, before: State, op: Operation, after: State) -> Any:
    if committed(op, after):
        return tuple(name for name in past.newcomers if after.subscriber(name) == before.subscriber(name))
    has_joined = op.kind == "subscribe" and after.operation(op.number).outcome == ("return", None)
    return (*past.newcomers, op.on) if has_joined else past.newcomers


def room(past: Past, before: State, op: Operation, after: State) -> Any:
    """A send that gave up may hold up everything behind it until the line is empty."""
    if op.kind == "send" and given_up(op, after):
        return "cancellation"
    if any(s.full and not after.subscriber(s.name).connected for s in before.subscribers):
        return "closing"
    takes = op.kind in READS and before.subscriber(op.on).full and not after.subscriber(op.on).full
    if takes or committed(op, after):
        kept = past.room == "cancellation" and (takes or len(waiting(before, ["send"])) > 1)
        return "cancellation" if kept else "read"
    return past.room


def gave_up(past: Past, before: State, op: Operation, after: State) -> Any:
    gives_up = op.kind in READS and op.outcome is None and given_up(op, after)
    return (*past.gave_up, op.on) if gives_up else past.gave_up


UPDATES: dict[str, Update] = {update.__name__: update for update in (recent, unheard, newcomers, room, gave_up)}


def remember(wanted: Iterable[str], past: Past, before: State, op: Operation, after: State) -> Past:
    """The past that belongs to the state after an action."""
    changed: dict[str, Any] = {name: UPDATES[name](past, before, op, after) for name in wanted if name in UPDATES}
    return past._replace(**changed) if changed else past


def called(past: Past, before: State, op: Operation) -> Past:
    """The past after an operation has been called."""
    if op.kind in READS:
        late = not before.subscriber(op.on).connected and not any(r.on == op.on for r in waiting(before, READS))
    else:
        late = op.kind == "send" and publisher_closed(before, op)
    return past._replace(late=(*past.late, op.number)) if late else past


def ended(past: Past, op: Operation) -> Past:
    """The past after an operation has ended."""
    if not (past.delivered or past.late):
        return past
    return past._replace(
        delivered=tuple(each for each in past.delivered if each[0] != op.number),
        late=tuple(number for number in past.late if number != op.number),
    )
