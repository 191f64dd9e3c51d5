"""The channel's states and its table of guarded transitions: the specification's rules CH-1 to CH-5, executable.

How to read it
--------------

A `State` is all that matters of a channel at one instant, the operations that have been called and have not ended included.
Three tables at the end of this file say how one state follows another; nothing else does:

* `ON_EVENT`: what an event that is seen from outside (a call, a return, an observation) does to the state;
* `UNSEEN`: what may happen between events (a message commits, a read takes one, an operation is decided to fail);
* `AT_REST`: what must have happened when nothing is left to run.

A row is permitted when all its guards hold. Each guard carries the rule that it stands for, so that a rule of
`specs/channel.md` is found here by its id. Several rows may be permitted at once: the rules leave that much freedom.

Relaxing a rule removes its guards. Rows guarded by `never` are the natural mistakes: with their rule in force they are
forbidden, with it relaxed they can be taken. So `relaxed={"CH-3.1"}` is the model of a channel that may deliver to some.

An operation is *undecided* while it waits, and *decided* from the instant at which its outcome is settled: a send at its commit,
a read when it takes its message. It ends, and is seen to end, some time later.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from itertools import combinations
from typing import NamedTuple, TypeVar

from .history import CANCELLED, CLOSED, EXHAUSTED, JOINS, READS, Event

__all__ = [
    "AT_REST",
    "ON_EVENT",
    "RULES_OF_THE_TABLE",
    "UNSEEN",
    "Op",
    "State",
    "Subscriber",
    "initial",
    "overdue",
    "see",
    "unseen",
]

INITIATION, OPEN, CLOSED_STATE = STATES = ("initiation", "open", "closed")

Message = int | str | None
Messages = tuple[Message, ...]


class Outcome(NamedTuple):
    """How an operation is going to end: what="return" with a value, or what="raise" with an error's name."""

    what: str
    value: int | str | None = None


class Op(NamedTuple):
    """An operation that has been called and has not ended."""

    number: int
    kind: str
    on: str
    value: int | str | None
    outcome: Outcome | None = None
    cancelled: bool = False
    late: bool = False  # a read that was called when its subscriber had closed and no other waited
    reached: tuple[str, ...] = ()  # who has its message ahead of the commit; only ever with CH-3.1 relaxed
    kept: bool = False  # its publisher has closed and goes on sending it; only ever with CH-5.2 relaxed


class Subscriber(NamedTuple):
    name: str
    size: int
    buffer: Messages = ()
    connected: bool = True  # a commit reaches it, and holds back while it is full
    closed: bool = False  # its reads fail when the buffer is empty
    new: bool = True  # nothing has been committed since it joined
    due: str = "CH-4.6"  # the rule by which its first read is to go on, if its buffer holds a message

    @property
    def full(self) -> bool:
        return self.connected and 0 < self.size <= len(self.buffer)


class State(NamedTuple):
    phase: str = INITIATION
    default_size: int = 0
    publishers: tuple[tuple[str, bool], ...] = ()  # name, connected
    subscribers: tuple[Subscriber, ...] = ()
    ops: tuple[Op, ...] = ()  # in the order of their calls
    due: str = "CH-3.4"  # the rule by which the first waiting send is to go on, if no subscriber is full
    seen: str = INITIATION  # the phase that was last observed; only ever kept with CH-1.7 relaxed
    log: Messages = ()  # the last messages that committed; what a replay (against CH-2.4) would bring
    unheard: Messages = ()  # the last messages that went to nobody, since one went to somebody

    # Looking something up

    def subscriber(self, name: str) -> Subscriber:
        return next(s for s in self.subscribers if s.name == name)

    def op(self, number: int) -> Op:
        return next(op for op in self.ops if op.number == number)

    @property
    def connected(self) -> tuple[Subscriber, ...]:
        return tuple(s for s in self.subscribers if s.connected)

    @property
    def messages(self) -> set[Message]:
        """All that are buffered, or on their way."""
        on_their_way = {op.value for op in self.ops if op.kind == "send"}
        taken = {op.outcome.value for op in self.ops if op.kind in READS and op.outcome}
        return on_their_way.union(taken, *(s.buffer for s in self.subscribers))

    @property
    def sends(self) -> tuple[Op, ...]:
        """The line of sends: those that wait and whose publisher is connected."""
        return tuple(
            op for op in self.ops if op.kind == "send" and op.outcome is None and publisher_connected(self, op)
        )

    def reads(self, subscriber: str) -> tuple[Op, ...]:
        """The line of reads of one subscriber."""
        return tuple(op for op in self.ops if op.on == subscriber and op.kind in READS and op.outcome is None)

    # Changing something

    def with_op(self, op: Op) -> "State":
        return self._replace(ops=tuple(op if o.number == op.number else o for o in self.ops))

    def decided(self, op: Op, what: str, value: int | str | None = None) -> "State":
        return self.with_op(op._replace(outcome=Outcome(what, value)))

    def without_op(self, op: Op) -> "State":
        return self._replace(ops=tuple(o for o in self.ops if o.number != op.number))

    def with_subscriber(self, subscriber: Subscriber) -> "State":
        return self._replace(
            subscribers=tuple(subscriber if s.name == subscriber.name else s for s in self.subscribers)
        )


Some = TypeVar("Some")


def some(items: Iterable[Some]) -> Iterator[tuple[Some, ...]]:
    """Every choice of some of the items: none, each, each pair and so on."""
    items = tuple(items)
    return (chosen for count in range(len(items) + 1) for chosen in combinations(items, count))


# ----------------------------------------------------------------------------------------------------------- predicates


def never(state: State, op: Op) -> bool:
    return False


def channel_closed(state: State, op: Op) -> bool:
    return state.phase == CLOSED_STATE


def publisher_connected(state: State, op: Op) -> bool:
    return op.kept or (op.on, True) in state.publishers


def publisher_closed(state: State, op: Op) -> bool:
    return (op.on, True) not in state.publishers


def nobody_full(state: State, op: Op) -> bool:
    return not any(s.full for s in state.subscribers)


def ahead(line: tuple[Op, ...], op: Op) -> tuple[Op, ...]:
    """Those that were called before it and still wait: a line is in the order of the calls."""
    return line[: line.index(op)] if op in line else line


def first_of_sends(state: State, op: Op) -> bool:
    return not any(not (send.cancelled or send.kept) for send in ahead(state.sends, op))


def first_of_reads(state: State, op: Op) -> bool:
    return not any(not read.cancelled for read in ahead(state.reads(op.on), op))


def subscriber_closed(state: State, op: Op) -> bool:
    return state.subscriber(op.on).closed


def nothing_left_for_it(state: State, op: Op) -> bool:
    return state.reads(op.on).index(op) >= len(state.subscriber(op.on).buffer)


def not_committed(state: State, op: Op) -> bool:
    return (op.outcome is None or op.outcome.what == "raise") and not op.reached


def nothing_taken(state: State, op: Op) -> bool:
    return op.outcome is None or op.outcome.what == "raise"


def can_commit(state: State, op: Op) -> bool:
    return op in state.sends and first_of_sends(state, op) and nobody_full(state, op)


def can_take(state: State, op: Op) -> bool:
    return op.outcome is None and bool(state.subscriber(op.on).buffer) and first_of_reads(state, op)


def can_end(state: State, op: Op) -> bool:
    return op.outcome is None and subscriber_closed(state, op) and nothing_left_for_it(state, op)


# -------------------------------------------------------------------------------------------------------------- joining


def joined(state: State, op: Op, size: int, backlog: Messages = ()) -> State:
    if op.kind == "connect":
        state = state._replace(publishers=(*state.publishers, (op.on, True)))
    else:
        state = state._replace(subscribers=(*state.subscribers, Subscriber(op.on, size, backlog)))
    return state.decided(op, "return")


def complete(state: State) -> bool:
    return any(s.connected and not s.closed for s in state.subscribers) and any(
        connected for _, connected in state.publishers
    )


def own_size(state: State, op: Op) -> int:
    return state.default_size if op.value is None else int(op.value)


def join(state: State, op: Op) -> Iterator[State]:
    yield from join_sized(state, op, own_size(state, op))


def join_with_another_size(state: State, op: Op) -> Iterator[State]:
    """The default in place of an own size; unbounded, or another subscriber's size, in place of the default."""
    for size in {0, *(s.size for s in state.subscribers)} if op.value is None else {state.default_size}:
        yield from join_sized(state, op, size)


def join_sized(state: State, op: Op, size: int, backlog: Messages = ()) -> Iterator[State]:
    after = joined(state, op, size, backlog)
    yield after._replace(phase=OPEN) if after.phase == INITIATION and complete(after) else after


def join_with_what_nobody_got(state: State, op: Op) -> Iterator[State]:
    for start in range(len(state.unheard)):
        yield from join_sized(state, op, own_size(state, op), state.unheard[start:])


def join_with_old_messages(state: State, op: Op) -> Iterator[State]:
    for start in range(len(state.log)):
        yield from join_sized(state, op, own_size(state, op), state.log[start:])


def join_opening_or_not(state: State, op: Op) -> Iterator[State]:
    for phase in (INITIATION, OPEN):
        yield joined(state, op, own_size(state, op))._replace(phase=phase)


def join_what_is_closed(state: State, op: Op) -> Iterator[State]:
    after = joined(state, op, own_size(state, op))
    yield after
    yield disconnected(after, op.on)


def refuse(state: State, op: Op) -> Iterator[State]:
    yield state.decided(op, "raise", CLOSED)


# -------------------------------------------------------------------------------------------------------------- sending


def put(subscriber: Subscriber, message: Message, place: int | None = None) -> Subscriber:
    at = len(subscriber.buffer) if place is None else place
    return subscriber._replace(
        buffer=(*subscriber.buffer[:at], message, *subscriber.buffer[at:]), new=False, due="CH-4.6"
    )


def after_progress(state: State) -> str:
    """A send that was cancelled may hold up all that were behind it, until the line is empty."""
    return "CH-3.8" if state.due == "CH-3.8" and len(state.sends) > 1 else "CH-3.4"


def delivered(state: State, op: Op, to: Iterable[Subscriber]) -> State:
    names = {s.name for s in to}
    return state._replace(
        subscribers=tuple(put(s, op.value) if s.name in names else s for s in state.subscribers),
        due=after_progress(state),
        log=(*state.log, op.value)[-3:],
        unheard=() if names else (*state.unheard, op.value)[-3:],
    )


def commit(state: State, op: Op) -> Iterator[State]:
    yield delivered(state, op, [s for s in state.connected if s.name not in op.reached]).decided(op, "return")


def deliver_to_one(state: State, op: Op) -> Iterator[State]:
    for s in state.connected:
        before = [send for send in ahead(state.sends, op) if s.name not in send.reached]
        if not s.full and s.name not in op.reached and not before:
            yield state.with_subscriber(put(s, op.value)).with_op(op._replace(reached=(*op.reached, s.name)))


def commit_again(state: State, op: Op) -> Iterator[State]:
    names = (s.name for s in state.connected)
    yield delivered(state, op, state.connected).with_op(op._replace(reached=(*op.reached, *names)))


def commit_and_leave_out_who_has_closed(state: State, op: Op) -> Iterator[State]:
    for after in commit(state, op):
        yield after._replace(
            subscribers=tuple(s._replace(connected=s.connected and not s.closed) for s in after.subscribers)
        )


def return_undelivered(state: State, op: Op) -> Iterator[State]:
    yield state.decided(op, "return")


def commit_in_different_orders(state: State, op: Op) -> Iterator[State]:
    """At least one subscriber gets the message last, and another one gets it before the one that it has already."""
    for turned in some(s for s in state.connected if s.buffer):
        if turned and len(turned) < len(state.connected):
            after = delivered(state, op, [s for s in state.connected if s not in turned])
            for s in turned:
                after = after.with_subscriber(put(s, op.value, len(s.buffer) - 1))
            yield after.decided(op, "return")


def commit_once_more_or_less(state: State, op: Op) -> Iterator[State]:
    """Some that have just joined miss the message, or some subscribers get it twice or though they have closed."""
    for missing in some(s for s in state.connected if s.new):
        yield delivered(state, op, [s for s in state.connected if s not in missing]).decided(op, "return")
    after = delivered(state, op, state.connected).decided(op, "return")
    for more in some(state.subscribers):
        both = after
        for s in more:
            both = both.with_subscriber(put(both.subscriber(s.name), op.value))
        yield both


def fail(state: State, op: Op) -> Iterator[State]:
    yield state.decided(op, "raise", CLOSED)


def fail_having_delivered(state: State, op: Op) -> Iterator[State]:
    before = op.reached if op.outcome is None else tuple(s.name for s in state.subscribers)
    for reached in some(s for s in state.subscribers if s.name not in op.reached):
        marked = op._replace(reached=(*before, *(s.name for s in reached)))  # it can't give up any more
        yield delivered(state, op, reached).decided(marked, "raise", CLOSED)


# -------------------------------------------------------------------------------------------------------------- reading


def taken(state: State, op: Op, place: int) -> State:
    s = state.subscriber(op.on)
    if s.full:
        state = state._replace(due="CH-3.8" if state.due == "CH-3.8" else "CH-3.4")
    held_up = s.due == "CH-4.5" and len(state.reads(op.on)) > 1
    after = s._replace(buffer=s.buffer[:place] + s.buffer[place + 1 :], due="CH-4.5" if held_up else "CH-4.6")
    return state.with_subscriber(after).decided(op, "return", s.buffer[place])


def take(state: State, op: Op) -> Iterator[State]:
    if state.subscriber(op.on).buffer:
        yield taken(state, op, 0)


def take_a_newer(state: State, op: Op) -> Iterator[State]:
    for place in range(1, len(state.subscriber(op.on).buffer)):
        yield taken(state, op, place)


def take_and_leave(state: State, op: Op) -> Iterator[State]:
    for message in state.subscriber(op.on).buffer[:1]:
        yield state.decided(op, "return", message)


def take_and_drop_the_next(state: State, op: Op) -> Iterator[State]:
    s = state.subscriber(op.on)
    if len(s.buffer) > 1:
        yield state.with_subscriber(s._replace(buffer=s.buffer[2:])).decided(op, "return", s.buffer[0])


def end(state: State, op: Op) -> Iterator[State]:
    yield state.decided(op, "raise", EXHAUSTED if op.kind == "next" else CLOSED)


def end_iteration_otherwise(state: State, op: Op) -> Iterator[State]:
    yield state.decided(op, "raise", CLOSED)
    yield state.decided(op, "raise", EXHAUSTED)


# ----------------------------------------------------------------------------------------------------------- cancelling


def give_up(state: State, op: Op) -> Iterator[State]:
    yield given_up(state, op)


def given_up(state: State, op: Op) -> State:
    if op.kind == "send":
        state = state._replace(due="CH-3.8")
    if op.kind in READS:
        state = state.with_subscriber(state.subscriber(op.on)._replace(due="CH-4.5"))
    return state.decided(op, "raise", CANCELLED)


def give_up_having_joined(state: State, op: Op) -> Iterator[State]:
    if op.outcome is None:
        for after in join(state, op) if state.phase != CLOSED_STATE else ():
            yield after.decided(op, "raise", CANCELLED)
    elif op.outcome.what == "return":
        yield state.decided(op, "raise", CANCELLED)


def give_up_having_delivered(state: State, op: Op) -> Iterator[State]:
    for reached in some(s for s in state.connected if s.name not in op.reached):
        yield given_up(delivered(state, op, reached), op)


def give_up_and_put_back_last(state: State, op: Op) -> Iterator[State]:
    """The message that it has taken, or that it would have taken."""
    s = state.subscriber(op.on)
    if op.outcome is None:
        yield given_up(state.with_subscriber(s._replace(buffer=s.buffer[1:] + s.buffer[:1])), op)
    elif op.outcome.what == "return":
        yield given_up(state.with_subscriber(s._replace(buffer=(*s.buffer, op.outcome.value))), op)


# -------------------------------------------------------------------------------------------------------------- closing


def disconnected(state: State, name: str) -> State:
    """`name` is no longer an endpoint: nothing of the channel's own state changes yet."""
    lifted = any(s.full and s.name == name for s in state.subscribers)
    return state._replace(
        publishers=tuple((p, connected and p != name) for p, connected in state.publishers),
        subscribers=tuple(s._replace(connected=False, closed=True) if s.name == name else s for s in state.subscribers),
        due="CH-5.3" if lifted else state.due,
    )


def closed(state: State) -> State:
    """The channel is closed, and at that instant all its endpoints (CH-1.6)."""
    for name in [p for p, _ in state.publishers] + [s.name for s in state.subscribers]:
        state = disconnected(state, name)
    return state._replace(phase=CLOSED_STATE)


def close_now(state: State, op: Op) -> State:
    if op.on == "channel":
        return closed(state)
    after = disconnected(state, op.on)
    return closed(after) if after.phase == OPEN and not complete(after) else after


def close(state: State, op: Op) -> Iterator[State]:
    yield close_now(state, op).decided(op, "return")
    if op.on == "channel" and state.phase == CLOSED_STATE:  # again; a relaxed rule may have left something to close
        yield state.decided(op, "return")


def close_the_channel_without_effect(state: State, op: Op) -> Iterator[State]:
    if op.on == "channel":
        yield state.decided(op, "return")


def close_later(state: State, op: Op) -> Iterator[State]:
    yield state


def close_an_endpoint_alone(state: State, op: Op) -> Iterator[State]:
    if op.on != "channel":
        yield disconnected(state, op.on).decided(op, "return")


def close_an_endpoint_and_the_channel(state: State, op: Op) -> Iterator[State]:
    if op.on != "channel":
        yield closed(state).decided(op, "return")


def close_the_state_alone(state: State, op: Op) -> Iterator[State]:
    """Each endpoint but the one in question may have been forgotten, or all of it but the operations that wait on it."""
    after = close_now(state, op)
    if after.phase == CLOSED_STATE:
        endpoints = [p for p, connected in state.publishers if connected] + [s.name for s in state.connected]
        for kept in some(name for name in endpoints if name != op.on):
            left = after._replace(
                publishers=tuple((p, p in kept) for p, _ in state.publishers),
                subscribers=tuple(s if s.name in kept else after.subscriber(s.name) for s in state.subscribers),
            ).decided(op, "return")
            yield left
            for each in after.ops:
                if each.on in kept and each.outcome is None and (each.kind == "send" or can_end(after, each)):
                    left = next(iter(end(left, each)))
            yield left


def close_and_drop_messages(state: State, op: Op) -> Iterator[State]:
    after = close_now(state, op).decided(op, "return")
    for emptied in some(s for s in after.subscribers if s.buffer and s.closed):
        for keep in range(max((len(s.buffer) for s in emptied), default=0)):
            yield after._replace(
                subscribers=tuple(s._replace(buffer=s.buffer[:keep]) if s in emptied else s for s in after.subscribers)
            )


def close_and_go_on_receiving(state: State, op: Op) -> Iterator[State]:
    """Holding sends back while it is full, or, of no size any more, nobody; or without having closed at all."""
    for s in state.subscribers:
        if s.name == op.on and s.connected:
            after = close_now(state, op).decided(op, "return")
            yield after.with_subscriber(after.subscriber(s.name)._replace(connected=True))
            yield after.with_subscriber(after.subscriber(s.name)._replace(connected=True, size=0))
            yield state.decided(op, "return")


def close_a_publisher_and_keep_its_sends(state: State, op: Op) -> Iterator[State]:
    after = close_now(state, op).decided(op, "return")
    if after.phase != CLOSED_STATE:
        kept = {send.number for send in state.sends if send.on == op.on}
        yield after._replace(ops=tuple(each._replace(kept=each.number in kept) for each in after.ops))


# ----------------------------------------------------------------------------------------------------- what rows are about


def waits(state: State, op: Op) -> bool:
    return op.outcome is None


def waits_cancelled(state: State, op: Op) -> bool:
    return op.outcome is None and op.cancelled


def waits_half_way(state: State, op: Op) -> bool:
    """Some have its message already, and others do not; only ever with CH-3.1 relaxed."""
    return op.outcome is None and 0 < len(op.reached) < len(state.subscribers)


def has_failed_with_its_publisher(state: State, op: Op) -> bool:
    return op.cancelled and op.outcome == ("raise", CLOSED) and publisher_closed(state, op)


def waits_having_reached_all(state: State, op: Op) -> bool:
    """All have its message, and none has it three times."""
    return op.outcome is None and all(op.reached.count(s.name) in (1, 2) for s in state.connected)


def waits_beside_a_closed_subscriber(state: State, op: Op) -> bool:
    return op.outcome is None and any(s.connected and s.closed for s in state.subscribers)


def waits_cancelled_half_way(state: State, op: Op) -> bool:
    return op.cancelled and waits_half_way(state, op)


def cancelled(state: State, op: Op) -> bool:
    return op.cancelled


def waits_in_initiation(state: State, op: Op) -> bool:
    return op.outcome is None and state.phase == INITIATION


def waits_on_a_closed_channel(state: State, op: Op) -> bool:
    return op.outcome is None and state.phase == CLOSED_STATE


def waits_with_nobody_connected(state: State, op: Op) -> bool:
    return op.outcome is None and not state.connected


def waits_while_another_publisher_is_closed(state: State, op: Op) -> bool:
    return op.outcome is None and any(p != op.on and not connected for p, connected in state.publishers)


def waits_behind_a_cancelled_send(state: State, op: Op) -> bool:
    return op.outcome is None and state.due == "CH-3.8"


def has_not_failed(state: State, op: Op) -> bool:
    return op.outcome is None or op.outcome.what == "return"


def always(state: State, op: Op) -> bool:
    return True


def closed_already(state: State, op: Op) -> bool:
    return (op.on, False) in state.publishers or any(s.name == op.on and s.closed for s in state.subscribers)


def in_initiation(state: State, op: Op) -> bool:
    return state.phase == INITIATION


def in_open(state: State, op: Op) -> bool:
    return state.phase == OPEN


def channel_not_closed(state: State, op: Op) -> bool:
    return state.phase != CLOSED_STATE


def as_decided(op: Op, event: Event) -> bool:
    return op.outcome == (event.what, event.value)


def cancelled_as_requested(op: Op, event: Event) -> bool:
    return op.cancelled and (event.what, event.value) == ("raise", CANCELLED)


def cancelled_of_its_own_accord(op: Op, event: Event) -> bool:
    return not op.cancelled and (event.what, event.value) == ("raise", CANCELLED)


def raises(op: Op, event: Event) -> bool:
    return event.what == "raise"


def raises_what_nobody_expects(op: Op, event: Event) -> bool:
    return event.what == "raise" and event.value not in (CLOSED, CANCELLED, EXHAUSTED)


def raises_or_returns_no_message(op: Op, event: Event) -> bool:
    return raises_what_nobody_expects(op, event) or (event.what == "return" and not isinstance(event.value, int))


def could_go(state: State, op: Op) -> bool:
    return can_commit(state, op) or (op.outcome is not None and op.outcome.what == "return")


def goes_to_nobody(state: State, op: Op) -> bool:
    return not state.connected and could_go(state, op)


def could_go_after_a_read(state: State, op: Op) -> bool:
    return bool(state.connected) and could_go(state, op) and state.due == "CH-3.4"


def could_go_after_a_closing(state: State, op: Op) -> bool:
    return bool(state.connected) and could_go(state, op) and state.due == "CH-5.3"


def could_go_after_a_cancellation(state: State, op: Op) -> bool:
    return bool(state.connected) and could_go(state, op) and state.due == "CH-3.8"


def should_fail_with_its_publisher(state: State, op: Op) -> bool:
    return should_fail(state, op) and channel_not_closed(state, op)


def should_fail_with_the_channel(state: State, op: Op) -> bool:
    return should_fail(state, op) and channel_closed(state, op)


def should_fail(state: State, op: Op) -> bool:
    return publisher_closed(state, op) and not op.kept and op.outcome in (None, ("raise", CLOSED))


def failed_for_another_reason(state: State, op: Op) -> bool:
    return publisher_connected(state, op) and failed(state, op)


def failed(state: State, op: Op) -> bool:
    return op.outcome is not None and op.outcome.what == "raise"


def should_end(state: State, op: Op) -> bool:
    return can_end(state, op) or failed(state, op)


def should_end_with_the_close(state: State, op: Op) -> bool:
    return should_end(state, op) and not op.late and state.subscriber(op.on).due == "CH-4.6"


def should_end_after_a_cancellation(state: State, op: Op) -> bool:
    return should_end(state, op) and not op.late and state.subscriber(op.on).due == "CH-4.5"


def should_have_ended_at_once(state: State, op: Op) -> bool:
    return should_end(state, op) and op.late


def could_read(state: State, op: Op) -> bool:
    return can_take(state, op) or (op.outcome is not None and op.outcome.what == "return")


def could_read_a_message(state: State, op: Op) -> bool:
    return could_read(state, op) and state.subscriber(op.on).due == "CH-4.6"


def could_read_after_a_cancellation(state: State, op: Op) -> bool:
    return could_read(state, op) and state.subscriber(op.on).due == "CH-4.5"


# --------------------------------------------------------------------------------------------------------------- tables

Predicate = Callable[[State, Op], bool]
Effect = Callable[[State, Op], Iterable[State]]

SEND, CLOSE, NEXT = ("send",), ("close",), ("next",)
ENDPOINTS = (*JOINS, *SEND, *READS)


class Row(NamedTuple):
    """A transition of an operation of one of these kinds: when it is about it, what each rule asks, and what comes of it."""

    name: str
    kinds: tuple[str, ...]
    when: Predicate
    guards: Mapping[str, Predicate]
    effect: Effect


class End(NamedTuple):
    """How an operation of one of these kinds may be seen to end."""

    name: str
    kinds: tuple[str, ...]
    when: Callable[[Op, Event], bool]
    forbidden_by: str = ""  # the rule without which it may end so; "" for an end that no rule forbids


class Due(NamedTuple):
    """What an operation of one of these kinds must not be at rest; relaxing any of the rules permits it."""

    name: str
    kinds: tuple[str, ...]
    when: Predicate
    rules: tuple[str, ...]


# fmt: off
UNSEEN = (
    # Joining: at one instant between call and return.
    Row("join", JOINS, waits, {"CH-2.1": channel_not_closed}, join),
    Row("refuse to join", JOINS, waits, {"CH-2.1": channel_closed}, refuse),
    Row("join what is closed", JOINS, waits_on_a_closed_channel, {"CH-2.1": never}, join_what_is_closed),
    Row("join, and open or not", JOINS, waits_in_initiation, {"CH-1.2": never}, join_opening_or_not),
    Row("join with another size", ("subscribe",), waits, {"CH-2.1": channel_not_closed, "CH-2.2": never}, join_with_another_size),
    Row("join with what nobody got", ("subscribe",), waits, {"CH-2.1": channel_not_closed, "CH-3.3": never},
        join_with_what_nobody_got),
    Row("join with old messages", ("subscribe",), waits, {"CH-2.1": channel_not_closed, "CH-2.4": never}, join_with_old_messages),
    Row("give up joining", JOINS, waits_cancelled, {}, give_up),
    Row("give up having joined", JOINS, cancelled, {"CH-2.6": never}, give_up_having_joined),
    # Sending: the commit, and failing in its stead.
    Row("commit", SEND, waits, {"CH-3.2": nobody_full, "CH-3.5": first_of_sends, "CH-3.7": publisher_connected}, commit),
    Row("deliver to one", SEND, waits, {"CH-3.1": never, "CH-3.7": publisher_connected}, deliver_to_one),
    Row("commit again", SEND, waits_having_reached_all,
        {"CH-3.1": never, "CH-3.2": nobody_full, "CH-3.7": publisher_connected}, commit_again),
    Row("return undelivered", SEND, waits, {"CH-3.1": never, "CH-3.7": publisher_connected}, return_undelivered),
    Row("commit in different orders", SEND, waits,
        {"CH-3.6": never, "CH-3.2": nobody_full, "CH-3.5": first_of_sends, "CH-3.7": publisher_connected},
        commit_in_different_orders),
    Row("commit once more or less", SEND, waits,
        {"CH-2.4": never, "CH-3.2": nobody_full, "CH-3.5": first_of_sends, "CH-3.7": publisher_connected},
        commit_once_more_or_less),
    Row("commit, and leave out who has closed", SEND, waits_beside_a_closed_subscriber,
        {"CH-5.3": never, "CH-3.2": nobody_full, "CH-3.5": first_of_sends, "CH-3.7": publisher_connected},
        commit_and_leave_out_who_has_closed),
    Row("fail", SEND, waits, {"CH-3.7": publisher_closed}, fail),
    Row("fail half-way", SEND, waits_half_way, {"CH-3.1": never, "CH-3.7": publisher_closed}, fail),
    Row("fail having delivered", SEND, has_not_failed, {"CH-3.7": never}, fail_having_delivered),
    Row("fail for want of subscribers", SEND, waits_with_nobody_connected, {"CH-3.3": never}, fail),
    Row("fail with another publisher", SEND, waits_while_another_publisher_is_closed, {"CH-5.2": never}, fail),
    # Reading: taking a message, and ending when no more will come.
    Row("take", READS, waits, {"CH-4.4": first_of_reads}, take),
    Row("take a newer one", READS, waits, {"CH-4.1": never, "CH-4.4": first_of_reads}, take_a_newer),
    Row("take and leave", READS, waits, {"CH-4.4": never}, take_and_leave),
    Row("take and drop the next", READS, waits, {"CH-4.4": never}, take_and_drop_the_next),
    Row("end", READS, waits, {"CH-4.1": subscriber_closed, "CH-4.2": nothing_left_for_it}, end),
    Row("end the iteration otherwise", NEXT, waits, {"CH-4.7": never}, end_iteration_otherwise),
    # Cancelling: an operation whose cancellation was requested may give up.
    Row("give up the send", SEND, cancelled, {"CH-3.8": not_committed}, give_up),
    Row("give up instead of failing", SEND, has_failed_with_its_publisher, {"CH-3.7": never}, give_up),
    Row("give up the send half-way", SEND, waits_cancelled_half_way, {"CH-3.1": never}, give_up),
    Row("give up having delivered", SEND, waits_cancelled, {"CH-3.8": never}, give_up_having_delivered),
    Row("return undelivered when cancelled", SEND, waits_cancelled, {"CH-3.8": never}, return_undelivered),
    Row("commit in the place of a cancelled send", SEND, waits_behind_a_cancelled_send,
        {"CH-3.8": never, "CH-3.7": publisher_connected}, commit),
    Row("give up the read", READS, cancelled, {"CH-4.5": nothing_taken}, give_up),
    Row("give up and put back last", READS, cancelled, {"CH-4.5": never}, give_up_and_put_back_last),
    # Closing takes effect at the call; any later is against CH-5.1.
    Row("close late", CLOSE, waits, {"CH-5.1": never}, close),
)

ON_EVENT = (
    # What a call does at its instant. That of any other operation than closing only puts it in line.
    Row("call", ENDPOINTS, always, {}, lambda state, op: (state,)),
    Row("close", CLOSE, always, {}, close),
    Row("close an endpoint, not the channel", CLOSE, in_open, {"CH-1.3": never}, close_an_endpoint_alone),
    Row("close an endpoint and the channel", CLOSE, in_open, {"CH-1.3": never}, close_an_endpoint_and_the_channel),
    Row("close without effect", CLOSE, always, {"CH-1.4": never}, close_the_channel_without_effect),
    Row("close an endpoint and the new channel", CLOSE, in_initiation, {"CH-1.5": never}, close_an_endpoint_and_the_channel),
    Row("close the channel, not its endpoints", CLOSE, always, {"CH-1.6": never}, close_the_state_alone),
    Row("close and drop messages", CLOSE, always, {"CH-4.2": never}, close_and_drop_messages),
    Row("close without effect yet", CLOSE, always, {"CH-5.1": never}, close_later),
    Row("close again and the channel too", CLOSE, closed_already, {"CH-5.1": never}, close_an_endpoint_and_the_channel),
    Row("close a publisher and keep its sends", CLOSE, always, {"CH-5.2": never}, close_a_publisher_and_keep_its_sends),
    Row("close and go on receiving", CLOSE, always, {"CH-5.3": never}, close_and_go_on_receiving),
)

ENDS = (
    End("as decided", (*ENDPOINTS, *CLOSE), as_decided),
    End("a closing cancelled, though it took effect", CLOSE, cancelled_as_requested),
    End("a joining with a strange error", JOINS, raises_what_nobody_expects, "CH-2.1"),
    End("a send with a strange error", SEND, raises_what_nobody_expects, "CH-3.7"),
    End("a send cancelled by nobody", SEND, cancelled_of_its_own_accord, "CH-3.8"),
    End("a read with a strange error, or no message", READS, raises_or_returns_no_message, "CH-4.1"),
    End("a read cancelled by nobody", READS, cancelled_of_its_own_accord, "CH-4.5"),
    End("an iteration with an error", NEXT, raises, "CH-4.7"),
    End("a closing with an error", CLOSE, raises, "CH-5.1"),
)

AT_REST = (
    Due("a join waits", JOINS, always, ("CH-2.5",)),
    Due("a send goes to nobody, and waits", SEND, goes_to_nobody, ("CH-3.3",)),
    Due("a send waits though nobody is full", SEND, could_go_after_a_read, ("CH-3.4",)),
    Due("a send waits though the full subscriber has closed", SEND, could_go_after_a_closing, ("CH-3.4", "CH-5.3")),
    Due("a send waits behind one that was cancelled", SEND, could_go_after_a_cancellation, ("CH-3.4", "CH-3.8")),
    Due("a send waits though its publisher is closed", SEND, should_fail_with_its_publisher, ("CH-3.7", "CH-5.2")),
    Due("a send waits though the channel is closed", SEND, should_fail_with_the_channel, ("CH-3.7",)),
    Due("a send that has failed waits", SEND, failed_for_another_reason, ()),
    Due("a cancelled send waits", SEND, cancelled, ("CH-3.8",)),
    Due("a read waits beside its message", READS, could_read_a_message, ("CH-4.6",)),
    Due("a read waits beside one that a cancelled read left", READS, could_read_after_a_cancellation, ("CH-4.6", "CH-4.5")),
    Due("a read waits for what will not come", READS, should_end_with_the_close, ("CH-4.3",)),
    Due("a read waits for what will not come, and one was cancelled", READS, should_end_after_a_cancellation, ("CH-4.3", "CH-4.5")),
    Due("a read that was called after the close waits", READS, should_have_ended_at_once, ("CH-4.2",)),
    Due("a cancelled read waits", READS, cancelled, ("CH-4.5",)),
    Due("a closing waits", CLOSE, always, ("CH-5.1",)),
)
# fmt: on

OF_THE_STATE = frozenset({"CH-1.1", "CH-1.7"})  # in `initial` and `see`: they concern no operation

RULES_OF_THE_TABLE = OF_THE_STATE.union(
    *(row.guards for row in UNSEEN + ON_EVENT), (end.forbidden_by for end in ENDS), *(due.rules for due in AT_REST)
) - {""}

STRICT: frozenset[str] = frozenset()


def initial(default_size: int, relaxed: frozenset[str] = STRICT) -> Iterator[State]:
    """What a new channel may be: in `initiation` (CH-1.1)."""
    for phase in STATES if "CH-1.1" in relaxed else (INITIATION,):
        yield State(phase=phase, default_size=default_size, seen=phase)


def unseen(state: State, relaxed: frozenset[str] = STRICT) -> Iterator[State]:
    """The states that may follow with nothing to be seen from outside."""
    for op in state.ops:
        if op.outcome is None or op.cancelled or relaxed:  # in force, the rules leave nothing open of what is decided
            for when, guards, effect in _rows(op.kind, relaxed):
                if when(state, op) and permitted(guards, state, op):
                    yield from effect(state, op)


def permitted(guards: tuple[Predicate, ...], state: State, op: Op) -> bool:
    for guard in guards:
        if not guard(state, op):
            return False
    return True


def see(state: State, event: Event, relaxed: frozenset[str] = STRICT) -> Iterator[State]:
    """The states that may follow when an event is seen; none if this state does not explain it."""
    match event.what:
        case "call":
            op = called(state, event)
            state = state._replace(ops=(*state.ops, op))
            for when, _, effect in _rows(op.kind, relaxed, called=True):
                if when(state, op):
                    yield from effect(state, op)
        case "cancel":
            yield state.with_op(state.op(event.op)._replace(cancelled=True))
        case "return" | "raise":
            op = state.op(event.op)
            for end in ENDS:
                if op.kind in end.kinds and end.forbidden_by in ("", *relaxed) and end.when(op, event):
                    yield state.without_op(op)
        case "observe":
            if event.value == state.phase:
                yield state._replace(seen=state.phase) if "CH-1.7" in relaxed else state
            elif "CH-1.7" in relaxed and event.value in STATES[: STATES.index(state.seen)]:
                yield state._replace(phase=str(event.value), seen=str(event.value))
        case _:  # rest
            if not overdue(state, relaxed):
                yield state


def called(state: State, event: Event) -> Op:
    late = event.kind in READS and state.subscriber(event.on).closed and not state.reads(event.on)
    return Op(event.op, event.kind, event.on, event.value, late=late)


def forget(state: State, relaxed: frozenset[str] = STRICT) -> State:
    """The state without what no row looks at, these rules being relaxed: states that differ in nothing else are one."""
    noted, due = "CH-2.4" in relaxed, "CH-4.5" in relaxed
    subscribers = tuple(
        s
        if (noted or s.new) and (due or s.due == "CH-4.6")
        else Subscriber(
            *(s.name, s.size, s.buffer, s.connected, s.closed),
            new=not noted or s.new,
            due=s.due if due else "CH-4.6",
        )
        for s in state.subscribers
    )
    return State(
        *(state.phase, state.default_size, state.publishers, subscribers, state.ops),
        due=state.due if relaxed & {"CH-3.8", "CH-5.3"} else "CH-3.4",
        seen=state.seen if "CH-1.7" in relaxed else INITIATION,
        log=state.log if noted else (),
        unheard=state.unheard if "CH-3.3" in relaxed else (),
    )


def overdue(state: State, relaxed: frozenset[str] = STRICT) -> list[Due]:
    """What keeps a state from being at rest."""
    return [
        due
        for op in state.ops
        for due in AT_REST
        if op.kind in due.kinds
        and relaxed.isdisjoint(due.rules)
        and not (op.kind == "next" and "CH-4.7" in relaxed)
        and due.when(state, op)
    ]


def forbidding(state: State) -> Iterator[str]:
    """The rules that are all that forbids some row of the tables in a state."""
    yield from OF_THE_STATE
    for op in state.ops:
        yield from _forbidding(state, op, _of_kind(op.kind))
        yield from (end.forbidden_by for end in ENDS if op.kind in end.kinds and end.forbidden_by)
        for due in AT_REST:
            if op.kind in due.kinds and due.when(state, op):
                yield from due.rules


def forbidding_call(state: State, event: Event) -> Iterator[str]:
    """The rules that are all that forbids some row when an operation is called."""
    op = called(state, event)
    yield from _forbidding(state._replace(ops=(*state.ops, op)), op, _of_kind(op.kind, called=True))


def _forbidding(state: State, op: Op, rows: list[Row]) -> Iterator[str]:
    for row in rows:
        if row.when(state, op):
            broken = [rule for rule, guard in row.guards.items() if not guard(state, op)]
            if len(broken) == 1 and any(after != state for after in row.effect(state, op)):
                yield broken[0]


@cache
def _of_kind(kind: str, called: bool = False) -> list[Row]:
    return [row for row in (ON_EVENT if called else UNSEEN) if kind in row.kinds]


@cache
def _rows(
    kind: str, relaxed: frozenset[str], called: bool = False
) -> list[tuple[Predicate, tuple[Predicate, ...], Effect]]:
    """A table's rows for a kind of operation, less the guards of the relaxed rules and what stays forbidden."""
    rows = []
    for row in _of_kind(kind, called):
        guards = tuple(guard for rule, guard in row.guards.items() if rule not in relaxed)
        if never not in guards:
            rows.append((row.when, guards, row.effect))
    return rows
