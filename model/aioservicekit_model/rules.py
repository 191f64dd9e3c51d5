"""The specification's rules as data, so that reports can quote them.

`specs/` is the normative text, and is not part of the wheel; this module is. It is a transcription, word for word: a
test (`tests/model/test_specification.py`) compares each rule with the text, and fails where one of the two has been
changed alone.
"""

from enum import StrEnum
from typing import NamedTuple

__all__ = ["RULES", "SECTIONS", "Level", "Rule", "section"]


class Level(StrEnum):
    """How binding a rule is, in the sense of RFC 2119."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Rule(NamedTuple):
    """One numbered rule of the specification.

    Attributes:
        id: as in "CH-3.1"; never renumbered.
        title: a few words to know it by.
        level: how binding it is.
        sentence: the normative text, one testable sentence.
        intent: why the rule exists; what breaks without it.
        look_at: the usual mistakes, for whoever breaks it.
    """

    id: str
    title: str
    level: Level
    sentence: str
    intent: str
    look_at: str


SECTIONS: dict[str, str] = {
    "CH-1": "state",
    "CH-2": "joining",
    "CH-3": "sending",
    "CH-4": "reading",
    "CH-5": "closing",
    "CH-6": "threads and event loops",
    "CH-7": "care",
}


def section(rule_id: str) -> str:
    """The section in which a rule stands: "CH-3" for "CH-3.1"."""
    return rule_id.partition(".")[0]


_RULES = (
    Rule(
        "CH-1.1",
        "A new channel",
        Level.MUST,
        "A new channel MUST be in `initiation`, and building one MUST NOT need a running event loop.",
        "A channel is often a module's global, made at import, long before any loop runs.",
        "A lock, event or future that is made in the constructor and asks for the running loop; a first state "
        "that is computed from the (empty) sets of endpoints and comes out as `closed`.",
    ),
    Rule(
        "CH-1.2",
        "Opening",
        Level.MUST,
        "A channel in `initiation` MUST become `open` at the instant at which it first has at least one connected "
        "publisher and at least one connected subscriber, whichever came first, and MUST NOT become `open` "
        "before.",
        "Whoever starts first, the two sides meet; only from then on can the loss of one side mean the end.",
        "The check is made in `subscribe` or in `connect` alone, or in a task that runs later; a counter of "
        "endpoints that ever joined in place of those connected now.",
    ),
    Rule(
        "CH-1.3",
        "Closing by desertion",
        Level.MUST,
        "An `open` channel MUST become `closed` at the instant at which its last connected publisher or its last "
        "connected subscriber closes; while it has at least one of each it MUST stay `open` until `close()` is "
        "called on it.",
        "Consumers must learn that no more will come, and producers that nobody listens: else both wait for ever.",
        "The endpoint is taken out after the check, not before; the check looks at one side only; it runs in a "
        "task of its own, so the state changes late.",
    ),
    Rule(
        "CH-1.4",
        "Closing by hand",
        Level.MUST,
        "`close()` on a channel MUST take it to `closed`, from `initiation` and from `open` alike.",
        "An application that gives up before both sides have met must be able to release those that wait.",
        "A guard in `close()` that asks for `open`, where it should ask for not `closed`.",
    ),
    Rule(
        "CH-1.5",
        "Coming and going before it opens",
        Level.MUST,
        "While a channel is in `initiation`, the closing of an endpoint MUST NOT close the channel, not even when "
        "it was the last one.",
        "A publisher that restarts before the first subscriber has come must not take the channel down for good.",
        "The check for desertion runs in every state; it should ask for `open` first.",
    ),
    Rule(
        "CH-1.6",
        "Endpoints close with the channel",
        Level.MUST,
        "At the instant at which a channel becomes `closed`, every one of its endpoints MUST be closed too.",
        "No endpoint may go on as if the channel were there: its reads and sends would never end.",
        "Endpoints are closed one after the other across an `await`, or by listeners or tasks that run later; an "
        "endpoint that joins during that loop is forgotten.",
    ),
    Rule(
        "CH-1.7",
        "Only forward",
        Level.MUST,
        "A channel's state MUST only move forward, in the order `initiation`, `open`, `closed`, where `open` may "
        "be left out; `closed` MUST be final.",
        "Whoever has seen `closed` may stop looking.",
        "A state computed anew from the numbers of endpoints; a join that had passed its check before a close and "
        "sets `open` after it.",
    ),
    Rule(
        "CH-2.1",
        "Joining a closed channel",
        Level.MUST,
        "`subscribe` and `connect` on a closed channel MUST raise `ChannelClosedError` and MUST NOT register anything.",
        "An endpoint of a closed channel would wait for what can't come.",
        "The check and the registration are parted by an `await`; the endpoint's constructor registers itself "
        "before the check.",
    ),
    Rule(
        "CH-2.2",
        "The buffer's size",
        Level.MUST,
        "`subscribe` with no `buffer_size`, or with `None`, MUST give the subscriber the channel's default size; "
        "any other valid value, 0 included, MUST override the default for that subscriber and for no other; a channel "
        "that was built with no size MUST have the default 0.",
        "One slow logger may need an unbounded buffer in a channel whose others are small.",
        "`buffer_size or default`, which takes an explicit 0 for no value.",
    ),
    Rule(
        "CH-2.3",
        "Sizes that are none",
        Level.MUST,
        "The constructor and `subscribe` MUST raise `ValueError` for a negative `buffer_size` and `TypeError` for "
        "one that is not an `int`, of which a `bool` is not one and `None` is allowed in `subscribe` alone, and "
        "MUST NOT register anything then.",
        "A size that makes no sense fails where it is written, not as a channel that stops or never holds back.",
        "`isinstance(True, int)` is true; a negative size that is compared with a length is never reached, so it "
        "acts as unbounded; the subscriber is registered before its size is checked.",
    ),
    Rule(
        "CH-2.4",
        "What a subscriber receives",
        Level.MUST,
        "A subscriber MUST receive each message that commits between its joining and its closing, exactly once, "
        "and MUST NOT receive any other message.",
        "A broadcast, not a log: no gaps, no copies, no replay of what was sent before.",
        "A buffer shared with readers that came earlier; a send that fixed its list of subscribers when it was "
        "called and not when it commits; a retry that delivers again.",
    ),
    Rule(
        "CH-2.5",
        "Joining never waits",
        Level.MUST,
        "`subscribe` and `connect` MUST end without waiting for any message to be sent or read, however many "
        "subscribers are full and however many sends wait.",
        "The reader that would relieve a full channel may be the one that is just joining.",
        "`subscribe` takes the same `asyncio.Lock` that a send holds while it waits for room.",
    ),
    Rule(
        "CH-2.6",
        "A joining that fails",
        Level.MUST,
        "A `subscribe` or `connect` that raises, because it was cancelled or for any other reason, MUST NOT have joined "
        "anything, then or later.",
        "Nobody holds such an endpoint: it would keep the channel open, or stop every publisher, and nobody could close "
        "it.",
        "An `await` between the registration and the return, at which the joining can be cancelled; an error that is "
        "raised after the registration and does not undo it.",
    ),
    Rule(
        "CH-3.1",
        "All or nothing",
        Level.MUST,
        "A `send` MUST put its message into the buffers of all connected subscribers at one instant, its commit, "
        "or into none of them, ever; one that returns MUST have committed, and it MUST NOT commit more than once.",
        "Subscribers that have seen different messages can't be brought together again; a publisher can't tell "
        "who missed what.",
        "A loop over the subscribers with an `await` in it, or a task for each subscriber (`gather`, "
        "`TaskGroup`): some have the message while another one is full, fails or is cancelled.",
    ),
    Rule(
        "CH-3.2",
        "Back-pressure",
        Level.MUST,
        "A `send` MUST commit only at an instant at which no connected subscriber is full, and MUST wait until "
        "then; so no buffer ever holds more messages than its size.",
        "Bounded buffers bound the memory, and the slowest subscriber sets the pace.",
        "Room is checked before an `await` and used after it; a woken sender does not check again (a subscriber "
        "with a small buffer may have joined); `>` in place of `>=`; a size of 0 taken as always full.",
    ),
    Rule(
        "CH-3.3",
        "With nobody there",
        Level.MUST,
        "A `send` while no subscriber is connected MUST return without waiting, and once it has returned its message "
        "MUST NOT be kept for anybody.",
        "A publisher may start first, and must neither hang nor fill the memory.",
        "Waiting for the state `open` in `send`; a queue of the channel's own from which a later subscriber is served.",
    ),
    Rule(
        "CH-3.4",
        "A send goes on when there is room",
        Level.MUST,
        "When no connected subscriber is full, the `send` that has waited longest MUST commit and return without "
        "anything else having to happen, whether the room came from a read or from the closing of a subscriber.",
        "A wake-up that is lost stops every publisher, and nothing shows but silence.",
        "Only reads wake senders, closings don't; one wake-up for several senders when there was room for "
        "several; a sender that has gone does not wake the next one; the wake-up goes to a future that is already "
        "done.",
    ),
    Rule(
        "CH-3.5",
        "First come, first served",
        Level.MUST,
        "Sends MUST commit in the order in which they were called, whichever publisher they were called on; a "
        "later one MUST NOT commit while an earlier one keeps its place in the line.",
        "Order means something to receivers, and a sender that can be overtaken can be starved.",
        "A new send that finds room commits without looking at the line; a woken sender that finds the room gone "
        "goes to the end of the line, where it should keep its place.",
    ),
    Rule(
        "CH-3.6",
        "One order for all",
        Level.MUST,
        "Any two subscribers MUST receive the messages that they both receive in the same order.",
        "Subscribers that keep the same state by applying the same messages must not drift apart.",
        "One task a subscriber delivers each message, and two messages are on their way at once.",
    ),
    Rule(
        "CH-3.7",
        "Sending on what is closed",
        Level.MUST,
        "A `send` on a closed publisher MUST raise `ChannelClosedError`, and so MUST one that waits when its "
        "publisher or the channel closes; a `send` that raises this or any other error of its own MUST NOT "
        "have delivered its message to anyone; an exception that comes from outside while it commits, such as"
        " the `KeyboardInterrupt` of a signal handler, MAY leave the message with some subscribers, and the "
        "channel MUST stay usable.",
        "A publisher is told that nobody will get the message, and may send it elsewhere without fear of a copy.",
        "`close()` does not wake the senders; a woken sender looks for room before it looks whether it is "
        "closed; delivery begins before the check.",
    ),
    Rule(
        "CH-3.8",
        "Cancelling a send",
        Level.MUST,
        "A `send` that raises `CancelledError` MUST NOT have delivered its message to anyone, then or later, "
        "and MUST have been asked to cancel; a `send` that was asked to cancel MUST end; it MUST NOT hold up "
        "the sends behind it, nor let them commit without room.",
        "Time-outs are cancellations: after one, the caller must know whether the message is out.",
        "asyncio raises `CancelledError` in a task even if the future that it waits for is done already: a "
        "send that was only granted the room must hand it on, and one for which somebody else has committed "
        "must return (CH-3.9).",
    ),
    Rule(
        "CH-3.9",
        "Cancelling a send that has committed",
        Level.MUST,
        "A `send` that has committed MUST return, even if its task was asked to cancel before it did; the "
        "request MUST NOT be lost: the task MUST be cancelled at its next suspension, unless the request has "
        "been withdrawn by then (`Task.uncancel`).",
        "The caller learns that the message is out, and the task still ends; `asyncio.timeout` withdraws its "
        "request when its block is left, and no stray cancellation may follow.",
        "`CancelledError` is swallowed, so that a task of a `TaskGroup` never ends; the request is made again"
        " at once, before a time-out could withdraw it; `Task.cancelling()` counts one request twice.",
    ),
    Rule(
        "CH-4.1",
        "The oldest first",
        Level.MUST,
        "`read` MUST take the oldest message out of its subscriber's buffer and return it, and MUST wait while "
        "the buffer is empty and the subscriber is connected.",
        "Messages are read in the order in which they were sent.",
        "`pop()` in place of `popleft()`; an event that is still set from an earlier message, so that a read "
        "finds the buffer empty and fails.",
    ),
    Rule(
        "CH-4.2",
        "Nothing that committed is lost",
        Level.MUST,
        "What is buffered when the subscriber or the channel closes MUST stay readable; a `read` MUST raise "
        "`ChannelClosedError` when, and only when, its subscriber is closed and no message is left for it; reads "
        "that stand in line at the close beyond the number of buffered messages MAY raise at once.",
        "A publisher whose `send` returned may close and go: its last messages still arrive.",
        "`close()` clears the buffer; `read` asks whether it is closed before it asks whether there is a message; "
        "all waiting readers are failed at a close, also one for which a message was there.",
    ),
    Rule(
        "CH-4.3",
        "A close ends waiting reads",
        Level.MUST,
        "A `read` that waits when its subscriber or the channel closes MUST end without anything else having to "
        "happen: it MUST raise `ChannelClosedError`, unless a message was already buffered for it, which it MUST "
        "return.",
        "A reader that is left asleep at a close never lets its task end.",
        "`close()` wakes one reader only, or only those of the subscriber on which it was called; the channel "
        "closes by desertion on a path that wakes nobody.",
    ),
    Rule(
        "CH-4.4",
        "Several readers",
        Level.MUST,
        "Several reads on one subscriber MUST share its messages: each message MUST go to exactly one of them, in "
        "the order in which the reads were called.",
        "A group of workers on one subscriber is a queue: no work done twice, none skipped, none starved.",
        "A new read takes a message past the reads that wait; a woken reader that finds the message gone goes to "
        "the end of the line; a message is looked at, and taken after an `await`.",
    ),
    Rule(
        "CH-4.5",
        "Cancelling a read",
        Level.MUST,
        "A `read` that raises `CancelledError` MUST NOT have taken a message and MUST have been asked to "
        "cancel; the message that it would have taken MUST reach the next `read`, in the same order as "
        "before, without anything else having to happen; a `read` that was asked to cancel MUST end.",
        "`asyncio.timeout` around a read must not cost a message.",
        "A message handed to the reader's future is lost when its task is cancelled before it runs; it is put"
        " back at the wrong end; the next reader that waits is not woken for it.",
    ),
    Rule(
        "CH-4.6",
        "A read goes on when there is a message",
        Level.MUST,
        "A `read` that waits MUST return once its subscriber's buffer holds a message for it, without anything "
        "else having to happen.",
        "A message that lies beside a sleeping reader is as good as lost, and may hold back every publisher.",
        "Two messages come before the first woken reader runs, and only one reader is woken; an event is cleared "
        "after it was set for the next message.",
    ),
    Rule(
        "CH-4.7",
        "Iteration",
        Level.MUST,
        "`async for` over a subscriber MUST yield what `read` would return, and MUST end, with no exception, "
        "where `read` would raise `ChannelClosedError`.",
        "The usual consumer is a loop that drains what is left and then ends.",
        "`__anext__` ends when the subscriber is closed, though its buffer still holds messages; it lets "
        "`ChannelClosedError` through, or turns other errors into the end.",
    ),
    Rule(
        "CH-4.8",
        "Cancelling a read that has its message",
        Level.MUST,
        "A `read` that has taken its message MUST return it, even if its task was asked to cancel before it "
        "did; the request MUST NOT be lost: the task MUST be cancelled at its next suspension, unless the "
        "request has been withdrawn by then (`Task.uncancel`).",
        "A message that arrives as the time runs out is not lost, and a consumer in a `TaskGroup` still ends.",
        "The same as for CH-3.9: a request that is swallowed, repeated too early, or counted twice.",
    ),
    Rule(
        "CH-5.1",
        "Closing is at once",
        Level.MUST,
        "`close()` of a channel, a publisher or a subscriber MUST take its whole effect at the instant at which "
        "it is called, also when its caller is cancelled; it MUST NOT wait for anybody to read, and called again "
        "it MUST change nothing and raise nothing.",
        "Closing is what clean-up code does, often while it is being cancelled.",
        "An `await` between the parts of a close; a close that is left to a task or a listener; a drain before "
        "the end; a second close that takes the endpoint out of its set again.",
    ),
    Rule(
        "CH-5.2",
        "Closing a publisher",
        Level.MUST,
        "Closing a publisher MUST make its own waiting sends raise `ChannelClosedError`, and MUST NOT make the "
        "sends of any other publisher fail.",
        "Publishers of one channel need not know each other: one may leave without harming the rest.",
        "The line of sends does not record whose they are; the sends that waited behind those of the closed "
        "publisher are not woken although there is room.",
    ),
    Rule(
        "CH-5.3",
        "Closing a subscriber",
        Level.MUST,
        "A subscriber that has closed MUST NOT receive what commits later, and MUST NOT hold back any `send`, "
        "however full it is.",
        "A consumer that gave up must not stop those that go on.",
        "The count of full subscribers still has the closed one in it; a waiting send keeps the list of "
        "subscribers that it made before.",
    ),
    Rule(
        "CH-5.4",
        "Context managers",
        Level.MUST,
        "The end of an `async with` on a channel, a publisher or a subscriber MUST close it, also when an "
        "exception ends the block; that exception MUST go through unchanged.",
        "No path leaves an endpoint open by accident, and errors are not replaced or swallowed on the way.",
        "`__aexit__` returns something true, raises the exception anew, or swallows `ChannelClosedError`.",
    ),
    Rule(
        "CH-6.1",
        "Any thread, any loop",
        Level.MUST,
        "Every operation MUST be callable from any event loop in any thread; together the operations MUST behave "
        "as if they took place one at a time, in an order in which one that ended before another was called comes "
        "first.",
        "Services run their loops in threads of their own; the rules above are of no use if they hold for one "
        "loop only.",
        "State that is changed without a lock, or under an `asyncio` one, which serves a single loop; a check and "
        "its act under two separate holds of the lock.",
    ),
    Rule(
        "CH-6.2",
        "Woken where it waits",
        Level.MUST,
        "An operation that waits MUST be woken on the event loop on which it waits, whichever loop or thread made "
        "the room, the message or the close.",
        "Futures are not thread-safe: one that is set from another thread may be noticed late or never.",
        "`future.set_result` where `loop.call_soon_threadsafe` is needed; a loop that is remembered for the "
        "channel and not for each operation that waits.",
    ),
    Rule(
        "CH-6.3",
        "A loop that is gone",
        Level.MUST,
        "An event loop that was closed or abandoned with operations still waiting on it, or that is blocked, "
        "MUST NOT make any operation on another loop fail, nor hold it up beyond back-pressure, nor cost it a"
        " message; a message that comes back since the loop of its read was closed MAY bring a buffer above "
        "its size.",
        "One thread that dies or hangs must not take down the others.",
        "`call_soon_threadsafe` raises `RuntimeError` on a closed loop, in the middle of somebody else's "
        "read; a dead waiter at the head of the line is woken in vain and never leaves.",
    ),
    Rule(
        "CH-7.1",
        "Nothing kept",
        Level.MUST,
        "A channel MUST NOT hold a reference to an endpoint that has closed, nor to a message that nobody can "
        "read any more.",
        "Channels live as long as the application; whatever each endpoint leaves behind adds up.",
        "Closed endpoints stay in a list, in a callback or in a finished task; the last message sent stays in a "
        "local variable or in an exception's traceback.",
    ),
    Rule(
        "CH-7.2",
        "Forgotten endpoints",
        Level.MUST,
        "An endpoint that is garbage-collected while it is connected MUST be closed by that, with a "
        "`ResourceWarning` that names it, and a channel's own references MUST NOT keep a connected endpoint from "
        "being collected.",
        "A forgotten subscriber must not stop every publisher for ever.",
        "The channel holds its endpoints strongly, so they are never collected; a finalizer that takes the lock "
        "in the thread that holds it; one that needs a running loop.",
    ),
    Rule(
        "CH-7.3",
        "Telling what goes on",
        Level.SHOULD,
        "`repr()` of a channel and of its endpoints, and `channel.statistics()`, SHOULD tell the state, the "
        "endpoints, the messages buffered and the sizes of the buffers, and the sends and reads that wait.",
        "Who debugs a channel that stands still asks who is full and who waits.",
        "A default `repr()`; counts that leave out the operations that wait.",
    ),
)

RULES: dict[str, Rule] = {rule.id: rule for rule in _RULES}
