"""The channel as formulas: what each action requires and changes, for any number of endpoints, operations and messages.

A state gives each field a value, or a function of endpoints, operations and places. An action's effect gives the fields of the
next state in terms of those before. The fields come in three parts. What is *given* never changes. What *happens* is the channel
as in `machine.py`. The *ghosts* only remember: no guard looks at them, and they change nothing else. A send is its own message.

What a subscriber has received is a sequence. Its first messages have been taken by reads, and the rest is its buffer.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from logic import Function, Sort, Term, Universe, both, choose, either, implies, no

ENDPOINT, OPERATION, NUMBER, TRUTH = Sort

PHASES = INITIATION, OPEN, CLOSED_PHASE = (0, 1, 2)
CONNECTIONS = ABSENT, CONNECTED, CLOSED = (0, 1, 2)
KINDS = JOIN, SEND, READ = (0, 1, 2)
STAGES = UNCALLED, UNDER_WAY, ENDED = (0, 1, 2)
OUTCOMES = NONE, RETURNS, FAILS, GIVES_UP = (0, 1, 2, 3)  # an operation under way that has none waits


# What each field of a channel is a function of, and the sort of its values.
FIELDS: dict[str, tuple[tuple[Sort, ...], Sort]] = {
    "is_publisher": ((ENDPOINT,), TRUTH),
    "size": ((ENDPOINT,), NUMBER),
    "kind": ((OPERATION,), NUMBER),
    "on": ((OPERATION,), ENDPOINT),
    "phase": ((), NUMBER),
    "connection": ((ENDPOINT,), NUMBER),
    "received": ((ENDPOINT, NUMBER), OPERATION),
    "arrived": ((ENDPOINT,), NUMBER),
    "taken": ((ENDPOINT,), NUMBER),
    "stage": ((OPERATION,), NUMBER),
    "outcome": ((OPERATION,), NUMBER),
    "asked": ((OPERATION,), TRUTH),
    "called": ((OPERATION,), NUMBER),
    "calls": ((), NUMBER),
    "message": ((OPERATION,), OPERATION),
    "log": ((NUMBER,), OPERATION),
    "commits": ((), NUMBER),
    "place": ((OPERATION,), NUMBER),
    "joined": ((ENDPOINT,), NUMBER),
    "left": ((ENDPOINT,), NUMBER),
    "index": ((OPERATION,), NUMBER),
    "taker": ((ENDPOINT, NUMBER), OPERATION),
}


class Channel(NamedTuple):
    universe: Universe

    # Given
    is_publisher: Function  # or else a subscriber
    size: Function  # of a subscriber's buffer; 0: unbounded
    kind: Function
    on: Function  # the operation's endpoint

    # What happens
    phase: Term
    connection: Function
    received: Function  # the subscriber's message at a place
    arrived: Function  # how many it has received
    taken: Function  # how many of these reads have taken
    stage: Function
    outcome: Function
    asked: Function  # to cancel
    called: Function  # how many operations had been called before
    calls: Term
    message: Function  # that a read returns

    # Ghosts
    log: Function  # the message at a place in the order of the commits
    commits: Term
    place: Function  # of a send's message in the log
    joined: Function  # how many messages had committed when the endpoint joined
    left: Function  # and when it closed
    index: Function  # at what place of what its subscriber received a read found its message
    taker: Function  # the read that took the subscriber's message at a place

    def every(self, sorts: tuple[Sort, ...], holds: Function) -> Term:
        return self.universe.every(sorts, holds)

    def any(self, sort: Sort, holds: Function) -> Term:
        return no(self.every((sort,), lambda thing: no(holds(thing))))

    def is_connected(self, endpoint: Term) -> Term:
        return self.connection(endpoint) == CONNECTED

    def waits(self, operation: Term) -> Term:
        return both(self.stage(operation) == UNDER_WAY, self.outcome(operation) == NONE)


# --------------------------------------------------------------------------------------------------------------- the guards

Guard = Callable[..., Term]  # of the channel and the thing to which something happens


def complete(now: Channel, gone: Function) -> Term:
    """Whether a publisher and a subscriber are connected, not counting those that are gone."""

    def there(is_publisher: bool) -> Term:
        return now.any(ENDPOINT, lambda e: both(now.is_connected(e), now.is_publisher(e) == is_publisher, no(gone(e))))

    return both(there(True), there(False))


def ahead(now: Channel, other: Term, op: Term) -> Term:
    """Whether the other waits ahead of it in the same line."""
    same_line = choose(now.kind(op) == READ, now.on(other) == now.on(op), now.is_connected(now.on(other)))
    return both(now.waits(other), now.kind(other) == now.kind(op), same_line, now.called(other) < now.called(op))


def first_in_line(now: Channel, op: Term) -> Term:
    return now.every((OPERATION,), lambda other: implies(ahead(now, other, op), now.asked(other)))


def is_full(now: Channel, endpoint: Term) -> Term:
    return both(
        no(now.is_publisher(endpoint)),
        now.is_connected(endpoint),
        now.size(endpoint) > 0,
        now.arrived(endpoint) - now.taken(endpoint) >= now.size(endpoint),
    )


def in_hand(now: Channel, endpoint: Term) -> Term:
    """Whether its user has it: its join has returned."""
    return both(
        now.connection(endpoint) != ABSENT,
        now.every(
            (OPERATION,),
            lambda op: implies(both(now.kind(op) == JOIN, now.on(op) == endpoint), now.stage(op) == ENDED),
        ),
    )


# fmt: off
uncalled:            Guard = lambda now, op: now.stage(op) == UNCALLED
has_its_endpoint:    Guard = lambda now, op: either(now.kind(op) == JOIN, in_hand(now, now.on(op)))
under_way:           Guard = lambda now, op: now.stage(op) == UNDER_WAY
settled:             Guard = lambda now, op: both(under_way(now, op), now.outcome(op) != NONE)
waits:               Guard = lambda now, op: now.waits(op)
no_effect_yet:       Guard = lambda now, op: both(under_way(now, op), now.outcome(op) != RETURNS)
asked_to_cancel:     Guard = lambda now, op: now.asked(op)
channel_closed:      Guard = lambda now, op: now.phase == CLOSED_PHASE
channel_not_closed:  Guard = lambda now, op: now.phase != CLOSED_PHASE
endpoint_connected:  Guard = lambda now, op: now.is_connected(now.on(op))
endpoint_closed:     Guard = lambda now, op: now.connection(now.on(op)) == CLOSED
nobody_full:         Guard = lambda now, op: now.every((ENDPOINT,), lambda e: no(is_full(now, e)))
beside_a_message:    Guard = lambda now, op: now.taken(now.on(op)) < now.arrived(now.on(op))
no_message_left:     Guard = lambda now, op: now.universe.at_least(
    now.arrived(now.on(op)) - now.taken(now.on(op)), OPERATION, lambda other: ahead(now, other, op))
# fmt: on

# -------------------------------------------------------------------------------------------------------------- the effects


Effect = Callable[..., Channel]  # likewise


def at(function: Function, *where_and_value: Term) -> Function:
    """The same function, except that it has this value there."""
    *where, value = where_and_value
    return lambda *things: choose(
        both(*(thing == each for thing, each in zip(things, where, strict=True))), value, function(*things)
    )


def new(now: Channel) -> Channel:
    """Nothing has joined, and nothing has been called (CH-1.1a)."""
    return now._replace(
        phase=INITIATION,
        connection=lambda e: ABSENT,
        stage=lambda op: UNCALLED,
        outcome=lambda op: NONE,
        asked=lambda op: False,
        calls=0,
        commits=0,
    )


def with_outcome(now: Channel, op: Term, outcome: int) -> Channel:
    return now._replace(outcome=at(now.outcome, op, outcome))


def call(now: Channel, op: Term) -> Channel:
    return now._replace(stage=at(now.stage, op, UNDER_WAY), called=at(now.called, op, now.calls), calls=now.calls + 1)


def ask(now: Channel, op: Term) -> Channel:
    return now._replace(asked=at(now.asked, op, True))


def end(now: Channel, op: Term) -> Channel:
    return now._replace(stage=at(now.stage, op, ENDED))


def join(now: Channel, op: Term) -> Channel:
    """The endpoint is connected and has received nothing, and the channel opens if it is now complete (CH-1.2, CH-2.4b)."""
    new = now.on(op)
    after = with_outcome(now, op, RETURNS)._replace(
        connection=at(now.connection, new, CONNECTED),
        arrived=at(now.arrived, new, 0),
        taken=at(now.taken, new, 0),
        joined=at(now.joined, new, now.commits),
    )
    opens = both(now.phase == INITIATION, complete(after, lambda e: False))
    return after._replace(phase=choose(opens, OPEN, now.phase))


def commit(now: Channel, op: Term) -> Channel:
    """Each connected subscriber receives the message, after all others (CH-2.4a, CH-3.1, CH-3.3, CH-3.6, CH-5.3)."""

    def receives(endpoint: Term) -> Term:
        return both(no(now.is_publisher(endpoint)), now.is_connected(endpoint))

    return with_outcome(now, op, RETURNS)._replace(
        received=lambda e, i: choose(both(receives(e), i == now.arrived(e)), op, now.received(e, i)),
        arrived=lambda e: now.arrived(e) + choose(receives(e), 1, 0),
        log=at(now.log, now.commits, op),
        place=at(now.place, op, now.commits),
        commits=now.commits + 1,
    )


def take(now: Channel, op: Term) -> Channel:
    """The read gets the oldest message that no read has taken (CH-4.1, CH-4.4)."""
    subscriber = now.on(op)
    oldest = now.taken(subscriber)
    return with_outcome(now, op, RETURNS)._replace(
        taken=at(now.taken, subscriber, oldest + 1),
        message=at(now.message, op, now.received(subscriber, oldest)),
        index=at(now.index, op, oldest),
        taker=at(now.taker, subscriber, oldest, op),
    )


def fail(now: Channel, op: Term) -> Channel:
    return with_outcome(now, op, FAILS)


def give_up(now: Channel, op: Term) -> Channel:
    return with_outcome(now, op, GIVES_UP)


def gone(now: Channel, is_gone: Function) -> Channel:
    """These are closed from now on; what they have received stays (CH-4.2)."""

    def leaves(endpoint: Term) -> Term:
        return both(is_gone(endpoint), now.is_connected(endpoint))

    return now._replace(
        connection=lambda e: choose(leaves(e), CLOSED, now.connection(e)),
        left=lambda e: choose(leaves(e), now.commits, now.left(e)),
    )


def close(now: Channel, endpoint: Term) -> Channel:
    """The endpoint closes, and with it an open channel that is now incomplete (CH-1.3, CH-1.5, CH-1.6)."""
    deserted = both(now.phase == OPEN, no(complete(now, lambda e: e == endpoint)))
    after = gone(now, lambda e: either(e == endpoint, deserted))
    return after._replace(phase=choose(deserted, CLOSED_PHASE, now.phase))


def close_channel(now: Channel) -> Channel:
    """The channel closes, and all its endpoints (CH-1.4, CH-1.6)."""
    return gone(now, lambda e: True)._replace(phase=CLOSED_PHASE)


# ---------------------------------------------------------------------------------------------------------------- the table


class Action(NamedTuple):
    """What may happen to a thing: what is required, mostly by a rule, and the effect.

    Attributes:
        sorts: of the thing; none if it is the channel.
        kinds: of operations.
    """

    name: str
    sorts: tuple[Sort, ...]
    kinds: tuple[int, ...]
    guards: Mapping[str, Guard]
    effect: Effect

    def may(self, now: Channel, *thing: Term) -> Term:
        of_kind = either(*(now.kind(*thing) == kind for kind in self.kinds)) if self.kinds else True
        return both(of_kind, *(guard(now, *thing) for guard in self.guards.values()))


# fmt: off
OP = (OPERATION,)
CALL     = Action("call",              OP, KINDS,   {"uncalled": uncalled,
                                                     "its endpoint is in hand": has_its_endpoint},      call)
CANCEL   = Action("ask to cancel",     OP, KINDS,   {"under way": under_way},                           ask)
RETURN   = Action("return or raise",   OP, KINDS,   {"settled": settled},                               end)
JOINING  = Action("join",              OP, (JOIN,), {"waits": waits, "CH-2.1": channel_not_closed},     join)
REFUSE   = Action("refuse",            OP, (JOIN,), {"waits": waits, "CH-2.1": channel_closed},         fail)
UNJOIN   = Action("give up the join",  OP, (JOIN,), {"asked": asked_to_cancel, "CH-2.6": no_effect_yet}, give_up)
COMMIT   = Action("commit",            OP, (SEND,), {"waits": waits, "CH-3.7a": endpoint_connected,
                                                     "CH-3.5": first_in_line, "CH-3.2": nobody_full},   commit)
FAIL     = Action("fail",              OP, (SEND,), {"waits": waits, "CH-3.7a": endpoint_closed},       fail)
WITHDRAW = Action("give up the send",  OP, (SEND,), {"asked": asked_to_cancel, "CH-3.8a": no_effect_yet}, give_up)
TAKE     = Action("take",              OP, (READ,), {"waits": waits, "CH-4.1b": beside_a_message,
                                                     "CH-4.4b": first_in_line},                         take)
RUN_OUT  = Action("run out",           OP, (READ,), {"waits": waits, "CH-4.1b": endpoint_closed,
                                                     "CH-4.2b": no_message_left},                       fail)
LEAVE    = Action("give up the read",  OP, (READ,), {"asked": asked_to_cancel, "CH-4.5a": no_effect_yet}, give_up)
CLOSE    = Action("close an endpoint", (ENDPOINT,), (), {"in hand": in_hand},                           close)
CLOSING  = Action("close the channel", (), (),      {},                                                 close_channel)

BIRTH    = Action("a new channel",     (), (),      {},                                                 new)

ACTIONS = (CALL, CANCEL, RETURN, JOINING, REFUSE, UNJOIN, COMMIT, FAIL, WITHDRAW, TAKE, RUN_OUT, LEAVE, CLOSE, CLOSING)
# fmt: on
