"""A channel as a state machine: every state that it can be in, and every way from one state to the next, and nothing else.

            call        internal actions, invisible from outside                end
            ────► waits ──── join, commit, take, close ────► succeeded ────► returns
                    ├─────── refuse, fail, run out ────────► failed ───────► raises its error
                    │                                           │ give up, likewise
                    └─────── give up, once asked to cancel ► given up ─────► raises CancelledError

A `State` is everything that matters at one instant: the channel's phase, its endpoints with their buffers, and the operations
under way. An operation *waits* from its call until one of the `ACTIONS` settles its outcome; a closing is settled at its call.
Every operation *ends* some time after that, and an observer sees nothing of the time in between. An action may be taken when it
applies and all of its guards hold. Each guard is listed with the id of the rule that requires it. If several actions may be taken,
any of them may come next: the rules leave that freedom. At rest, when nothing is left to run, all of the `OBLIGATIONS` have been
met.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import takewhile
from typing import NamedTuple

from .history import CANCELLED, CLOSED, EXHAUSTED, JOINS, READS, Event

PHASES = INITIATION, OPEN, CLOSED_PHASE = ("initiation", "open", "closed")
Message = int | str | None


class Outcome(NamedTuple):
    """How an operation will end: what="return" with a value, or what="raise" with an error's name."""

    what: str
    value: Message = None


class Operation(NamedTuple):
    """An operation under way: it has been called, and has not ended."""

    number: int
    kind: str
    on: str  # the endpoint, or "channel"; for a join, the name that the new endpoint gets
    value: Message  # for a send, its message; for `subscribe`, the buffer's size or None
    outcome: Outcome | None = None  # None: it waits
    cancel_requested: bool = False


class Subscriber(NamedTuple):
    name: str
    size: int  # 0: unbounded
    buffer: tuple[Message, ...] = ()
    connected: bool = True

    @property
    def full(self) -> bool:
        """Whether it holds back every send (CH-3.2). A closed subscriber holds back none (CH-5.3)."""
        return self.connected and 0 < self.size <= len(self.buffer)


class State(NamedTuple):
    phase: str = INITIATION
    default_size: int = 0
    publishers: tuple[tuple[str, bool], ...] = ()  # name, connected
    subscribers: tuple[Subscriber, ...] = ()
    operations: tuple[Operation, ...] = ()  # in the order of their calls

    @property
    def connected(self) -> tuple[Subscriber, ...]:
        return tuple(s for s in self.subscribers if s.connected)

    @property
    def complete(self) -> bool:
        """Whether at least one publisher and at least one subscriber are connected."""
        return any(connected for _, connected in self.publishers) and any(s.connected for s in self.subscribers)

    def subscriber(self, name: str) -> Subscriber:
        return next(s for s in self.subscribers if s.name == name)

    def operation(self, number: int) -> Operation:
        return next(op for op in self.operations if op.number == number)

    def with_subscriber(self, changed: Subscriber) -> "State":
        return self._replace(subscribers=tuple(changed if s.name == changed.name else s for s in self.subscribers))

    def with_operation(self, changed: Operation) -> "State":
        return self._replace(operations=tuple(changed if o.number == changed.number else o for o in self.operations))

    def settled(self, op: Operation, what: str, value: Message = None) -> "State":
        return self.with_operation(op._replace(outcome=Outcome(what, value)))

    def called(self, event: Event) -> "tuple[State, Operation]":
        op = Operation(event.op, event.kind, event.on, event.value)
        return self._replace(operations=(*self.operations, op)), op

    def ended(self, op: Operation) -> "State":
        return self._replace(operations=tuple(o for o in self.operations if o.number != op.number))


# --------------------------------------------------------------------------------------------------------------- the guards

Guard = Callable[[State, Operation], bool]


def ahead(state: State, op: Operation) -> Iterator[Operation]:
    """What waits ahead of it in the same line: the channel's sends (of connected publishers), or its subscriber's reads."""
    for other in takewhile(lambda each: each.number != op.number, state.operations):
        if other.outcome is None and (
            other.on == op.on and other.kind in READS
            if op.kind in READS
            else other.kind == "send" and publisher_connected(state, other)
        ):
            yield other


# fmt: off
always:                 Guard = lambda state, op: True
waits:                  Guard = lambda state, op: op.outcome is None
no_effect_yet:          Guard = lambda state, op: op.outcome is None or op.outcome.what == "raise"
asked_to_cancel:        Guard = lambda state, op: op.cancel_requested
channel_closed:         Guard = lambda state, op: state.phase == CLOSED_PHASE
channel_not_closed:     Guard = lambda state, op: state.phase != CLOSED_PHASE
publisher_connected:    Guard = lambda state, op: (op.on, True) in state.publishers
publisher_closed:       Guard = lambda state, op: (op.on, True) not in state.publishers
subscriber_closed:      Guard = lambda state, op: not state.subscriber(op.on).connected
nobody_connected:       Guard = lambda state, op: not state.connected
somebody_connected:     Guard = lambda state, op: bool(state.connected)
nobody_full:            Guard = lambda state, op: not any(s.full for s in state.subscribers)
first_in_line:          Guard = lambda state, op: all(other.cancel_requested for other in ahead(state, op))  # CH-3.8c, CH-4.5b
waits_beside_a_message: Guard = lambda state, op: op.outcome is None and bool(state.subscriber(op.on).buffer)
no_message_left:        Guard = lambda state, op: len(list(ahead(state, op))) >= len(state.subscriber(op.on).buffer)
# fmt: on

# -------------------------------------------------------------------------------------------------------------- the actions


def join(state: State, op: Operation) -> State:
    """The endpoint is connected, and the channel opens if it is now complete (CH-1.2)."""
    if op.kind == "connect":
        after = state._replace(publishers=(*state.publishers, (op.on, True)))
    else:
        size = state.default_size if op.value is None else int(op.value)  # CH-2.2
        after = state._replace(subscribers=(*state.subscribers, Subscriber(op.on, size)))
    if after.phase == INITIATION and after.complete:
        after = after._replace(phase=OPEN)
    return after.settled(op, "return")


def commit(state: State, op: Operation) -> State:
    """The message goes to the end of the buffer of every connected subscriber (CH-2.4, CH-3.1, CH-3.3, CH-3.6, CH-5.3)."""
    received = tuple(s._replace(buffer=(*s.buffer, op.value)) if s.connected else s for s in state.subscribers)
    return state._replace(subscribers=received).settled(op, "return")


def take(state: State, op: Operation) -> State:
    """The read gets the oldest message, and no other read gets it (CH-4.1, CH-4.4)."""
    subscriber = state.subscriber(op.on)
    oldest, *rest = subscriber.buffer
    return state.with_subscriber(subscriber._replace(buffer=tuple(rest))).settled(op, "return", oldest)


def fail(state: State, op: Operation) -> State:
    """The operation fails because the channel or its endpoint is closed; an iteration just ends (CH-4.7)."""
    return state.settled(op, "raise", EXHAUSTED if op.kind == "next" else CLOSED)


def give_up(state: State, op: Operation) -> State:
    """The operation has had no effect, and never will; one that has had its effect returns (CH-3.9a, CH-4.8a)."""
    return state.settled(op, "raise", CANCELLED)


def close(state: State, op: Operation) -> State:
    """The channel closes (CH-1.4), or an endpoint does, and with it an open channel that is now incomplete (CH-1.3, CH-1.5)."""
    after = closed_channel(state) if op.on == "channel" else disconnected(state, op.on)
    if after.phase == OPEN and not after.complete:
        after = closed_channel(after)
    return after.settled(op, "return")


def disconnected(state: State, name: str) -> State:
    """The endpoint is closed; buffered messages stay (CH-4.2)."""
    return state._replace(
        publishers=tuple((p, connected and p != name) for p, connected in state.publishers),
        subscribers=tuple(s._replace(connected=False) if s.name == name else s for s in state.subscribers),
    )


def closed_channel(state: State) -> State:
    """The channel is closed, and all its endpoints with it (CH-1.6)."""
    for name in (*(p for p, _ in state.publishers), *(s.name for s in state.subscribers)):
        state = disconnected(state, name)
    return state._replace(phase=CLOSED_PHASE)


# --------------------------------------------------------------------------------------------------------------- the tables


class Action(NamedTuple):
    """What may happen to an operation of these kinds: when it applies, what each rule requires, and its effect."""

    name: str
    kinds: tuple[str, ...]
    when: Guard
    guards: Mapping[str, Guard]
    effect: Callable[[State, Operation], State]


class Obligation(NamedTuple):
    """What a rule forbids for an operation of these kinds at rest; here one "waits" until it ends, settled or not."""

    rule: str
    kinds: tuple[str, ...]
    text: str
    unmet: Guard


SEND, CLOSE = ("send",), ("close",)

# fmt: off
JOIN     = Action("join",             JOINS, waits,                  {"CH-2.1": channel_not_closed},        join)
REFUSE   = Action("refuse",           JOINS, waits,                  {"CH-2.1": channel_closed},            fail)
UNJOIN   = Action("give up the join", JOINS, asked_to_cancel,        {"CH-2.6": no_effect_yet},             give_up)
COMMIT   = Action("commit",           SEND,  waits,                  {"CH-3.7a": publisher_connected,
                                                                      "CH-3.5": first_in_line,
                                                                      "CH-3.2": nobody_full},               commit)
FAIL     = Action("fail",             SEND,  waits,                  {"CH-3.7a": publisher_closed},         fail)
WITHDRAW = Action("give up the send", SEND,  asked_to_cancel,        {"CH-3.8a": no_effect_yet},            give_up)
TAKE     = Action("take",             READS, waits_beside_a_message, {"CH-4.4b": first_in_line},            take)
RUN_OUT  = Action("run out",          READS, waits,                  {"CH-4.1b": subscriber_closed,
                                                                      "CH-4.2b": no_message_left},          fail)
LEAVE    = Action("give up the read", READS, asked_to_cancel,        {"CH-4.5a": no_effect_yet},            give_up)
CLOSING  = Action("close",            CLOSE, waits,                  {},                                    close)  # at its call

ACTIONS = (JOIN, REFUSE, UNJOIN, COMMIT, FAIL, WITHDRAW, TAKE, RUN_OUT, LEAVE, CLOSING)


def may(action: Action, state: State, op: Operation) -> bool:
    return action.when(state, op) and all(guard(state, op) for guard in action.guards.values())


def due(action: Action, what: str, where: Guard = always) -> Guard:
    """Whether the operation, which has not ended, could take the action, or already has an outcome of that sort."""
    return lambda state, op: where(state, op) and (op.outcome.what == what if op.outcome else may(action, state, op))


OBLIGATIONS = (
    Obligation("CH-2.5",  JOINS, "a join waits",                                    always),
    Obligation("CH-3.3a", SEND,  "a send waits though no subscriber is connected",  due(COMMIT, "return", nobody_connected)),
    Obligation("CH-3.4",  SEND,  "a send waits though no subscriber is full",       due(COMMIT, "return", somebody_connected)),
    Obligation("CH-3.7a", SEND,  "a send waits though its publisher is closed",     due(FAIL, "raise")),
    Obligation("CH-3.8b", SEND,  "a send waits though it was asked to cancel",      asked_to_cancel),
    Obligation("CH-4.6",  READS, "a read waits though there is a message for it",   due(TAKE, "return")),
    Obligation("CH-4.3",  READS, "a read waits though its subscriber is closed and empty", due(RUN_OUT, "raise")),
    Obligation("CH-4.5c", READS, "a read waits though it was asked to cancel",      asked_to_cancel),
    Obligation("CH-5.1b", CLOSE, "a closing waits",                                 always),
)
# fmt: on

KINDS = (*JOINS, *SEND, *READS, *CLOSE)
OF_KIND = {kind: tuple(action for action in ACTIONS if kind in action.kinds) for kind in KINDS}


def initial(default_size: int) -> Iterator[State]:
    """A new channel is in `initiation` (CH-1.1)."""
    yield State(default_size=default_size)


def steps(state: State) -> Iterator[tuple[Action, Operation, State]]:
    """The internal actions that may be taken, each with its operation and the next state."""
    for op in state.operations:
        if op.outcome is None or op.cancel_requested:
            for action in OF_KIND[op.kind]:
                if may(action, state, op):
                    yield action, op, action.effect(state, op)


def see(state: State, event: Event) -> Iterator[State]:
    """The states that may follow an event; none if the rules forbid it."""
    match event.what:
        case "call":
            state, op = state.called(event)
            yield close(state, op) if op.kind == "close" else state  # CH-5.1: at the call
        case "cancel":
            yield state.with_operation(state.operation(event.op)._replace(cancel_requested=True))
        case "return" | "raise":
            if ends(op := state.operation(event.op), event):
                yield state.ended(op)
        case "observe":
            if event.value == state.phase:  # CH-1.7: no action leads back
                yield state
        case _:  # rest
            if not overdue(state):
                yield state


def ends(op: Operation, event: Event) -> bool:
    """An operation ends with its outcome; a cancelled closing, whose effect is there, may raise CancelledError (CH-5.1)."""
    seen = event.what, event.value
    return op.outcome == seen or (op.kind == "close" and op.cancel_requested and seen == ("raise", CANCELLED))


def overdue(state: State) -> list[tuple[Operation, Obligation]]:
    """The unmet obligations, which keep the state from being at rest."""
    of_kind = ((op, each) for op in state.operations for each in OBLIGATIONS if op.kind in each.kinds)
    return [(op, each) for op, each in of_kind if each.unmet(state, op)]
