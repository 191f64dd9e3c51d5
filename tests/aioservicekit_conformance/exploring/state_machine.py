"""The Hypothesis state machine: one rule for each operation on a channel.

Every operation runs at once up to its first wait. Then, by default, everything runs until it rests. A deviation is a small number
of callbacks after which the next operation comes instead. Deviations put calls, cancellations and closings between any two
callbacks, even between a waiter's wake-up and its resumption. Without deviations, a case reads as a plain sequence.

A target may behave differently each time, and Hypothesis expects equal draws to meet equal choices. So nothing that is drawn
depends on what the target does. The bundles hold the names of what was *attempted*. If a join failed, another endpoint of its kind
takes its place; if an operation has ended, any other one under way does. If there is none, the step is left out.

Some rules do several things in a row. They make no case that the others can't, but make races likely that are rare otherwise: those
with several waiting operations, or with something between a wake-up and the woken operation. Hypothesis leaves out some rules in
each case (swarm testing), half of them on average, so more than one rule sends, and more than one reads.
"""

import sys
from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, initialize, multiple, precondition, rule

from ..running.case import Action, Case, Subject

__all__ = ["channel_machine"]

MOST_JOINS = 3  # of each kind
MOST_PENDING = 5  # operations

# An entry that is in a list twice is drawn twice as often.
beginnings = st.sampled_from(
    [
        ["subscribe", "connect"],
        ["connect", "subscribe"],
        ["subscribe", "connect", "connect"],
        ["subscribe", "subscribe", "connect"],
        ["connect", "connect", "subscribe", "subscribe"],
        ["connect"],
        ["subscribe"],
        [],
    ]
)
calms = st.sampled_from([0, 0, 4, 8])  # operations before any closing: after one, little of interest can happen
sizes = st.sampled_from([1, 1, 2, 0, 3])
own_sizes = st.sampled_from([None, None, 1, 1, 2, 0])  # None: the channel's
bursts = st.sampled_from([2, 3, 4])
once_or_twice = st.sampled_from([1, 2])
# How many run before the next operation; None: all, until the loop is at rest.
callbacks = st.sampled_from([None, None, 0, 0, 1, 2, 3])
few_callbacks = st.sampled_from([None, None, 0, 1])


class ChannelMachine(RuleBasedStateMachine):
    """One case: a channel, and the operations on it."""

    endpoints: Bundle[str] = Bundle("endpoints")
    operations: Bundle[int] = Bundle("operations")

    subscribers = endpoints.filter(lambda name: name.startswith("s"))
    publishers = endpoints.filter(lambda name: name.startswith("p"))
    closable = endpoints | st.just("channel")

    case: Case

    def __init__(self, target: Subject, done: Callable[[Case], None]) -> None:
        super().__init__()
        self.target = target
        self.done = done
        self.joins = {"s": 0, "p": 0}
        self.number = 0

    @initialize(target=endpoints, size=sizes, beginning=beginnings, own_size=own_sizes, calm=calms)
    def make_channel(self, size: int, beginning: list[str], own_size: int | None, calm: int) -> MultipleResults[str]:
        self.case = self.target.case(size)
        self.calm = calm
        joined = [self.join(what, None, own_size if what == "subscribe" else None) for what in beginning]
        # With a name of each kind to draw, every rule is possible from the start, even if nobody has joined.
        return multiple(*dict.fromkeys(["s1", "p1", *joined]))

    # Preconditions

    def may_subscribe(self) -> bool:
        return self.joins["s"] < MOST_JOINS

    def may_connect(self) -> bool:
        return self.joins["p"] < MOST_JOINS

    def may_close(self) -> bool:
        return self.number >= self.calm

    # One rule for each operation

    @precondition(may_subscribe)
    @rule(target=endpoints, size=own_sizes, after=callbacks)
    def subscribe(self, size: int | None, after: int | None) -> str:
        return self.join("subscribe", after, size)

    @precondition(may_connect)
    @rule(target=endpoints, after=callbacks)
    def connect(self, after: int | None) -> str:
        return self.join("connect", after)

    @rule(target=operations, publisher=publishers, after=callbacks)
    def send(self, publisher: str, after: int | None) -> int:
        return self.call("send", publisher, after)

    @rule(target=operations, subscriber=subscribers, after=callbacks)
    def read(self, subscriber: str, after: int | None) -> int:
        return self.call("read", subscriber, after)

    @rule(target=operations, subscriber=subscribers, after=callbacks)
    def iterate(self, subscriber: str, after: int | None) -> int:
        """A step of `async for`."""
        return self.call("next", subscriber, after)

    @rule(operation=operations, after=callbacks)
    def cancel(self, operation: int, after: int | None) -> None:
        """Ask a join (CH-2.6), a send (CH-3.8), a read (CH-4.5) or a closing (CH-5.1) to cancel."""
        under_way = list(self.case.pending)
        if under_way:
            number = operation if operation in under_way else under_way[operation % len(under_way)]
            self.case.perform(Action(number, "cancel", after=after))

    @precondition(may_close)
    @rule(target=operations, endpoint=closable, after=callbacks)
    def close(self, endpoint: str, after: int | None) -> int:
        """Close a publisher (CH-5.2), a subscriber (CH-5.3) or the channel (CH-1.4)."""
        return self.call("close", endpoint, after)

    # Bursts: several operations wait, and then comes what lets some of them go on.

    @rule(
        target=operations,
        publisher=publishers,
        times=bursts,
        subscriber=subscribers,
        reads=once_or_twice,
        after=callbacks,
    )
    def send_several_then_read(
        self, publisher: str, times: int, subscriber: str, reads: int, after: int | None
    ) -> MultipleResults[int]:
        sent = self.several("send", publisher, times, None)
        return multiple(*sent, *self.several("read", subscriber, reads, after))

    @rule(
        target=operations,
        subscriber=subscribers,
        times=bursts,
        publisher=publishers,
        sends=once_or_twice,
        after=callbacks,
    )
    def read_several_then_send(
        self, subscriber: str, times: int, publisher: str, sends: int, after: int | None
    ) -> MultipleResults[int]:
        read = self.several("read", subscriber, times, None)
        return multiple(*read, *self.several("send", publisher, sends, after))

    @precondition(may_subscribe)
    @rule(target=endpoints, publisher=publishers, times=bursts, size=own_sizes, after=callbacks)
    def send_several_then_subscribe(self, publisher: str, times: int, size: int | None, after: int | None) -> str:
        self.several("send", publisher, times, None)
        return self.join("subscribe", after, size)

    # Interruptions: the first operations let others go on, and before these run, something comes in between.

    @rule(subscriber=subscribers, times=once_or_twice, operation=operations, after=few_callbacks)
    def read_then_cancel(self, subscriber: str, times: int, operation: int, after: int | None) -> None:
        self.several("read", subscriber, times, 0)
        self.cancel(operation, after)

    @rule(publisher=publishers, times=once_or_twice, operation=operations, after=few_callbacks)
    def send_then_cancel(self, publisher: str, times: int, operation: int, after: int | None) -> None:
        self.several("send", publisher, times, 0)
        self.cancel(operation, after)

    @precondition(may_close)
    @rule(endpoint=closable, operation=operations, after=few_callbacks)
    def close_then_cancel(self, endpoint: str, operation: int, after: int | None) -> None:
        self.call("close", endpoint, 0)
        self.cancel(operation, after)

    @rule(target=operations, subscriber=subscribers, times=once_or_twice, publisher=publishers, after=few_callbacks)
    def read_then_send(self, subscriber: str, times: int, publisher: str, after: int | None) -> MultipleResults[int]:
        return multiple(*self.several("read", subscriber, times, 0), self.call("send", publisher, after))

    @rule(target=operations, publisher=publishers, times=once_or_twice, subscriber=subscribers, after=few_callbacks)
    def send_then_read(self, publisher: str, times: int, subscriber: str, after: int | None) -> MultipleResults[int]:
        return multiple(*self.several("send", publisher, times, 0), self.call("read", subscriber, after))

    @precondition(may_subscribe)
    @rule(target=endpoints, subscriber=subscribers, times=once_or_twice, after=few_callbacks)
    def read_then_subscribe(self, subscriber: str, times: int, after: int | None) -> str:
        """The new subscriber has little room: what was granted may be gone."""
        self.several("read", subscriber, times, 0)
        return self.join("subscribe", after, 1)

    @precondition(may_close)
    @rule(target=operations, subscriber=subscribers, times=once_or_twice, endpoint=closable, after=few_callbacks)
    def read_then_close(self, subscriber: str, times: int, endpoint: str, after: int | None) -> MultipleResults[int]:
        return multiple(*self.several("read", subscriber, times, 0), self.call("close", endpoint, after))

    # The steps from which all rules are made

    def join(self, what: str, after: int | None, size: int | None = None) -> str:
        kind = {"subscribe": "s", "connect": "p"}[what]
        self.joins[kind] += 1
        name = f"{kind}{self.joins[kind]}"
        self.perform(what, name, after, size)
        return name

    def call(self, what: str, endpoint: str, after: int | None) -> int:
        there = self.case.names("subscribe" if endpoint.startswith("s") else "connect")
        if there and endpoint not in (*there, "channel"):
            endpoint = there[int(endpoint[1:]) % len(there)]
        return self.perform(what, endpoint, after)

    def several(self, what: str, endpoint: str, times: int, after: int | None) -> list[int]:
        return [self.call(what, endpoint, after) for _ in range(times)]

    def perform(self, what: str, on: str, after: int | None, size: int | None = None) -> int:
        self.number += 1  # even if the step is left out: numbers are drawn, so they must not depend on the target
        if what == "close" or len(self.case.pending) < MOST_PENDING:
            self.case.perform(Action(self.number, what, on, size, after))
        return self.number

    def teardown(self) -> None:
        interrupted = isinstance(sys.exception(), KeyboardInterrupt)  # what the case has done since is half done
        if hasattr(self, "case") and not interrupted:
            self.case.finish()
            self.done(self.case)


def channel_machine(target: Subject, done: Callable[[Case], None]) -> Callable[[], RuleBasedStateMachine]:
    """A state machine that makes one case after another and hands each finished one to `done`."""
    return lambda: ChannelMachine(target, done)
