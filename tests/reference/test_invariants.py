"""The invariants that `aioservicekit/channels.py` states on top, checked between the steps of random programs."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from itertools import combinations, count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aioservicekit import Channel, ChannelClosedError, ChannelState
from aioservicekit.channels import _Buffer, _ChannelPublisher, _ChannelSubscriber


def assert_invariants(channel: Channel[Any], subscribers: Iterable[_ChannelSubscriber[Any]] = ()) -> None:
    """The numbered invariants of the module, between any two steps; `subscribers` are looked at when closed as well."""
    assert not channel._lock.locked()
    connected = list(channel._buffers)
    buffers = {*connected, *(subscriber._buffer for subscriber in subscribers)}

    # 1, and that no buffer ever holds more than it may (CH-3.2)
    full = full_buffers(channel)
    assert full <= set(channel._full) <= set(connected)
    assert len(channel._full) == len(set(channel._full))
    assert all(len(buffer.messages) <= buffer.size for buffer in buffers if buffer.size)

    # 2: reads take from the front, so what two buffers hold ends alike
    for one, other in combinations([list(buffer.messages) for buffer in connected], 2):
        shared = min(len(one), len(other))
        assert one[len(one) - shared :] == other[len(other) - shared :]

    # 3: who sleeps at the head of a line sleeps for a reason
    if channel._waiting and channel._waiting[0].asleep:
        assert channel._bottleneck in full
    for buffer in buffers:
        if buffer._waiting and buffer._waiting[0].asleep:
            assert buffer.connected
            assert not buffer.messages

    # 4, and its converse: only what is connected is in the channel
    if channel.state is ChannelState.closed:
        assert (len(connected), channel._publishers, len(channel._waiting)) == (0, 0, 0)
    assert {buffer for buffer in buffers if buffer.connected} == set(connected)
    assert (channel.state is ChannelState.open) <= bool(connected and channel._publishers)
    assert bool(connected and channel._publishers) <= (channel.state is ChannelState.open)


def full_buffers(channel: Channel[Any]) -> set[_Buffer[Any]]:
    return {buffer for buffer in channel._buffers if not buffer.room}


often = ["let others run", "send", "read"]
seldom = ["cancel", "cancel", "cancel", "connect", "subscribe", "close publisher", "close subscriber", "close"]
operations = st.lists(st.tuples(st.sampled_from(often * 4 + seldom), st.integers(0, 3)), min_size=20, max_size=60)


class Program:
    """A random program: each operation refers to endpoints and tasks by their number, modulo how many there are."""

    def __init__(self, reached: Counter[str]) -> None:
        self.reached = reached
        self.channel = Channel[int]()
        self.publishers: list[_ChannelPublisher[int]] = []
        self.subscribers: list[_ChannelSubscriber[int]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.numbers = count()
        self.delivered: list[int] = []
        self.taken: dict[_ChannelSubscriber[int], list[int]] = {}

    async def run(self, program: list[tuple[str, int]]) -> None:
        for operation in ("connect", "connect", "subscribe", "subscribe"):
            await self.do(operation, len(self.subscribers) + 1)
        for operation, number in program:
            await self.do(operation, number)
            assert_invariants(self.channel, self.subscribers)
            self.note_what_was_reached()
        await self.channel.close()
        assert_invariants(self.channel, self.subscribers)
        for _ in range(2 * len(self.tasks) + 2):
            await asyncio.sleep(0)
            assert_invariants(self.channel, self.subscribers)
        assert all(task.done() for task in self.tasks), "an operation waits on a closed channel"
        self.check_outcomes()

    async def do(self, operation: str, number: int) -> None:
        publisher = self.publishers[number % len(self.publishers)] if self.publishers else None
        subscriber = self.subscribers[number % len(self.subscribers)] if self.subscribers else None
        waiting = [task for task in self.tasks if not task.done()]
        with suppress(ChannelClosedError):
            match operation:
                case "connect":
                    self.publishers.append(await self.channel.connect())
                case "subscribe":
                    self.subscribers.append(await self.channel.subscribe(buffer_size=number))
                case "send" if publisher:
                    goes_at_once = not full_buffers(self.channel) and not self.channel._waiting
                    await self.start(self.send(publisher), goes_at_once)
                case "read" if subscriber:
                    goes_at_once = bool(subscriber._buffer.messages) and not subscriber._buffer._waiting
                    await self.start(self.read(subscriber), goes_at_once)
                case "cancel" if waiting:
                    self.cancel(waiting[number % min(2, len(waiting))])  # the first in line are among the oldest
                case "close publisher" if publisher:
                    await publisher.close()
                case "close subscriber" if subscriber:
                    await subscriber.close()
                case "close" if number == 3:
                    await self.channel.close()
                case _:
                    await asyncio.sleep(0)

    async def start(self, operation: Coroutine[Any, Any, None], goes_at_once: bool) -> None:
        """Let no other task run if the operation need not wait: so what it wakes can be cancelled before it runs."""
        if goes_at_once:
            await operation
        else:
            self.tasks.append(asyncio.ensure_future(operation))

    async def send(self, publisher: _ChannelPublisher[int]) -> None:
        message = next(self.numbers)
        await publisher.send(message)
        self.delivered.append(message)

    async def read(self, subscriber: _ChannelSubscriber[int]) -> None:
        self.taken.setdefault(subscriber, []).append(await subscriber.read())

    def cancel(self, task: "asyncio.Task[None]") -> None:
        operation = getattr(task.get_coro(), "cr_await", None)
        place = operation and operation.cr_frame.f_locals.get("place")
        self.reached["a woken one is cancelled"] += place is not None and not place.asleep
        task.cancel()

    def note_what_was_reached(self) -> None:
        sends, *reads = [self.channel._waiting, *(subscriber._buffer._waiting for subscriber in self.subscribers)]
        self.reached["two sends wait"] += len(sends) > 1
        self.reached["two reads wait"] += any(len(line) > 1 for line in reads)
        self.reached["full beside not full"] += 0 < len(full_buffers(self.channel)) < len(self.channel._buffers)
        self.reached["closed with reads under way"] += self.channel.state is ChannelState.closed and any(reads)

    def check_outcomes(self) -> None:
        """Messages are numbered in the order of their sends, so what a subscriber got is a run of those delivered."""
        assert all(task.cancelled() or isinstance(task.exception(), ChannelClosedError | None) for task in self.tasks)
        assert self.delivered == sorted(self.delivered)
        for subscriber in self.subscribers:
            got = [*self.taken.get(subscriber, []), *subscriber._buffer.messages]
            assert got == [message for message in self.delivered if got and got[0] <= message <= got[-1]]


def test_invariants_hold_between_all_steps() -> None:
    """Whatever is called, cancelled or closed, whoever runs in between: the stated invariants hold (CH-3, CH-4)."""
    reached: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None)
    @given(program=operations)
    def invariants_hold(program: list[tuple[str, int]]) -> None:
        asyncio.run(Program(reached).run(program))

    invariants_hold()
    assert all(reached.values()), reached
