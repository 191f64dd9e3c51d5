"""The work that is measured, written once for all peers.

Each function does an amount of work and returns what it took. Outside of the measured time, it checks that every message has
reached every subscriber, in order.
"""

import asyncio
import gc
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from time import perf_counter
from typing import Any, NamedTuple

from .peers import Ends, Peer, Read, Send

__all__ = [
    "THREADS",
    "Sample",
    "behind",
    "blocked",
    "bytes_a_message",
    "bytes_a_subscriber",
    "from_threads",
    "joining",
    "waiting",
]

THREADS = 4
SETTLING = 10  # turns of the loop after which everything that can wait does
JOIN = 10.0  # seconds that a thread has to end


class Sample(NamedTuple):
    """This many operations took this many seconds."""

    seconds: float
    operations: int


async def behind(ends: Ends, burst: int, amount: int) -> Sample:
    """Bursts are sent, and then each subscriber reads its messages in turn. Nobody ever waits."""
    send, reads = ends.send, ends.reads()
    start = perf_counter()
    for _ in range(amount):
        for message in range(burst):
            await send(message)
        for read in reads:
            for _ in range(burst):
                await read()
    seconds = perf_counter() - start
    await send("last")
    assert {await read() for read in reads} == {"last"}, (
        "a message too many has arrived"
    )  # one too few, and a read never ends
    return Sample(seconds, amount * burst * len(reads))


async def waiting(ends: Ends, amount: int) -> Sample:
    """Each subscriber has a reader that waits before each send. After the send the loop turns once, and they wait again."""

    async def reader(read: Read) -> Any:
        for _ in range(amount):
            message = await read()
        return message

    send = ends.send
    readers = [asyncio.create_task(reader(read)) for read in ends.reads()]
    await settled()
    start = perf_counter()
    for message in range(amount):
        await send(message)
        await asyncio.sleep(0)
    await asyncio.wait(readers)
    seconds = perf_counter() - start
    assert {reader.result() for reader in readers} == {amount - 1}, "a message too many, or too few, has arrived"
    return Sample(seconds, amount * len(readers))


async def blocked(peer: Peer, senders: int, amount: int) -> Sample:
    """This many senders wait for room in a buffer of one while its messages are read."""
    ends = await peer.make(1, 1)
    (read,), send = ends.reads(), ends.send

    async def sender(number: int) -> None:
        for _ in range(amount + 1):
            await send(number)

    tasks = [asyncio.create_task(sender(number)) for number in range(senders)]
    await settled()
    start = perf_counter()
    arrived = [await read() for _ in range(amount * senders)]
    seconds = perf_counter() - start
    arrived += [await read() for _ in range(senders)]
    await asyncio.wait(tasks)
    assert Counter(arrived) == dict.fromkeys(range(senders), amount + 1), "a message too many, or too few, has arrived"
    await ends.close()
    return Sample(seconds, amount * senders)


async def from_threads(peer: Peer, size: int, new_loop: Callable[[], asyncio.AbstractEventLoop], amount: int) -> Sample:
    """Four threads send, each from its own loop if the peer needs one; one subscriber reads in this loop."""
    ends = await peer.make(1, size)
    (read,) = ends.reads()
    ready, go = threading.Barrier(THREADS + 1, timeout=JOIN), threading.Event()

    def on_your_marks() -> None:
        ready.wait()
        go.wait()

    async def on_a_loop(send: Send, messages: Iterable[int]) -> None:
        on_your_marks()
        for message in messages:
            await send(message)

    def thread(messages: Iterable[int]) -> None:
        if ends.put is None:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(on_a_loop(ends.send, messages))
        else:
            on_your_marks()
            for message in messages:
                ends.put(message)

    shares = [range(number * amount, (number + 1) * amount) for number in range(THREADS)]
    threads = [threading.Thread(target=thread, args=(share,), daemon=True) for share in shares]
    for each in threads:
        each.start()
    try:
        ready.wait()
        start = perf_counter()  # before any of them starts: they may have sent much before this thread runs again
        go.set()
        arrived = [await read() for _ in range(THREADS * amount)]
        seconds = perf_counter() - start
    except asyncio.CancelledError:
        await ends.close()  # so that stuck threads end as well
        raise
    finally:
        for each in threads:
            # Its last steps may need this loop, as those of `run_coroutine_threadsafe` do.
            await asyncio.to_thread(each.join, JOIN)
    await ends.close()
    in_order = [[message for message in arrived if message in share] for share in shares]
    assert list(chain(*in_order)) == list(range(THREADS * amount)), "a message too many, or too few, has arrived"
    return Sample(seconds, THREADS * amount)


async def joining(ends: Ends, amount: int) -> Sample:
    """Subscribers join and leave, one after the other; what a peer postpones is done within the measured time."""
    join_and_leave = ends.join_and_leave
    start = perf_counter()
    for _ in range(amount):
        await join_and_leave()
    await asyncio.sleep(0)
    return Sample(perf_counter() - start, amount)


async def bytes_a_subscriber(peer: Peer, subscribers: int) -> float:
    """Measure what a subscriber takes before it has received a message or waited."""
    await (await peer.make(subscribers, 0)).close()  # one-time work
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        ends = await peer.make(subscribers, 0)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    await ends.close()
    return (after - before) / subscribers


async def bytes_a_message(peer: Peer, subscribers: int, messages: int) -> float:
    """Measure what a message takes in a subscriber's buffer; the message itself is shared, and not counted."""
    ends = await peer.make(subscribers, 0)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(messages):
            await ends.send(None)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    for read in ends.reads():
        for _ in range(messages):
            await read()
    await ends.close()
    return (after - before) / subscribers / messages


async def settled() -> None:
    for _ in range(SETTLING):
        await asyncio.sleep(0)
