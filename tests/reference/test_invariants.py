"""The invariants stated at the top of `aioservicekit/_core.py`, checked between the steps of random programs."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from itertools import combinations, count
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aioservicekit import Channel, ChannelClosedError, ChannelState, Publisher, Subscriber
from aioservicekit._core import Buffer
from aioservicekit._runtime import held_here


def assert_invariants(channel: Channel[Any], subscribers: Iterable[Subscriber[Any]] = ()) -> None:
    """Check the module's numbered invariants between two steps; `subscribers` are checked even when closed."""
    core = channel._core
    assert not held_here(core)
    connected = list(core.buffers)
    buffers = {*connected, *(subscriber._buffer for subscriber in subscribers)}

    # 1: reads take from the front, so any two buffers end alike
    for one, other in combinations([list(buffer.messages) for buffer in connected], 2):
        shared = min(len(one), len(other))
        assert one[len(one) - shared :] == other[len(other) - shared :]

    # 2: whatever waits, and has not been cancelled since, waits for a reason
    full = full_buffers(channel)
    assert full or not any(not waiting.done() for waiting in core.sends)
    for buffer in buffers:
        if any(not waiting.done() for waiting in buffer.reads):
            assert buffer in connected
            assert not buffer.messages

    # 3, and that no buffer ever holds more than it may (CH-3.2)
    assert set(core.full) <= set(core.bounded)
    assert list(core.bounded) == [buffer for buffer in connected if buffer.size]
    assert all(len(buffer.messages) <= buffer.size for buffer in buffers if buffer.size)

    # 4
    if channel.state is ChannelState.closed:
        assert (len(connected), len(core.publishers), len(core.sends)) == (0, 0, 0)
        assert not any(buffer.reads for buffer in buffers)
    assert (channel.state is ChannelState.open) == bool(connected and core.publishers)


def full_buffers(channel: Channel[Any]) -> set[Buffer[Any]]:
    return {buffer for buffer in channel._core.buffers if buffer.is_full}


often = ["let others run", "send", "read"]
seldom = ["cancel", "cancel", "cancel", "connect", "subscribe", "close publisher", "close subscriber", "close"]
operations = st.lists(st.tuples(st.sampled_from(often * 4 + seldom), st.integers(0, 3)), min_size=20, max_size=60)


class Program:
    """A random program: each operation refers to endpoints and tasks by number, modulo how many there are."""

    def __init__(self, reached: Counter[str]) -> None:
        self.reached = reached
        self.channel = Channel[int]()
        self.publishers: list[Publisher[int]] = []
        self.subscribers: list[Subscriber[int]] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.numbers = count()
        self.delivered: list[int] = []
        self.taken: dict[Subscriber[int], dict[int, int | None]] = {}  # in the order of the calls

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
                    goes_at_once = not full_buffers(self.channel) and not self.channel._core.sends
                    await self.start(self.send(publisher), goes_at_once)
                case "read" if subscriber:
                    goes_at_once = bool(subscriber._buffer.messages)
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
        """Let no other task run if the operation need not wait. So what it wakes can be cancelled before it runs."""
        if goes_at_once:
            await operation
        else:
            self.tasks.append(asyncio.ensure_future(operation))

    async def send(self, publisher: Publisher[int]) -> None:
        message = next(self.numbers)
        await publisher.send(message)
        self.delivered.append(message)

    async def read(self, subscriber: Subscriber[int]) -> None:
        taken = self.taken.setdefault(subscriber, {})
        number = len(taken)
        taken[number] = None
        taken[number] = await subscriber.read()

    def cancel(self, task: "asyncio.Task[None]") -> None:
        completed = {waiting for subscriber in self.subscribers for waiting in subscriber._buffer.handed}
        self.reached["a completed one is cancelled"] += task._fut_waiter in completed  # type: ignore[attr-defined]
        task.cancel()

    def note_what_was_reached(self) -> None:
        sends, *reads = [self.channel._core.sends, *(subscriber._buffer.reads for subscriber in self.subscribers)]
        self.reached["two sends wait"] += len(sends) > 1
        self.reached["two reads wait"] += any(len(line) > 1 for line in reads)
        self.reached["full beside not full"] += 0 < len(full_buffers(self.channel)) < len(self.channel._core.buffers)
        self.reached["a read was handed its message"] += any(
            subscriber._buffer.handed for subscriber in self.subscribers
        )

    def check_outcomes(self) -> None:
        """Messages are numbered in the order of their sends, so a subscriber gets a contiguous run of those delivered."""
        assert all(task.cancelled() or isinstance(task.exception(), ChannelClosedError | None) for task in self.tasks)
        for subscriber in self.subscribers:
            taken = self.taken.get(subscriber, {}).values()
            got = [*(message for message in taken if message is not None), *subscriber._buffer.messages]
            assert got == [message for message in sorted(self.delivered) if got and got[0] <= message <= got[-1]]


def test_invariants_hold_between_all_steps() -> None:
    """Whatever is called, cancelled or closed, and whatever runs in between, the invariants hold (CH-3, CH-4)."""
    reached: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None)
    @given(program=operations)
    def invariants_hold(program: list[tuple[str, int]]) -> None:
        asyncio.run(Program(reached).run(program))

    invariants_hold()
    assert all(reached.values()), reached
