"""What breaks each rule: the natural mistakes of a channel, as an overlay on the strict machine, which knows nothing of them.

Each mistake names the obligation that it breaks and the action that it replaces. It applies to the same operations, and keeps all
guards of the action except those of its own rule. If its rule has several obligations and it names no letter, it breaks them all.
The table also lists which other guards a mistake drops, and what it has to remember: the fields of `Past`, explained there.
There are three tables: mistakes in acting, in ending and at rest. Two mistakes that concern the channel's phase follow them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .history import CANCELLED, CLOSED, EXHAUSTED, JOINS, READS, Event
from .machine import (
    CLOSE,
    CLOSED_PHASE,
    CLOSING,
    COMMIT,
    FAIL,
    INITIATION,
    JOIN,
    LEAVE,
    OBLIGATIONS,
    OPEN,
    PHASES,
    RUN_OUT,
    SEND,
    TAKE,
    WITHDRAW,
    Action,
    Operation,
    State,
    nobody_full,
    publisher_closed,
    publisher_connected,
    subscriber_closed,
)
from .past import Past, StateWithPast
from .wrong_effects import (
    HAVING_DELIVERED,
    NEVER,
    close_after_the_return,
    close_and_begin_anew,
    close_and_drop_messages,
    close_and_forget_endpoints,
    close_and_go_on_receiving,
    close_later,
    close_never,
    close_nothing,
    close_other_endpoints_last,
    close_the_channel_too,
    close_the_endpoint_alone,
    close_the_endpoint_first,
    close_the_endpoints_alone,
    commit_all_the_same,
    commit_and_reach_some_late,
    commit_and_wait,
    commit_in_different_orders,
    commit_past_newcomers,
    commit_to_closed,
    commit_to_earlier_ones,
    commit_to_everybody,
    commit_to_reads_that_gave_up,
    commit_to_the_lingering,
    commit_to_the_rest,
    commit_too_often,
    commit_twice_to_some,
    deliver_to_one,
    end_early,
    end_with_an_error,
    fail_having_delivered,
    fail_instead,
    give_up_having_delivered,
    is_held_back,
    join_opening_or_not,
    join_what_is_closed,
    join_with_another_default,
    join_with_recent,
    join_with_the_default,
    join_with_unheard,
    put_back_last,
    return_undelivered,
    take_a_newer,
    take_and_drop_the_next,
    take_and_leave,
    take_and_wait,
)

Condition = Callable[[State, Operation, Past], bool]
Effect = Callable[[State, Operation, Past], Iterable[State | StateWithPast]]


def is_with_everybody(state: State, op: Operation, past: Past) -> bool:
    return bool(state.connected) and all((op.number, s.name) in past.delivered for s in state.connected)


def waited_when_its_publisher_left(state: State, op: Operation, past: Past) -> bool:
    """Its publisher has closed while it waited, and the channel has not."""
    return publisher_closed(state, op) and op.number not in past.late and state.phase != CLOSED_PHASE


def is_due(obligation: str) -> Condition:
    """What the operation may not wait with is due."""
    (unmet,) = (each.unmet for each in OBLIGATIONS if each.rule == obligation)
    return lambda state, op, past: unmet(state, op)


def connected_names(state: State) -> list[str]:
    return [p for p, connected in state.publishers if connected] + [s.name for s in state.connected]


# fmt: off
always:              Condition = lambda state, op, past: True
waits:               Condition = lambda state, op, past: op.outcome is None
in_initiation:       Condition = lambda state, op, past: state.phase == INITIATION
is_closed:           Condition = lambda state, op, past: state.phase == CLOSED_PHASE
is_subscribing:      Condition = lambda state, op, past: op.kind == "subscribe"
has_no_size:         Condition = lambda state, op, past: op.kind == "subscribe" and op.value is None
has_a_size:          Condition = lambda state, op, past: op.kind == "subscribe" and op.value is not None
is_iterating:        Condition = lambda state, op, past: op.kind == "next"
of_the_channel:      Condition = lambda state, op, past: op.on == "channel"
of_one_open:         Condition = lambda state, op, past: op.on != "channel" and state.phase == OPEN
of_the_channel_not_closed: Condition = lambda state, op, past: op.on == "channel" and state.phase != CLOSED_PHASE
of_one_new:          Condition = lambda state, op, past: op.on != "channel" and state.phase == INITIATION
of_one_connected:    Condition = lambda state, op, past: op.on in connected_names(state)
of_one_closed:       Condition = lambda state, op, past: op.on != "channel" and op.on not in connected_names(state)
of_the_closed_channel: Condition = lambda state, op, past: op.on == "channel" and state.phase == CLOSED_PHASE
of_a_subscriber:     Condition = lambda state, op, past: any(s.name == op.on for s in state.connected)
delivered_to_some:   Condition = lambda state, op, past: any(number == op.number for number, _ in past.delivered)
not_with_everybody:  Condition = lambda state, op, past: not is_with_everybody(state, op, past)
some_linger:         Condition = lambda state, op, past: bool(past.lingering)
nobody_connected:    Condition = lambda state, op, past: not state.connected
after_cancellation:  Condition = lambda state, op, past: past.room == "cancellation"
after_closing:       Condition = lambda state, op, past: past.room == "closing" or is_held_back(state, op, past)
its_publisher_left:  Condition = lambda state, op, past: publisher_closed(state, op)
waits_cancelled:     Condition = lambda state, op, past: op.outcome is None and op.cancel_requested
waits_for_room:      Condition = lambda state, op, past: (
    op.outcome is None and publisher_connected(state, op) and not nobody_full(state, op)
)
may_commit:          Condition = lambda state, op, past: (
    publisher_connected(state, op) and nobody_full(state, op) and bool(state.connected)
)
waited_when_its_subscriber_left: Condition = lambda state, op, past: subscriber_closed(state, op) and op.number not in past.late
never_ends:          Condition = lambda state, op, past: op.outcome == NEVER
beside_a_closed_one: Condition = lambda state, op, past: any(p != op.on and not connected for p, connected in state.publishers)
is_late:             Condition = lambda state, op, past: op.number in past.late
in_time:             Condition = lambda state, op, past: op.number not in past.late
behind_one_that_gave_up: Condition = lambda state, op, past: op.on in past.gave_up
# fmt: on


# -------------------------------------------------------------------------------------------------------------------- tables


class Mistake(NamedTuple):
    """What a channel that breaks a rule does instead of an action.

    Attributes:
        when: when it applies, in addition to when the action applies.
        without: other rules; it drops the guards that the action has for them, too.
        remembers: the fields of `Past` that it needs.
    """

    rule: str
    name: str
    instead_of: Action
    effect: Effect
    when: Condition = always
    without: tuple[str, ...] = ()
    remembers: tuple[str, ...] = ()


class Ending(NamedTuple):
    """An end of an operation of these kinds that breaks a rule."""

    rule: str
    name: str
    kinds: tuple[str, ...]
    seen: Callable[[Operation, Event], bool]
    when: Condition = always
    remembers: tuple[str, ...] = ()

    def fits(self, now: StateWithPast, op: Operation, event: Event) -> bool:
        return op.kind in self.kinds and self.seen(op, event) and self.when(now.state, op, now.past)


class Neglect(NamedTuple):
    """An obligation that is not met at rest. This breaks a rule: its own, or a more specific one."""

    rule: str
    obligation: str
    when: Condition = always
    remembers: tuple[str, ...] = ()


def strange(op: Operation, event: Event) -> bool:
    return event.what == "raise" and event.value not in (CLOSED, CANCELLED, EXHAUSTED)


def cancelled_by_nobody(op: Operation, event: Event) -> bool:
    return not op.cancel_requested and (event.what, event.value) == ("raise", CANCELLED)


def another_error(op: Operation, event: Event) -> bool:
    return strange(op, event) or cancelled_by_nobody(op, event)


def raises(op: Operation, event: Event) -> bool:
    return event.what == "raise"


def delivered_all_the_same(op: Operation, event: Event) -> bool:
    has_delivered = op.outcome == HAVING_DELIVERED or (op.outcome is not None and op.outcome.what == "return")
    return has_delivered and (event.what, event.value) == ("raise", CLOSED)


def returns_no_message(op: Operation, event: Event) -> bool:
    return event.what == "return" and not isinstance(event.value, int)


# fmt: off
MISTAKES: tuple[Mistake, ...] = (
    Mistake("CH-1.2",  "join, and open or not",               JOIN,     join_opening_or_not,       in_initiation),
    Mistake("CH-1.3a", "close the endpoint alone",            CLOSING,  close_the_endpoint_alone,  of_one_open),
    Mistake("CH-1.3a", "close the channel after its endpoint", CLOSING, close_the_endpoint_first,  of_one_open,
            remembers=("closing",)),
    Mistake("CH-1.3a", "close the endpoint, and begin anew",  CLOSING,  close_and_begin_anew,      of_one_open),
    Mistake("CH-1.3b", "close the open channel too",          CLOSING,  close_the_channel_too,     of_one_open),
    Mistake("CH-1.4",  "leave the channel open",              CLOSING,  close_nothing,             of_the_channel),
    Mistake("CH-1.4",  "close, and begin anew",               CLOSING,  close_and_begin_anew,      of_the_channel),
    Mistake("CH-1.4",  "close all endpoints, not the channel", CLOSING, close_the_endpoints_alone, of_the_channel_not_closed),
    Mistake("CH-1.4",  "leave the channel open, for ever",    CLOSING,  close_never,               of_the_channel_not_closed),
    Mistake("CH-1.5",  "close the new channel too",           CLOSING,  close_the_channel_too,     of_one_new),
    Mistake("CH-1.6",  "close and forget endpoints",          CLOSING,  close_and_forget_endpoints),
    Mistake("CH-1.6",  "close endpoints after the channel",   CLOSING,  close_other_endpoints_last,
            remembers=("closing",)),
    Mistake("CH-1.6",  "leave the endpoints forgotten",       CLOSING,  close_nothing,             of_the_closed_channel),
    Mistake("CH-2.1",  "join what is closed",                 JOIN,     join_what_is_closed,       is_closed),
    Mistake("CH-2.1",  "leave open what has joined late",     CLOSING,  close_nothing,             of_the_closed_channel),
    Mistake("CH-2.2a", "join with another default",           JOIN,     join_with_another_default, has_no_size),
    Mistake("CH-2.2b", "join with the default anyway",        JOIN,     join_with_the_default,     has_a_size),
    Mistake("CH-2.4a", "commit past newcomers",               COMMIT,   commit_past_newcomers,
            remembers=("newcomers",)),
    Mistake("CH-2.4a", "commit twice to some",                COMMIT,   commit_twice_to_some),
    Mistake("CH-2.4",  "commit too often, and to closed",     COMMIT,   commit_too_often),
    Mistake("CH-2.4",  "commit to earlier subscribers",       COMMIT,   commit_to_earlier_ones,
            remembers=("newcomers",)),
    Mistake("CH-2.4b", "commit to closed subscribers",        COMMIT,   commit_to_closed),
    Mistake("CH-2.4b", "join with old messages",              JOIN,     join_with_recent,          is_subscribing,
            remembers=("recent",)),
    Mistake("CH-3.1a", "deliver to one",                      COMMIT,   deliver_to_one,
            without=("CH-3.2", "CH-3.5"), remembers=("delivered",)),
    Mistake("CH-3.1a", "commit to the rest",                  COMMIT,   commit_to_the_rest,        delivered_to_some,
            remembers=("delivered",)),
    Mistake("CH-3.1a", "commit, and reach some late",         COMMIT,   commit_and_reach_some_late,
            remembers=("arriving",)),
    Mistake("CH-3.1b", "return undelivered",                  COMMIT,   return_undelivered,
            without=("CH-3.2", "CH-3.5")),
    Mistake("CH-3.1c", "commit, and wait",                    COMMIT,   commit_and_wait,
            without=("CH-3.5",), remembers=("delivered",)),
    Mistake("CH-3.3a", "fail for want of subscribers",        FAIL,     fail_instead,              nobody_connected,
            without=("CH-3.7",)),
    Mistake("CH-3.3b", "join with what nobody received",      JOIN,     join_with_unheard,         is_subscribing,
            remembers=("unheard",)),
    Mistake("CH-3.6",  "commit in different orders",          COMMIT,   commit_in_different_orders),
    Mistake("CH-3.7a", "commit after the channel closed",     COMMIT,   commit_to_everybody,       is_closed),
    Mistake("CH-3.7b", "fail having delivered",               FAIL,     fail_having_delivered),
    Mistake("CH-3.8a", "give up having delivered",            WITHDRAW, give_up_having_delivered,  waits),
    Mistake("CH-3.8a", "return undelivered when cancelled",   WITHDRAW, return_undelivered,        waits),
    Mistake("CH-3.8c", "commit instead of a cancelled send",  COMMIT,   commit_all_the_same,       after_cancellation,
            without=("CH-3.2", "CH-3.5"), remembers=("room",)),
    Mistake("CH-4.1a", "take a newer",                        TAKE,     take_a_newer),
    Mistake("CH-4.2a", "close and drop messages",             CLOSING,  close_and_drop_messages),
    Mistake("CH-4.4a", "take and leave",                      TAKE,     take_and_leave),
    Mistake("CH-4.4a", "take and drop the next",              TAKE,     take_and_drop_the_next),
    Mistake("CH-4.5a", "commit to reads that gave up",        COMMIT,   commit_to_reads_that_gave_up,
            remembers=("gave_up",)),
    Mistake("CH-4.5b", "give up and put back last",           LEAVE,    put_back_last),
    Mistake("CH-4.7a", "end the iteration early",             RUN_OUT,  end_early,                 is_iterating,
            without=("CH-4.1", "CH-4.2")),
    Mistake("CH-4.7a", "skip a message",                      TAKE,     take_and_wait,             is_iterating),
    Mistake("CH-4.7b", "end the iteration with an error",     RUN_OUT,  end_with_an_error,         is_iterating,
            without=("CH-4.1", "CH-4.2")),
    Mistake("CH-5.1a", "close no endpoint",                   CLOSING,  close_nothing,             of_one_connected),
    Mistake("CH-5.1a", "close later",                         CLOSING,  close_later),
    Mistake("CH-5.1a", "close after the return",              CLOSING,  close_after_the_return,
            remembers=("closing",)),
    Mistake("CH-5.1a", "close the endpoint first",            CLOSING,  close_the_endpoint_first,  of_one_open,
            remembers=("closing",)),
    Mistake("CH-5.1a", "close other endpoints last",          CLOSING,  close_other_endpoints_last,
            remembers=("closing",)),
    Mistake("CH-5.1c", "close again, and the channel too",    CLOSING,  close_the_channel_too,     of_one_closed),
    Mistake("CH-5.2a", "commit though its publisher closed",  COMMIT,   commit_all_the_same,       waited_when_its_publisher_left,
            without=("CH-3.7",), remembers=("late",)),
    Mistake("CH-5.2b", "fail with another publisher",         FAIL,     fail_instead,              beside_a_closed_one,
            without=("CH-3.7",)),
    Mistake("CH-5.3",  "close and go on receiving",           CLOSING,  close_and_go_on_receiving, of_a_subscriber,
            remembers=("lingering", "room")),
    Mistake("CH-5.3",  "leave the subscriber open",           CLOSING,  close_nothing,             of_a_subscriber),
    Mistake("CH-5.3a", "commit to the lingering too",         COMMIT,   commit_to_the_lingering,   some_linger),
)

# A guard on the past: a send whose message everybody has can't be withdrawn, whatever keeps it waiting.
ASKED_OF_THE_PAST = {WITHDRAW.name: not_with_everybody}

ENDINGS: tuple[Ending, ...] = (
    Ending("CH-2.1",  "a join with a strange error",            JOINS, strange),
    Ending("CH-3.3a", "a send to nobody with another error",    SEND,  another_error,          is_due("CH-3.3a")),
    Ending("CH-3.2",  "a send with an error for want of room",  SEND,  strange,                waits_for_room),
    Ending("CH-3.4",  "a send with another error though it can commit", SEND, another_error,   may_commit),
    Ending("CH-3.7a", "a send with another error on a closed publisher", SEND, strange,        its_publisher_left),
    Ending("CH-3.7a", "a send cancelled by its closing",        SEND,  cancelled_by_nobody,    its_publisher_left),
    Ending("CH-3.7b", "a send with an error, having delivered", SEND,  delivered_all_the_same),
    Ending("CH-3.8a", "a send cancelled by nobody",             SEND,  cancelled_by_nobody),
    Ending("CH-3.8b", "a cancelled send with another error",    SEND,  strange,                waits_cancelled),
    Ending("CH-4.1b", "a read with a strange error",            READS, strange),
    Ending("CH-4.1b", "a read with no message",                 READS, returns_no_message),
    Ending("CH-4.2b", "a read with another error that it must raise", READS, another_error,    is_due("CH-4.3")),
    Ending("CH-4.3",  "a read that its closing ends with another", READS, another_error,       waited_when_its_subscriber_left,
           remembers=("late",)),
    Ending("CH-4.5a", "a read cancelled by nobody",             READS, cancelled_by_nobody),
    Ending("CH-4.5c", "a cancelled read with another error",    READS, strange,                waits_cancelled),
    Ending("CH-4.6",  "a read with another error beside a message", READS, another_error,      is_due("CH-4.6")),
    Ending("CH-4.7b", "an iteration with an error",             ("next",), raises),
    Ending("CH-5.1c", "a closing with an error",                CLOSE, raises),
    Ending("CH-5.2a", "a send that its closing ends with another", SEND, another_error,        waited_when_its_publisher_left,
           remembers=("late",)),
)

NEGLECTS: tuple[Neglect, ...] = (
    *(Neglect(each.rule, each.rule) for each in OBLIGATIONS if each.rule not in ("CH-3.7a", "CH-4.3")),
    Neglect("CH-3.7a", "CH-3.7a", its_publisher_left),  # one that has failed otherwise has to say so
    Neglect("CH-4.3",  "CH-4.3",  in_time,             ("late",)),
    Neglect("CH-4.2b", "CH-4.3",  is_late,             ("late",)),
    Neglect("CH-1.4",  "CH-5.1b", never_ends),
    Neglect("CH-3.8c", "CH-3.4",  after_cancellation,  ("room",)),
    Neglect("CH-5.3b", "CH-3.4",  after_closing,       ("room",)),
    Neglect("CH-5.2a", "CH-3.7a", waited_when_its_publisher_left,     ("late",)),
    Neglect("CH-4.5b", "CH-4.6",  behind_one_that_gave_up, ("gave_up",)),
    Neglect("CH-4.5b", "CH-4.3",  behind_one_that_gave_up, ("gave_up",)),
    Neglect("CH-4.7a", "CH-4.6",  is_iterating),
    Neglect("CH-4.7b", "CH-4.3",  is_iterating),
)
# fmt: on


def born(default_size: int) -> Iterator[State]:
    """A new channel in any phase, which breaks CH-1.1."""
    return (State(phase, default_size) for phase in PHASES)


def turned_back(state: State, past: Past, phase: object) -> Iterator[State]:
    """The channel in an earlier phase than the one last observed, which breaks CH-1.7."""
    if phase in PHASES[: PHASES.index(past.seen)]:
        yield state._replace(phase=str(phase))
