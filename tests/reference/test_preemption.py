"""One thread is stopped at every instruction in the channel, another one runs there, and the model judges (CH-6.1).

Threads that run for real seldom switch where it matters. Here the first one is stopped before its n-th bytecode instruction
in the library, for every n that there is; the other one then runs until it is done, or until it wants the lock.
"""

import asyncio
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType, TracebackType
from typing import Any, NamedTuple

import pytest
from settling import ended, settle

from aioservicekit import Channel, ChannelClosedError, Publisher, Subscriber
from aioservicekit_model.channel import machine
from aioservicekit_model.channel.checker import advance, start
from aioservicekit_model.channel.history import CLOSED, Event, call, raised, rest, returned

PATIENCE = 30.0  # seconds until a hanging instruction is given up

LIBRARY = ("aioservicekit/channels.py", "aioservicekit/_core.py", "aioservicekit/_runtime.py")

States = frozenset[machine.State]
Pending = frozenset[tuple[int, Event]]


class Scenario(NamedTuple):
    """What two threads do to a channel.

    Attributes:
        sizes: the buffer sizes of the subscribers s1, s2, ...; there is one publisher, p.
        before: what has been done already, on the loop of the second thread.
        first, second: what the threads do, one after the other: to s1, s2, ..., the publisher or the channel.
    """

    sizes: tuple[int, ...]
    before: str
    first: str
    second: str


SCENARIOS = {
    "a full buffer is read beside a send": Scenario((1,), "p.send", "s1.read", "p.send p.send"),
    "a send that has to wait, beside the read": Scenario((1,), "p.send", "p.send", "s1.read"),
    "two reads and sends that fill it again": Scenario(
        (2,), "p.send p.send", "s1.read", "s1.read p.send p.send p.send"
    ),
    "the last room is taken beside a read": Scenario((2,), "p.send", "p.send p.send", "s1.read"),
    "two full buffers": Scenario((1, 1), "p.send p.send", "s1.read", "s2.read s1.read s2.read"),
    "one of two full buffers is read beside a send": Scenario((1, 1), "p.send s1.read", "p.send", "s2.read"),
    "nothing to read yet": Scenario((0,), "", "s1.read", "p.send"),
    "one message for two reads": Scenario((0,), "p.send", "s1.read", "s1.read p.send"),
    "a read waits, and another one is called": Scenario((0,), "s1.read", "p.send s1.read", "s1.read p.send"),
    "a commit goes round": Scenario((0, 0), "", "p.send", "s1.read s2.read p.send"),
    "a commit goes round readers": Scenario((0, 1), "s1.read s2.read", "p.send p.send", "s1.read s2.read"),
    "closed beside the last read": Scenario((0,), "p.send", "s1.read s1.read", "s1.close"),
    "closing beside reads": Scenario((1,), "p.send p.send", "channel.close", "s1.read s1.read"),
    "closing beside a send": Scenario((1,), "p.send", "p.send", "s1.read channel.close"),
    "the full subscriber closes": Scenario((1, 0), "p.send p.send", "s1.close", "s2.read p.send"),
}


class Stop(Exception):
    """The first thread has no such instruction."""


class Lock:
    """A lock that reports when somebody has to wait for it."""

    def __init__(self, wanted: threading.Event) -> None:
        self._lock = threading.RLock()
        self._wanted = wanted

    def acquire(self, blocking: bool = True) -> bool:
        if not self._lock.acquire(blocking=False):
            if not blocking:
                return False
            self._wanted.set()
            assert self._lock.acquire(timeout=PATIENCE)
        return True

    def release(self) -> None:
        self._lock.release()

    def _is_owned(self) -> bool:
        owned: bool = self._lock._is_owned()  # type: ignore[attr-defined]
        return owned

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@contextmanager
def stopping_at(instruction: int, meanwhile: Callable[[], None]) -> Iterator[None]:
    """Do something else before the n-th instruction in the library; raise `Stop` if there are fewer."""
    counted = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal counted
        if frame.f_code.co_filename.endswith(LIBRARY):
            frame.f_trace_opcodes = True
            if event == "opcode":
                counted += 1
                if counted == instruction:
                    meanwhile()
        return trace

    before = sys.gettrace()
    # CPython 3.12 checks this when the function is set, and not later.
    sys._getframe().f_trace_opcodes = True
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
    if counted < instruction:
        raise Stop


class Trial:
    """A scenario with the first thread stopped at one instruction."""

    def __init__(self, scenario: Scenario, instruction: int) -> None:
        self.instruction = instruction
        self.history: list[tuple[int, Event]] = []  # with the thread, 0 or 1
        self.wanted = threading.Event()  # the second thread is done, or waits for the lock
        self._recording = threading.Lock()
        self._loops = [asyncio.SelectorEventLoop(), asyncio.SelectorEventLoop()]
        self._numbers = iter(range(1, 100))
        self._tasks: list[asyncio.Task[None]] = []
        self._endpoints: dict[str, Any] = {}
        self._scenario = scenario
        self._second = threading.Thread(target=self._run_second, daemon=True)

    def run(self) -> None:
        try:
            self._prepare()
            with stopping_at(self.instruction, self._start_second):
                self._do(self._scenario.first, 0)
            self._second.join(PATIENCE)
            assert not self._second.is_alive(), "the second thread never ends"
            for _ in range(3):
                for loop in self._loops:
                    self._settle(loop)
            self._see(rest())
            self._do("channel.close " + "".join(f"{name}.read " * 5 for name in self._endpoints if name[0] == "s"), 0)
            self._settle(self._loops[1])
            self._settle(self._loops[0])
            self._see(rest())
        finally:
            self._do("channel.close", 1)
            for loop in self._loops:
                self._settle(loop)
                loop.close()

    def _prepare(self) -> None:
        async def join() -> None:
            channel = self._endpoints["channel"] = Channel[int]()
            lock: Any = Lock(self.wanted)
            channel._core.lock = lock
            number = next(self._numbers)
            self._see(call(number, "connect", "p"))
            self._endpoints["p"] = await channel.connect()
            self._see(returned(number))
            for index, size in enumerate(self._scenario.sizes, 1):
                number = next(self._numbers)
                self._see(call(number, "subscribe", f"s{index}", size))
                self._endpoints[f"s{index}"] = await channel.subscribe(buffer_size=size)
                self._see(returned(number))

        self._loops[1].run_until_complete(join())
        self._do(self._scenario.before, 1)
        self.wanted.clear()

    def _start_second(self) -> None:
        self._second.start()
        assert self.wanted.wait(PATIENCE)

    def _run_second(self) -> None:
        self._do(self._scenario.second, 1)
        self.wanted.set()

    def _do(self, program: str, thread: int) -> None:
        loop = self._loops[thread]
        for operation in program.split():
            on, what = operation.split(".")
            self._tasks.append(loop.create_task(self._watch(on, what)))
            self._settle(loop)

    def _settle(self, loop: asyncio.AbstractEventLoop) -> None:
        for _ in range(4):
            loop.call_soon(loop.stop)
            loop.run_forever()

    async def _watch(self, on: str, what: str) -> None:
        number = next(self._numbers)
        message = [number] if what == "send" else []
        self._see(call(number, what, on, *message))
        try:
            value = await getattr(self._endpoints[on], what)(*message)
        except ChannelClosedError:
            self._see(raised(number, CLOSED))
        else:
            self._see(returned(number, value))

    def _see(self, event: Event) -> None:
        with self._recording:
            self.history.append((threading.current_thread() is self._second, event))


def first_unexplained(history: list[tuple[int, Event]]) -> int | None:
    """Return the index of the first event that the model does not explain, or None.

    A call takes effect when its operation gets to stand in line, between the call and whatever its thread does next: all
    the moments are tried at which the stopped operation, and the one that waits for the lock, may have done so.
    """
    found: dict[Pending, States] = {frozenset(): start(machine, 0)}  # keyed by the calls yet to take effect
    for index, (thread, event) in enumerate(history):
        after: dict[Pending, States] = {}
        for pending, states in found.items():
            if event.what == "call":
                if all(thread != other for other, _ in pending):
                    _add(after, pending | {(thread, event)}, states)
            elif event.what == "rest":
                if not pending:
                    _add(after, pending, advance(machine, states, event))
            elif all(event.op != call.op for _, call in pending):
                _add(after, pending, advance(machine, states, event))
        found = after
        if not found:
            return index
    return None


def _add(found: dict[Pending, States], pending: frozenset[tuple[int, Event]], states: States) -> None:
    """Add states: those that follow when each of the calls takes effect."""
    if states:
        found[pending] = found.get(pending, frozenset()) | states
        for each in pending:
            _add(found, pending - {each}, advance(machine, states, each[1]))


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_instruction_is_a_bad_one_to_be_stopped_at(name: str) -> None:
    """Wherever one thread is stopped while the other one runs, the model explains what both have seen (CH-6.1)."""
    for instruction in range(1, 10_000):
        trial = Trial(SCENARIOS[name], instruction)
        try:
            trial.run()
        except Stop:
            break
        refused = first_unexplained(trial.history)
        assert refused is None, (instruction, *trial.history[: refused + 1])
    assert instruction > 20, "hardly any instruction was stopped at"


def test_statistics_are_of_one_instant() -> None:
    """`statistics()` describes one instant, even if subscribers are read while it counts (CH-7.3)."""

    async def fill() -> tuple[Channel[int], Publisher[int], list[Subscriber[int]]]:
        channel = Channel[int]()
        subscribers = [await channel.subscribe() for _ in range(2)]
        publisher = await channel.connect()
        await publisher.send(1)
        return channel, publisher, subscribers

    seen = set()
    with suppress(Stop):
        for instruction in range(1, 10_000):
            channel, _publisher, subscribers = asyncio.run(fill())
            with stopping_at(instruction, partial(read_both, *subscribers)):
                statistics = channel.statistics()
            seen.add(tuple(subscriber.buffered for subscriber in statistics.subscribers))
            asyncio.run(channel.close())
    asyncio.run(channel.close())
    assert seen == {(1, 1), (0, 0)}


def read_both(*subscribers: Subscriber[int]) -> None:
    for subscriber in subscribers:
        with pytest.raises(StopIteration):
            subscriber.read().send(None)


class Snatched(deque[int]):
    """A deque whose first message is taken by another thread in the middle of a read."""

    def popleft(self) -> int:
        if 1 in self:
            self.remove(1)
        return super().popleft()


async def test_a_read_that_is_outrun_waits_for_the_next_message() -> None:
    """A read that finds a message, but loses it to another thread, waits in line for the next (CH-4.4)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        subscriber._buffer.messages = Snatched()
        await publisher.send(1)
        reading = asyncio.ensure_future(subscriber.read())
        await settle()
        assert not reading.done()
        await publisher.send(2)
        assert await ended(reading) == 2


async def test_a_read_that_is_outrun_with_the_lock_held_waits_for_the_next_message() -> None:
    """The same beside a read that has its message and has not run yet, where each looks with the lock held (CH-4.4)."""
    channel = Channel[int]()
    async with channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        before = asyncio.ensure_future(subscriber.read())
        await settle()
        await publisher.send(0)
        subscriber._buffer.messages = Snatched()
        await publisher.send(1)
        outrun = subscriber.read()
        outrun.send(None)
        assert channel.statistics().subscribers[0].reads_waiting == 1
        outrun.close()
        assert await ended(before) == 0
