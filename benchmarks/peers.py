"""The peers that are measured beside the channel, each behind the same few names.

If possible, an adapter adds no frame: `send` and the reads are the peer's own bound methods. If a peer has no broadcast, `send`
puts into one queue per subscriber, one after the other, as people write it. With a single subscriber it is the queue's own `put`.
"""

import asyncio
import math
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = [
    "ANYIO",
    "CULSANS",
    "CULSANS_LOOPS",
    "FLOOR",
    "JANUS",
    "LOOPS",
    "OLD",
    "OURS",
    "PEERS",
    "QUEUE",
    "SWITCH",
    "THREADED",
    "Ends",
    "Missing",
    "Peer",
    "Read",
    "Send",
    "loop_factory",
    "module",
]

FETCHED = Path(__file__).parent / ".peers"

Send = Callable[[Any], Awaitable[Any]]
Read = Callable[[], Awaitable[Any]]


class Missing(Exception):
    """A peer can't be measured here; the text says why."""


class Ends(NamedTuple):
    """A broadcast with its subscribers.

    Attributes:
        send: delivers a message to all.
        reads: makes a list of the subscribers' reads.
        join_and_leave: adds one subscriber and removes it again.
        close: called after the last sample.
        put: sends from a plain thread; None if each thread needs an event loop on which to call `send`.
    """

    send: Send
    reads: Callable[[], Sequence[Read]]
    join_and_leave: Callable[[], Coroutine[Any, Any, None]]
    close: Callable[[], Coroutine[Any, Any, None]]
    put: Callable[[Any], object] | None = None


class Peer(NamedTuple):
    """Make `Ends` for a number of subscribers and a buffer size, where 0 means unbounded."""

    name: str
    make: Callable[[int, int], Coroutine[Any, Any, Ends]]


async def nothing() -> None:
    """Nothing has to be closed."""


async def to_nobody(message: Any) -> None:
    raise AssertionError("without subscribers nothing is sent")


def module(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise Missing(f"{name} is not installed") from None


async def of_channel(channels: Callable[[], Any], subscribers: int, size: int) -> Ends:
    channel = channels().Channel(size)
    connected = [await channel.subscribe() for _ in range(subscribers)]
    # Nobody connects without subscribers: the one that joins and leaves would be the last of an open channel, and close it.
    publisher = await channel.connect() if subscribers else None

    async def join_and_leave() -> None:
        subscriber = await channel.subscribe()
        await subscriber.close()

    send = publisher.send if publisher else to_nobody
    return Ends(send, lambda: [subscriber.read for subscriber in connected], join_and_leave, channel.close)


def release_0_6_0() -> Any:
    """PyPI's 0.6.0 under another name, fetched once."""
    script = module("examples.judge_0_6_0")
    if not (FETCHED / script.PACKAGE).exists():
        FETCHED.mkdir(exist_ok=True)
        try:
            script.fetch(FETCHED)
        except Exception as error:  # whatever pip or the file system raises
            raise Missing(f"0.6.0 can't be fetched: {error}") from error
    if str(FETCHED) not in sys.path:
        sys.path.append(str(FETCHED))
    return module(f"{script.PACKAGE}.channels")


async def of_queues(subscribers: int, size: int) -> Ends:
    queues = dict.fromkeys(asyncio.Queue[Any](size) for _ in range(subscribers))
    loop = asyncio.get_running_loop()

    async def send(message: Any) -> None:
        for queue in queues:
            await queue.put(message)

    async def join_and_leave() -> None:
        queue = asyncio.Queue[Any](size)
        queues[queue] = None
        del queues[queue]

    def put(message: Any) -> None:
        (queue,) = queues
        if size:
            asyncio.run_coroutine_threadsafe(queue.put(message), loop).result()
        else:
            loop.call_soon_threadsafe(queue.put_nowait, message)

    return Ends(
        alone_or_all([q.put for q in queues], send), lambda: [q.get for q in queues], join_and_leave, nothing, put
    )


async def of_anyio(subscribers: int, size: int) -> Ends:
    make = module("anyio").create_memory_object_stream
    pairs = [make(size or math.inf) for _ in range(subscribers)]
    streams = dict.fromkeys(into for into, _ in pairs)

    async def send(message: Any) -> None:
        for stream in streams:
            await stream.send(message)

    async def join_and_leave() -> None:
        into, out = make(size or math.inf)
        streams[into] = None
        del streams[into]
        into.close()
        out.close()

    async def close() -> None:
        for into, out in pairs:
            into.close()
            out.close()

    return Ends(
        alone_or_all([into.send for into in streams], send),
        lambda: [out.receive for _, out in pairs],
        join_and_leave,
        close,
    )


async def of_culsans(subscribers: int, size: int, *, from_loops: bool = False) -> Ends:
    make = module("culsans").Queue
    queues = dict.fromkeys(make(size) for _ in range(subscribers))

    async def send(message: Any) -> None:
        for queue in queues:
            await queue.async_put(message)

    async def join_and_leave() -> None:
        queue = make(size)
        queues[queue] = None
        del queues[queue]
        queue.close()
        await queue.wait_closed()

    async def close() -> None:
        for queue in queues:
            queue.shutdown(immediate=True)

    return Ends(
        alone_or_all([q.async_put for q in queues], send),
        lambda: [q.async_get for q in queues],
        join_and_leave,
        close,
        None if from_loops or not queues else next(iter(queues)).sync_put,
    )


async def of_janus(subscribers: int, size: int) -> Ends:
    make = module("janus").Queue
    queues = dict.fromkeys(make(size) for _ in range(subscribers))

    async def send(message: Any) -> None:
        for queue in queues:
            await queue.async_q.put(message)

    async def join_and_leave() -> None:
        queue = make(size)
        queues[queue] = None
        del queues[queue]
        await queue.aclose()

    async def close() -> None:
        for queue in queues:
            queue.shutdown(immediate=True)
        for queue in queues:
            await queue.wait_closed()

    return Ends(
        alone_or_all([q.async_q.put for q in queues], send),
        lambda: [q.async_q.get for q in queues],
        join_and_leave,
        close,
        next(iter(queues)).sync_q.put if queues else None,
    )


async def of_floor(subscribers: int, size: int) -> Ends:
    """A deque's append and its popleft, each in a coroutine that does nothing else: never full, and never waited for."""

    def of_one() -> tuple[Send, Read]:
        messages: deque[Any] = deque()

        async def append(message: Any) -> None:
            messages.append(message)

        async def popleft() -> Any:
            return messages.popleft()

        return append, popleft

    return floor([of_one() for _ in range(subscribers)])


async def of_switch(subscribers: int, size: int) -> Ends:
    """The floor, plus what asyncio has to do for a waiting reader: set a future, and switch to its task."""
    loop = asyncio.get_running_loop()

    def of_one() -> tuple[Send, Read]:
        messages: deque[Any] = deque()
        waiter: asyncio.Future[None] | None = None

        async def append(message: Any) -> None:
            nonlocal waiter
            messages.append(message)
            if waiter:
                waiter.set_result(None)
                waiter = None

        async def popleft() -> Any:
            nonlocal waiter
            if not messages:
                waiter = loop.create_future()
                await waiter
            return messages.popleft()

        return append, popleft

    return floor([of_one() for _ in range(subscribers)])


def floor(pairs: list[tuple[Send, Read]]) -> Ends:
    appends = [append for append, _ in pairs]

    async def send(message: Any) -> None:
        for append in appends:
            await append(message)

    return Ends(alone_or_all(appends, send), lambda: [popleft for _, popleft in pairs], nothing, nothing)


def alone_or_all(puts: Sequence[Send], send_to_all: Send) -> Send:
    return puts[0] if len(puts) == 1 else send_to_all


OURS = Peer("aioservicekit", partial(of_channel, partial(module, "aioservicekit")))
QUEUE = Peer("asyncio.Queue", of_queues)
OLD = Peer("0.6.0", partial(of_channel, release_0_6_0))
FLOOR = Peer("floor", of_floor)
SWITCH = Peer("floor + task switch", of_switch)
ANYIO = Peer("anyio", of_anyio)
CULSANS = Peer("culsans", of_culsans)
CULSANS_LOOPS = Peer("culsans, loops", partial(of_culsans, from_loops=True))
JANUS = Peer("janus", of_janus)

PEERS = [OURS, QUEUE, ANYIO, CULSANS, JANUS, OLD]
THREADED = [OURS, CULSANS, CULSANS_LOOPS, JANUS, QUEUE]

LOOPS = ("asyncio", "uvloop")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    return factory if name == "asyncio" else module("uvloop").new_event_loop
