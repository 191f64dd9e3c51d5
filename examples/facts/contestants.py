"""Four ways to broadcast, behind one interface, and helpers that run the same scenario on each."""

import asyncio
import importlib
import math
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio

import aioservicekit

sys.path.append(str(Path(__file__).parents[1]))
import judge_0_6_0

Case = TypeVar("Case")

MOMENTS = range(12)  # in turns of the loop; nothing takes longer


class Contestant(Protocol):
    """A way to broadcast. Size 0 means unbounded. Closing a subscriber ignores what others are doing."""

    async def subscribe(self, size: int = 0) -> Any: ...
    async def send(self, message: str) -> None: ...
    async def read(self, subscriber: Any) -> str: ...
    async def close(self, subscriber: Any) -> None: ...


class Queues:
    """One `asyncio.Queue` per subscriber, and a `put` into each."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[str]] = []

    async def subscribe(self, size: int = 0) -> asyncio.Queue[str]:
        self.queues.append(asyncio.Queue(size))
        return self.queues[-1]

    async def send(self, message: str) -> None:
        for queue in list(self.queues):
            await queue.put(message)

    async def read(self, subscriber: asyncio.Queue[str]) -> str:
        return await subscriber.get()

    async def close(self, subscriber: asyncio.Queue[str]) -> None:
        self.queues.remove(subscriber)


class Streams:
    """One pair of anyio memory object streams per subscriber, and a `send` into each that still has a reader."""

    def __init__(self) -> None:
        self.streams: list[Any] = []

    async def subscribe(self, size: int = 0) -> Any:
        into, out = anyio.create_memory_object_stream[str](size or math.inf)
        self.streams.append(into)
        return out

    async def send(self, message: str) -> None:
        for into in list(self.streams):
            try:
                await into.send(message)
            except anyio.BrokenResourceError:  # its subscriber has closed
                self.streams.remove(into)

    async def read(self, subscriber: Any) -> str:
        message: str = await subscriber.receive()
        return message

    async def close(self, subscriber: Any) -> None:
        subscriber.close()


class Channels:
    """This library's channel, or that of PyPI's 0.6.0: the methods have the same names."""

    def __init__(self, package: Any) -> None:
        self.channel = package.Channel()
        self.publisher: Any = None

    async def subscribe(self, size: int = 0) -> Any:
        return await self.channel.subscribe(buffer_size=size)

    async def send(self, message: str) -> None:
        self.publisher = self.publisher or await self.channel.connect()
        await self.publisher.send(message)

    async def read(self, subscriber: Any) -> str:
        message: str = await subscriber.read()
        return message

    async def close(self, subscriber: Any) -> None:
        await subscriber.close()


async def turns(count: int = 30) -> None:
    """Let the loop turn this many times; the default is enough for everything to happen."""
    for _ in range(count):
        await asyncio.sleep(0)


async def persist(limit: asyncio.Timeout, operation: Callable[[], Awaitable[str | None]]) -> str | None:
    """Call an operation, and once more if it times out; return its result. `limit.reschedule(0)` makes it time out
    now."""
    try:
        async with limit:
            return await operation()
    except TimeoutError:
        return await operation()


async def received(channel: Contestant, subscriber: Any) -> str:
    """How often a subscriber gets the message "order" when it reads everything."""
    messages: list[str] = []
    while True:
        reading = asyncio.ensure_future(channel.read(subscriber))
        await turns()
        if not reading.done():
            return ("never", "once", "twice")[messages.count("order")]
        messages.append(reading.result())


def contest(scenario: Callable[[Contestant, Case], Coroutine[Any, Any, str]], cases: Iterable[Case]) -> None:
    """Run each case of a scenario on all four, and print one line per contestant with the outcomes."""
    with tempfile.TemporaryDirectory() as directory:
        try:
            earlier = importlib.import_module(f"{judge_0_6_0.PACKAGE}.channels")
        except ModuleNotFoundError:
            sys.path.append(directory)
            earlier = importlib.import_module(judge_0_6_0.fetch(Path(directory)))
    contestants: dict[str, Callable[[], Contestant]] = {
        "`asyncio.Queue` per subscriber": Queues,
        "anyio stream per subscriber": Streams,
        "PyPI's aioservicekit 0.6.0": lambda: Channels(earlier),
        "this aioservicekit": lambda: Channels(aioservicekit),
    }
    for name, contestant in contestants.items():
        outcomes = {asyncio.run(scenario(contestant(), case)) for case in cases}
        print(f"{name}: {' or '.join(sorted(outcomes))}")
