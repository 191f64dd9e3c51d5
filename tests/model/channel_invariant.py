"""What is true of a channel at every instant, with any number of endpoints, operations and messages, and what follows from it.

The clauses of the `INVARIANT` hold at the beginning, and each action keeps them if all of them held before. `LASTING` is what no
action undoes, if they hold. `PROMISES` are what the rules say of a channel; they follow from the clauses.
"""

from typing import NamedTuple

from channel_formulas import (
    ABSENT,
    CLOSED,
    CLOSED_PHASE,
    CONNECTIONS,
    ENDED,
    ENDPOINT,
    FAILS,
    GIVES_UP,
    INITIATION,
    JOIN,
    KINDS,
    NONE,
    NUMBER,
    OPEN,
    OPERATION,
    READ,
    RETURNS,
    SEND,
    STAGES,
    UNCALLED,
    Channel,
    complete,
)
from logic import Function, Sort, Term, both, choose, either, implies, no

E, OP, N = ENDPOINT, OPERATION, NUMBER


class Clause(NamedTuple):
    """It holds of a channel and all things of these sorts."""

    text: str
    sorts: tuple[Sort, ...]
    holds: Function

    def of_all(self, now: Channel) -> Term:
        return now.every(self.sorts, lambda *things: self.holds(now, *things))

    def after(self, before: Channel, after: Channel, *things: Term) -> Term:
        return self.holds(after, *things)


class Lasting(NamedTuple):
    """No action undoes this: it holds of a channel before an action, of the channel after it, and of all things of these sorts."""

    text: str
    sorts: tuple[Sort, ...]
    after: Function


def has_joined(now: Channel, e: Term) -> Term:
    return now.connection(e) != ABSENT


def is_subscriber(now: Channel, e: Term) -> Term:
    return both(no(now.is_publisher(e)), has_joined(now, e))


def until(now: Channel, e: Term) -> Term:
    """How many messages had committed when the endpoint closed, or have committed, if it is connected."""
    return choose(now.is_connected(e), now.commits, now.left(e))


def has(now: Channel, op: Term, kind: int, outcome: int) -> Term:
    return both(now.kind(op) == kind, now.outcome(op) == outcome)


def has_taken(now: Channel, op: Term) -> Term:
    return has(now, op, READ, RETURNS)


def has_committed(now: Channel, op: Term) -> Term:
    return has(now, op, SEND, RETURNS)


def within(i: Term, end: Term) -> Term:
    return both(i >= 0, i < end)


def is_overtaken(now: Channel, other: Term, op: Term) -> Term:
    """Whether the other send was called before, and can still commit, or has committed since."""
    return both(
        now.kind(other) == SEND,
        now.stage(other) != UNCALLED,
        has_committed(now, op),
        now.called(other) < now.called(op),
        either(
            both(now.outcome(other) == NONE, now.is_connected(now.on(other))),
            both(now.outcome(other) == RETURNS, now.place(op) < now.place(other)),
        ),
    )


def is_overtaken_read(now: Channel, other: Term, op: Term) -> Term:
    return both(
        now.kind(other) == READ,
        now.on(other) == now.on(op),
        now.stage(other) != UNCALLED,
        has_taken(now, op),
        now.called(other) < now.called(op),
        either(now.outcome(other) == NONE, both(now.outcome(other) == RETURNS, now.index(op) < now.index(other))),
    )


# What users and names are like: an operation is on an endpoint of its kind, and each endpoint is joined once.
GIVEN = (
    Clause("sizes", (E,), lambda now, e: now.size(e) >= 0),
    Clause("kinds", (OP,), lambda now, op: either(*(now.kind(op) == kind for kind in KINDS))),
    Clause(
        "sides",
        (OP,),
        lambda now, op: both(
            implies(now.kind(op) == SEND, now.is_publisher(now.on(op))),
            implies(now.kind(op) == READ, no(now.is_publisher(now.on(op)))),
        ),
    ),
    Clause(
        "one join each",
        (OP, OP),
        lambda now, a, b: implies(both(now.kind(a) == JOIN, now.kind(b) == JOIN, now.on(a) == now.on(b)), a == b),
    ),
)

INVARIANT = (
    Clause(
        "open while complete (CH-1.2, CH-1.3)",
        (),
        lambda now: either(
            now.phase == CLOSED_PHASE,
            both(now.phase == OPEN, complete(now, lambda e: False)),
            both(now.phase == INITIATION, no(complete(now, lambda e: False))),
        ),
    ),
    Clause(
        "closed with all (CH-1.6)",
        (E,),
        lambda now, e: implies(now.phase == CLOSED_PHASE, no(now.is_connected(e))),
    ),
    Clause(
        "counts",
        (),
        lambda now: both(now.calls >= 0, now.commits >= 0),
    ),
    Clause(
        "connections",
        (E,),
        lambda now, e: either(*(now.connection(e) == each for each in CONNECTIONS)),
    ),
    Clause(
        "stages",
        (OP,),
        lambda now, op: both(
            either(*(now.stage(op) == stage for stage in STAGES)),
            implies(now.stage(op) == UNCALLED, both(now.outcome(op) == NONE, no(now.asked(op)))),
            implies(now.stage(op) == ENDED, now.outcome(op) != NONE),
        ),
    ),
    Clause(
        "joins (CH-2.1, CH-2.6)",
        (OP,),
        lambda now, op: implies(now.kind(op) == JOIN, (now.outcome(op) == RETURNS) == has_joined(now, now.on(op))),
    ),
    Clause(
        "calls",
        (OP,),
        lambda now, op: implies(
            now.stage(op) != UNCALLED,
            both(
                within(now.called(op), now.calls),
                either(now.kind(op) == JOIN, has_joined(now, now.on(op))),
            ),
        ),
    ),
    Clause(
        "one at a time",
        (OP, OP),
        lambda now, a, b: implies(
            both(now.stage(a) != UNCALLED, now.stage(b) != UNCALLED, now.called(a) == now.called(b)), a == b
        ),
    ),
    Clause(
        "exact cancellation (CH-3.8a, CH-4.5a)",
        (OP,),
        lambda now, op: implies(now.outcome(op) == GIVES_UP, now.asked(op)),
    ),
    Clause(
        "errors (CH-2.1, CH-3.7a, CH-4.2b)",
        (OP,),
        lambda now, op: implies(
            now.outcome(op) == FAILS,
            choose(now.kind(op) == JOIN, now.phase == CLOSED_PHASE, now.connection(now.on(op)) == CLOSED),
        ),
    ),
    Clause(
        "the log",
        (N,),
        lambda now, i: implies(
            within(i, now.commits), both(has_committed(now, now.log(i)), now.place(now.log(i)) == i)
        ),
    ),
    Clause(
        "commits (CH-3.1b, CH-3.1c)",
        (OP,),
        lambda now, op: implies(
            has_committed(now, op),
            both(within(now.place(op), now.commits), now.log(now.place(op)) == op),
        ),
    ),
    Clause(
        "sends while connected (CH-3.7a)",
        (OP,),
        lambda now, op: implies(has_committed(now, op), now.place(op) < until(now, now.on(op))),
    ),
    Clause(
        "sends in order (CH-3.5)",
        (OP, OP),
        lambda now, a, b: implies(is_overtaken(now, a, b), now.asked(a)),
    ),
    Clause(
        "nothing lost (CH-2.4, CH-3.1a, CH-5.3a)",
        (E,),
        lambda now, e: implies(
            is_subscriber(now, e),
            both(
                now.joined(e) >= 0,
                until(now, e) <= now.commits,
                now.arrived(e) == until(now, e) - now.joined(e),
            ),
        ),
    ),
    Clause(
        "one order (CH-3.6)",
        (E, N),
        lambda now, e, i: implies(
            both(is_subscriber(now, e), within(i, now.arrived(e))), now.received(e, i) == now.log(now.joined(e) + i)
        ),
    ),
    Clause(
        "bounded (CH-3.2)",
        (E,),
        lambda now, e: implies(
            is_subscriber(now, e),
            both(
                now.taken(e) >= 0,
                now.taken(e) <= now.arrived(e),
                either(now.size(e) == 0, now.arrived(e) - now.taken(e) <= now.size(e)),
            ),
        ),
    ),
    Clause(
        "reads (CH-4.1a, CH-4.4a)",
        (OP,),
        lambda now, op: implies(
            has_taken(now, op),
            both(
                within(now.index(op), now.taken(now.on(op))),
                now.taker(now.on(op), now.index(op)) == op,
                now.message(op) == now.received(now.on(op), now.index(op)),
            ),
        ),
    ),
    Clause(
        "none dropped (CH-4.2a, CH-4.5b)",
        (E, N),
        lambda now, e, i: implies(
            both(is_subscriber(now, e), within(i, now.taken(e))),
            both(
                has_taken(now, now.taker(e, i)),
                now.on(now.taker(e, i)) == e,
                now.index(now.taker(e, i)) == i,
            ),
        ),
    ),
    Clause(
        "reads in order (CH-4.4b)",
        (OP, OP),
        lambda now, a, b: implies(is_overtaken_read(now, a, b), now.asked(a)),
    ),
)

LASTING = (
    Lasting("states only move forward (CH-1.7)", (), lambda now, then: now.phase <= then.phase),
    Lasting(
        "what succeeded stays so (CH-3.9a, CH-4.8a)",
        (OP,),
        lambda now, then, op: implies(
            now.outcome(op) == RETURNS,
            both(then.outcome(op) == RETURNS, either(now.kind(op) != READ, then.message(op) == now.message(op))),
        ),
    ),
    Lasting(
        "commits keep their order",
        (N,),
        lambda now, then, i: implies(within(i, now.commits), both(i < then.commits, then.log(i) == now.log(i))),
    ),
    Lasting(
        "what is received stays (CH-4.2a)",
        (E, N),
        lambda now, then, e, i: implies(
            both(is_subscriber(now, e), within(i, now.arrived(e))),
            both(i < then.arrived(e), now.taken(e) <= then.taken(e), then.received(e, i) == now.received(e, i)),
        ),
    ),
)


def has_received(now: Channel, e: Term, i: Term, message: Term) -> Term:
    return both(is_subscriber(now, e), within(i, now.arrived(e)), now.received(e, i) == message)


def was_connected(now: Channel, e: Term, message: Term) -> Term:
    """At the commit of the message."""
    return both(now.joined(e) <= now.place(message), now.place(message) < until(now, e))


PROMISES = (
    Clause(
        "no buffer holds more messages than its size (CH-3.2)",
        (E,),
        lambda now, e: implies(
            both(is_subscriber(now, e), now.size(e) > 0), now.arrived(e) - now.taken(e) <= now.size(e)
        ),
    ),
    Clause(
        "any two subscribers receive in the same order (CH-3.6)",
        (E, E, N, N, N, N),
        lambda now, e, f, i, j, k, m: implies(
            both(
                *(has_received(now, e, i, now.received(f, k)), has_received(now, e, j, now.received(f, m))),
                *(has_received(now, f, k, now.received(f, k)), has_received(now, f, m, now.received(f, m))),
                i < j,
            ),
            k < m,
        ),
    ),
    Clause(
        "nobody receives a message twice (CH-2.4a, CH-3.1c)",
        (E, N, N, OP),
        lambda now, e, i, j, a: implies(both(has_received(now, e, i, a), has_received(now, e, j, a)), i == j),
    ),
    Clause(
        "a message reaches all that are connected at its commit (CH-2.4a, CH-3.1a)",
        (E, OP),
        lambda now, e, a: implies(
            both(is_subscriber(now, e), has_committed(now, a), was_connected(now, e, a)),
            has_received(now, e, now.place(a) - now.joined(e), a),
        ),
    ),
    Clause(
        "and nobody else (CH-2.4b, CH-5.3a)",
        (E, N, OP),
        lambda now, e, i, a: implies(has_received(now, e, i, a), was_connected(now, e, a)),
    ),
    Clause(
        "only what has committed is received; what raises is not (CH-3.7b, CH-3.8a)",
        (E, N, OP),
        lambda now, e, i, a: implies(has_received(now, e, i, a), has_committed(now, a)),
    ),
    Clause(
        "what is not in the buffer any more, a read has taken (CH-4.2a, CH-4.5a)",
        (E, N, OP),
        lambda now, e, i, a: implies(
            both(has_received(now, e, i, a), i < now.taken(e)),
            both(has_taken(now, now.taker(e, i)), now.on(now.taker(e, i)) == e, now.message(now.taker(e, i)) == a),
        ),
    ),
    Clause(
        "no two reads of a subscriber return the same message (CH-4.4a)",
        (OP, OP),
        lambda now, a, b: implies(
            both(has_taken(now, a), has_taken(now, b), now.on(a) == now.on(b), now.message(a) == now.message(b)),
            a == b,
        ),
    ),
    Clause(
        "sends commit in the order of their calls, unless asked to cancel (CH-3.5)",
        (OP, OP),
        lambda now, a, b: implies(
            both(has_committed(now, a), has_committed(now, b), now.called(a) < now.called(b), no(now.asked(a))),
            now.place(a) < now.place(b),
        ),
    ),
)
