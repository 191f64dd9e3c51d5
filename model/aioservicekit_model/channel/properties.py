"""What the rules promise of a channel, as properties for the explorer to check, each with the rules that it stands for.

They say once more, of states and steps and of what came of all sends and reads, what the guards of the machine are to bring about.
None of them asks a guard.
"""

from collections.abc import Callable
from functools import partial

from ..explorer import DeadlockFree, Forbidden, Graph, Invariant, Property
from ..fairness import Leaving
from .forbidden import FORBIDDEN
from .history import JOINS, READS
from .machine import CLOSED_PHASE, OPEN, Message, Operation, State, Subscriber
from .world import CALL, ENDS, EVENTS, REST, Bounds, Label, World, channel

__all__ = ["is_full", "promises"]


def promises(bounds: Bounds) -> dict[str, Property[World, Label]]:
    """What is to hold whatever happens."""
    return {
        **{name: Invariant(partial(_of_channel, holds)) for name, holds in ALWAYS.items()},
        "each subscriber has the size asked for, or else the default (CH-2.2a, CH-2.2b)": Invariant(
            partial(has_its_size, bounds)
        ),
        **{name: Invariant(partial(_of_each_subscriber, holds)) for name, holds in RECEIVED.items()},
        **{name: Forbidden(partial(_forbidden, happens)) for name, happens in FORBIDDEN.items()},
        **{name: Forbidden(partial(_forbidden, partial(at_rest, waits))) for name, waits in AT_REST.items()},
        "with nobody calling anything, what must not wait goes on (CH-2.5, CH-3.4, CH-4.6)": DeadlockFree(
            goes_on, nothing_waits_wrongly
        ),
        "it is at rest where nothing goes on by itself, and nowhere else (CH-3.4, CH-4.6)": RestsWhereNothingGoesOn(),
        "a send ends if every subscriber is read again and again, or closes (CH-3.4)": Leaving(
            a_send_is_under_way, fair
        ),
        "a read ends if there is a message for it (CH-4.6)": Leaving(a_read_waits_beside_a_message, fair),
    }


# ------------------------------------------------------------------------------------------------------------ in every state


def _of_channel(holds: Callable[[State], bool], world: World) -> bool:
    return holds(channel(world))


ALWAYS: dict[str, Callable[[State], bool]] = {
    "it is open once it has a publisher and a subscriber, until one side has left (CH-1.1a, CH-1.2, CH-1.3a)": lambda s: (
        s.phase == CLOSED_PHASE or (s.phase == OPEN) == s.complete
    ),
    "all endpoints of a closed channel are closed (CH-1.6, CH-2.1)": lambda s: (
        s.phase != CLOSED_PHASE or not (s.connected or any(connected for _, connected in s.publishers))
    ),
    "no buffer holds more messages than its size (CH-3.2)": lambda s: all(
        subscriber.size == 0 or len(subscriber.buffer) <= subscriber.size for subscriber in s.subscribers
    ),
}


def has_its_size(bounds: Bounds, world: World) -> bool:
    sizes = {f"s{n}": bounds.default_size if size is None else size for n, size in enumerate(bounds.sizes, 1)}
    return all(subscriber.size == sizes[subscriber.name] for subscriber in channel(world).subscribers)


Messages = tuple[Message, ...]


def _of_each_subscriber(holds: Callable[[Messages, Messages], bool], world: World) -> bool:
    """What has committed while it was connected, and what its reads have taken, followed by what they still can take."""
    buffers = {subscriber.name: subscriber.buffer for subscriber in channel(world).subscribers}
    return all(
        holds(due, taken + buffers.get(f"s{n}", ()))
        for n, (due, taken) in enumerate(zip(world.due, world.taken, strict=True), 1)
    )


RECEIVED: dict[str, Callable[[Messages, Messages], bool]] = {
    "nothing that has committed is lost, or late"
    " (CH-2.4a, CH-3.1a, CH-3.1b, CH-3.8a, CH-4.2a, CH-4.4a, CH-4.5a, CH-4.7a)": lambda due, received: (
        set(due) <= set(received)
    ),
    "nobody receives a message twice (CH-2.4a, CH-3.1c, CH-4.4a)": lambda due, received: (
        len(set(received)) == len(received)
    ),
    "all or nothing: who receives a message was connected at its commit"
    " (CH-2.4b, CH-3.1a, CH-3.1c, CH-3.3b, CH-3.7b, CH-3.8a, CH-5.3a)": lambda due, received: set(received) <= set(due),
    "one order for all: that of the commits (CH-3.6, CH-4.1a, CH-4.5b)": lambda due, received: (
        [m for m in dict.fromkeys(received) if m in due] == [m for m in due if m in received]
    ),
}


# ------------------------------------------------------------------------------------------------------------------- at rest


def _forbidden(happens: Callable[[State, Label, State], bool], before: World, label: Label, after: World) -> bool:
    return happens(channel(before), label, channel(after))


def at_rest(waits: Callable[[State, Operation], bool], before: State, label: Label, after: State) -> bool:
    return label.step == REST and any(waits(before, op) for op in before.operations)


def is_full(subscriber: Subscriber) -> bool:
    return 0 < subscriber.size <= len(subscriber.buffer)


AT_REST: dict[str, Callable[[State, Operation], bool]] = {
    "at rest no join waits (CH-2.5)": lambda state, op: op.kind in JOINS,
    "at rest no closing waits (CH-1.4, CH-5.1b)": lambda state, op: op.kind == "close",
    "at rest no send waits that was asked to cancel (CH-3.8b)": lambda state, op: (
        op.kind == "send" and op.cancel_requested
    ),
    "at rest no send waits whose publisher is closed (CH-3.7a, CH-5.2a)": lambda state, op: (
        op.kind == "send" and (op.on, True) not in state.publishers
    ),
    "at rest no send waits though nobody is full (CH-3.3a, CH-3.4, CH-3.8c, CH-5.3b)": lambda state, op: (
        op.kind == "send" and not any(map(is_full, state.connected))
    ),
    "at rest no read waits that was asked to cancel (CH-4.5c)": lambda state, op: (
        op.kind in READS and op.cancel_requested
    ),
    "at rest no read waits beside a message (CH-4.5b, CH-4.6, CH-4.7a)": lambda state, op: (
        op.kind in READS and bool(state.subscriber(op.on).buffer)
    ),
    "at rest no read waits on a closed subscriber (CH-4.2b, CH-4.3, CH-4.5b, CH-4.7b)": lambda state, op: (
        op.kind in READS and not state.subscriber(op.on).connected
    ),
}


def nothing_waits_wrongly(world: World) -> bool:
    state = channel(world)
    return not any(waits(state, op) for op in state.operations for waits in AT_REST.values())


# ------------------------------------------------------------------------------------------------------------------ progress


def goes_on(label: Label) -> bool:
    """Whether it is a step that comes by itself."""
    return label.step == ENDS or label.step not in EVENTS


class RestsWhereNothingGoesOn:
    def counterexample(self, graph: Graph[World, Label]) -> list[Label] | None:
        for number in range(len(graph.states)):
            labels = [graph.labels[by] for by, _ in graph.steps(number)]
            if any(label.step == REST for label in labels) == any(map(goes_on, labels)):
                return graph.path(number)
        return None


def fair(label: Label) -> int | str | None:
    """What an operation does by itself is not put off for ever, nor is the reading of a subscriber."""
    if goes_on(label):
        return label.number
    return label.on if label.step == CALL and label.kind in READS else None


def a_send_is_under_way(world: World) -> bool:
    return any(op.kind == "send" for op in channel(world).operations)


def a_read_waits_beside_a_message(world: World) -> bool:
    state = channel(world)
    reads = (op for op in state.operations if op.kind in READS and op.outcome is None)
    return any(state.subscriber(op.on).buffer for op in reads)
