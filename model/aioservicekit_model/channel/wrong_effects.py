"""The effects of mistakes: each function is one wrong effect, and yields all states to which it may lead.

`mistakes` says which rule each of them breaks, and which action it replaces.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations
from typing import TypeVar

from .history import CLOSED, EXHAUSTED
from .machine import (
    CLOSED_PHASE,
    FAIL,
    INITIATION,
    OPEN,
    RUN_OUT,
    Message,
    Operation,
    Outcome,
    State,
    Subscriber,
    ahead,
    close,
    closed_channel,
    commit,
    disconnected,
    fail,
    give_up,
    join,
    may,
)
from .past import Past, StateWithPast

HAVING_DELIVERED = Outcome("fail having delivered", CLOSED)
NEVER = Outcome("never end")
Some = TypeVar("Some")


def some(items: Iterable[Some]) -> Iterator[tuple[Some, ...]]:
    """Every subset of the items: none, each one, each pair and so on."""
    items = tuple(items)
    return (chosen for count in range(len(items) + 1) for chosen in combinations(items, count))


# ------------------------------------------------------------------------------------------------------------------ joining


def join_with_another_default(state: State, op: Operation, past: Past) -> Iterator[State]:
    """Unbounded or another subscriber's size, instead of the default."""
    for size in {0, *(s.size for s in state.subscribers)}:
        yield join(state, op._replace(value=size))


def join_with_the_default(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield join(state, op._replace(value=None))


def join_opening_or_not(state: State, op: Operation, past: Past) -> Iterator[State]:
    for phase in (INITIATION, OPEN):
        yield join(state, op)._replace(phase=phase)


def join_with_recent(state: State, op: Operation, past: Past) -> Iterator[State]:
    return join_with(past.recent, state, op)


def join_with_unheard(state: State, op: Operation, past: Past) -> Iterator[State]:
    return join_with(past.unheard, state, op)


def join_with(messages: tuple[Message, ...], state: State, op: Operation) -> Iterator[State]:
    for start in range(len(messages)):
        after = join(state, op)
        yield after.with_subscriber(after.subscriber(op.on)._replace(buffer=messages[start:]))


def join_what_is_closed(state: State, op: Operation, past: Past) -> Iterator[State]:
    after = join(state, op)
    yield after
    yield disconnected(after, op.on)


# ------------------------------------------------------------------------------------------------------------------ sending


def put(state: State, message: Message, to: Iterable[Subscriber], from_end: int = 0) -> State:
    for s in to:
        buffer = state.subscriber(s.name).buffer
        at = len(buffer) - from_end
        state = state.with_subscriber(s._replace(buffer=(*buffer[:at], message, *buffer[at:])))
    return state


def deliver_to_one(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    """Each subscriber still gets its messages in the order of the sends."""
    for s in state.connected:
        overtaken = [other for other in ahead(state, op) if (other.number, s.name) not in past.delivered]
        if not s.full and not overtaken and (op.number, s.name) not in past.delivered:
            delivered = (*past.delivered, (op.number, s.name))
            yield StateWithPast(put(state, op.value, [s]), past._replace(delivered=delivered))


def commit_to_the_rest(state: State, op: Operation, past: Past) -> Iterator[State]:
    rest = [s for s in state.connected if (op.number, s.name) not in past.delivered]
    yield put(state, op.value, rest).settled(op, "return")


def commit_and_reach_some_late(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    for late in filter(None, some(state.connected)):
        after = put(state, op.value, [s for s in state.connected if s not in late]).settled(op, "return")
        arriving = (*past.arriving, *((s.name, op.value) for s in late))
        yield StateWithPast(after, past._replace(arriving=arriving))


def commit_and_wait(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    """At most twice, so that the number of states stays finite."""
    if not any(past.delivered.count((op.number, s.name)) > 1 for s in state.connected):
        delivered = (*past.delivered, *((op.number, s.name) for s in state.connected))
        yield StateWithPast(put(state, op.value, state.connected), past._replace(delivered=delivered))


def commit_in_different_orders(state: State, op: Operation, past: Past) -> Iterator[State]:
    """At least one subscriber gets the message last, and another gets it before its newest message."""
    for turned in some(s for s in state.connected if s.buffer):
        if turned and len(turned) < len(state.connected):
            after = put(state, op.value, [s for s in state.connected if s not in turned])
            yield put(after, op.value, turned, from_end=1).settled(op, "return")


def commit_past_newcomers(state: State, op: Operation, past: Past) -> Iterator[State]:
    for missed in some(s for s in state.connected if s.name in past.newcomers):
        yield put(state, op.value, [s for s in state.connected if s not in missed]).settled(op, "return")


def commit_twice_to_some(state: State, op: Operation, past: Past) -> Iterator[State]:
    for twice in some(state.connected):
        yield put(put(state, op.value, state.connected), op.value, twice).settled(op, "return")


def commit_to_closed(state: State, op: Operation, past: Past) -> Iterator[State]:
    for closed in some(s for s in state.subscribers if not s.connected):
        yield put(state, op.value, [*state.connected, *closed]).settled(op, "return")


def commit_to_everybody(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield put(state, op.value, state.subscribers).settled(op, "return")


def commit_to_earlier_ones(state: State, op: Operation, past: Past) -> Iterator[State]:
    """To some that have closed since, and not to some that have joined since."""
    for missed in filter(None, some(s for s in state.connected if s.name in past.newcomers)):
        for closed in filter(None, some(s for s in state.subscribers if not s.connected)):
            reached = [*(s for s in state.connected if s not in missed), *closed]
            yield put(state, op.value, reached).settled(op, "return")


def commit_too_often(state: State, op: Operation, past: Past) -> Iterator[State]:
    for more in some(state.subscribers):
        if {s.connected for s in more} == {True, False}:
            yield put(put(state, op.value, state.connected), op.value, more).settled(op, "return")


def commit_to_the_lingering(state: State, op: Operation, past: Past) -> Iterator[State]:
    lingering = [state.subscriber(name) for name, _ in past.lingering]
    if not is_held_back(state, op, past):
        yield put(state, op.value, [*state.connected, *lingering]).settled(op, "return")


def commit_to_reads_that_gave_up(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    """They still stand in line, and each takes a message, which is lost."""
    for lost in filter(None, some(s for s in state.connected if s.name in past.gave_up)):
        left = list(past.gave_up)
        for s in lost:
            left.remove(s.name)
        after = put(state, op.value, [s for s in state.connected if s not in lost]).settled(op, "return")
        yield StateWithPast(after, past._replace(gave_up=tuple(left)))


def fail_having_delivered(state: State, op: Operation, past: Past) -> Iterator[State]:
    for reached in some(state.subscribers):
        yield put(state, op.value, reached).settled(op, *HAVING_DELIVERED)


def give_up_having_delivered(state: State, op: Operation, past: Past) -> Iterator[State]:
    for reached in some(state.connected):
        yield give_up(put(state, op.value, reached), op)


def commit_all_the_same(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield commit(state, op)


def fail_instead(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield fail(state, op)


def return_undelivered(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state.settled(op, "return")


# ------------------------------------------------------------------------------------------------------------------ reading


def take_a_newer(state: State, op: Operation, past: Past) -> Iterator[State]:
    s = state.subscriber(op.on)
    for place in range(1, len(s.buffer)):
        left = s.buffer[:place] + s.buffer[place + 1 :]
        yield state.with_subscriber(s._replace(buffer=left)).settled(op, "return", s.buffer[place])


def take_and_leave(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state.settled(op, "return", state.subscriber(op.on).buffer[0])


def take_and_drop_the_next(state: State, op: Operation, past: Past) -> Iterator[State]:
    s = state.subscriber(op.on)
    if len(s.buffer) > 1:
        yield state.with_subscriber(s._replace(buffer=s.buffer[2:])).settled(op, "return", s.buffer[0])


def take_and_wait(state: State, op: Operation, past: Past) -> Iterator[State]:
    """The message is lost, and the read waits for the next one."""
    s = state.subscriber(op.on)
    yield state.with_subscriber(s._replace(buffer=s.buffer[1:]))


def put_back_last(state: State, op: Operation, past: Past) -> Iterator[State]:
    """Put back the message that the read has taken or would have taken, at the wrong end."""
    s = state.subscriber(op.on)
    if op.outcome is None:
        yield give_up(state.with_subscriber(s._replace(buffer=s.buffer[1:] + s.buffer[:1])), op)
    elif op.outcome.what == "return":
        yield give_up(state.with_subscriber(s._replace(buffer=(*s.buffer, op.outcome.value))), op)


def end_early(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state.settled(op, "raise", EXHAUSTED)


def end_with_an_error(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state.settled(op, "raise", CLOSED)


# ------------------------------------------------------------------------------------------------------------------ closing


def close_nothing(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state.settled(op, "return")


def close_later(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state


def still_to_close(name: str, past: Past) -> Past:
    return past._replace(closing=tuple(sorted({*past.closing, name})))


def close_after_the_return(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    if close(state, op) != state.settled(op, "return"):
        yield StateWithPast(state.settled(op, "return"), still_to_close(op.on, past))


def close_the_endpoint_alone(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield disconnected(state, op.on).settled(op, "return")


def close_the_endpoint_first(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    """It deserts the channel, which closes later."""
    if close(state, op).phase != state.phase:
        after = disconnected(state, op.on).settled(op, "return")
        yield StateWithPast(after, still_to_close(op.on, past))


def close_and_begin_anew(state: State, op: Operation, past: Past) -> Iterator[State]:
    if close(state, op).phase != state.phase:
        yield disconnected(state, op.on).settled(op, "return")._replace(phase=INITIATION)


def close_the_endpoints_alone(state: State, op: Operation, past: Past) -> Iterator[State]:
    """The channel stays what it was, or begins anew."""
    for phase in dict.fromkeys((state.phase, INITIATION)):
        yield close(state, op)._replace(phase=phase)


def close_never(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield state.settled(op, *NEVER)


def close_the_channel_too(state: State, op: Operation, past: Past) -> Iterator[State]:
    yield closed_channel(state).settled(op, "return")


def close_and_forget_endpoints(state: State, op: Operation, past: Past) -> Iterator[State]:
    """Any of the other endpoints may be forgotten, completely or except for the operations that wait on it."""
    after = close(state, op)
    if after.phase != CLOSED_PHASE:
        return
    endpoints = [p for p, connected in state.publishers if connected] + [s.name for s in state.connected]
    for kept in filter(None, some(name for name in endpoints if name != op.on)):
        left = after._replace(
            publishers=tuple((p, p in kept) for p, _ in state.publishers),
            subscribers=tuple(s if s.name in kept else after.subscriber(s.name) for s in state.subscribers),
        )
        yield left
        for each in after.operations:
            if each.on in kept and any(
                each.kind in action.kinds and may(action, after, each) for action in (FAIL, RUN_OUT)
            ):
                left = fail(left, each)
        yield left


def close_other_endpoints_last(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    for left in close_and_forget_endpoints(state, op, past):
        yield StateWithPast(left, still_to_close("channel", past))


def close_and_drop_messages(state: State, op: Operation, past: Past) -> Iterator[State]:
    """The newest are lost, or the oldest."""
    after = close(state, op)
    for emptied in some(s for s in after.subscribers if s.buffer and not s.connected):
        for lost in range(1, max((len(s.buffer) for s in emptied), default=0) + 1):
            for kept in (slice(-lost), slice(lost, None)):
                yield after._replace(
                    subscribers=tuple(
                        s._replace(buffer=s.buffer[kept]) if s in emptied else s for s in after.subscribers
                    )
                )


def close_and_go_on_receiving(state: State, op: Operation, past: Past) -> Iterator[StateWithPast]:
    """The closed subscriber holds back sends while it is full, or, as an unbounded one, never."""
    for size in {0, state.subscriber(op.on).size}:
        yield StateWithPast(close(state, op), past._replace(lingering=(*past.lingering, (op.on, size))))


def is_held_back(state: State, op: Operation, past: Past) -> bool:
    """Whether a closed subscriber that goes on receiving is full."""
    return any(0 < size <= len(state.subscriber(name).buffer) for name, size in past.lingering)


# --------------------------------------------------------------------------------------------------------------- what is late


def with_belated(now: StateWithPast) -> Iterator[StateWithPast]:
    """With what may have come late by now: what was still to close, and messages that were on their way, in their order."""
    yield now
    state, past = now
    if past.closing:
        name, *others = past.closing
        closed = close(state, Operation(0, "close", name, None))
        yield from with_belated(StateWithPast(closed, past._replace(closing=tuple(others))))
    if past.arriving:
        (name, message), *on_their_way = past.arriving
        if not state.subscriber(name).full:
            reached = put(state, message, [state.subscriber(name)])
            yield from with_belated(StateWithPast(reached, past._replace(arriving=tuple(on_their_way))))
