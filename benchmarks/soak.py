"""`python -m benchmarks --soak`: everything at once for a long time, in several threads, and then the books must balance.

A round is a few thousand random calls in each of several threads: joins, leaves, sends, reads, cancellations, and event loops that
close with all that waits on them. There are two channels: one for the whole run, and one for the round, which somebody closes
in the middle. Each has a *witness*, a subscriber from the beginning whose buffer is unbounded: what it gets is the one order.
At the end of a round

- each subscriber has got a part of that order without a gap (CH-2.4, CH-3.6, CH-4.2, CH-6.3), and each publisher's messages are in
  the order of their calls (CH-3.5);
- the witness has got each message whose send returned, once, and none whose send failed (CH-3.1, CH-3.7, CH-3.8);
- once all other subscribers have left, each send that waits goes on (CH-3.4);
- nothing is left in the channel's statistics (CH-7.3), and nothing in memory (CH-7.1).

Nobody waits for a certain time. Only a thread that has not come to the end of its round after `PATIENCE` is given up.
"""

import asyncio
import gc
import sys
import threading
from array import array
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from random import Random
from time import perf_counter
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from aioservicekit import Channel, ChannelClosedError, Publisher, Subscriber

__all__ = ["PATIENCE", "Outcome", "print_outcome", "soak", "soak_for"]

PATIENCE = 120.0  # seconds
SIZES = (0, 1, 2, 8)
MOST_WAITING = 12  # sends of a thread
MOST_ENDPOINTS = 4  # subscribers of a thread, and publishers
SLACK = 500  # blocks of memory by which rounds may differ: caches fill, tables grow
WARM_UP = 4  # rounds at least, before memory is compared

Message = tuple[int, int]  # the publisher's number, and the send's

CHOICES = {
    "send": 30, "read": 40, "cancel": 6, "subscribe": 4, "connect": 3, "leave": 4, "retire": 2, "pause": 8, "die": 1, "close": 0.02,
}  # fmt: skip


class Outcome(NamedTuple):
    """What a run has done, and what was wrong.

    Attributes:
        counts: how many calls of each kind there were.
        blocks: the interpreter's blocks of memory at the end of each round.
    """

    rounds: int
    seconds: float
    counts: Counter[str]
    blocks: Sequence[int]
    faults: tuple[str, ...]


class Books:
    """What is known of one channel in one round."""

    def __init__(self, channel: Channel[Message], witness: Subscriber[Message]) -> None:
        self.channel = channel
        self.witness = witness
        self.returned: list[Message] = []
        self.failed: list[Message] = []
        self.received: list[list[Message]] = []

    def faults(self, order: Sequence[Message]) -> Iterator[str]:
        """What does not agree with the one order."""
        position = {message: index for index, message in enumerate(order)}
        if len(position) < len(order):
            yield f"{len(order) - len(position)} messages came twice"
        lost = [message for message in self.returned if message not in position]
        if lost:
            yield f"{len(lost)} messages whose send returned were lost, the first one {lost[0]}"
        came = [message for message in self.failed if message in position]
        if came:
            yield f"{len(came)} messages came though their send failed, the first one {came[0]}"
        latest: dict[int, int] = {}
        for publisher, number in order:
            if number < latest.get(publisher, -1):
                yield f"message {number} of publisher {publisher} came after {latest[publisher]}"
            latest[publisher] = number
        for messages in self.received:
            for one, other in pairwise(messages):
                places = position.get(one, -1), position.get(other, -1)
                if places[1] != places[0] + 1:
                    yield f"a subscriber got {one} and then {other}: in the one order at {places[0]} and {places[1]}"
                    break
            if messages and messages[0] not in position:
                yield f"a subscriber got {messages[0]}, and the witness did not"


class Worker:
    """One thread's part of a round."""

    numbers = iter(range(sys.maxsize))  # of publishers

    def __init__(self, books: Sequence[Books], calls: int, barrier: threading.Barrier) -> None:
        self._books = books
        self._calls = calls
        self._barrier = barrier  # of all threads
        self._chance = Random()
        self._subscribers: list[tuple[Subscriber[Message], list[Message]]] = []
        self._publishers: list[tuple[Publisher[Message], int, Books]] = []
        self._sends: dict[asyncio.Task[None], tuple[Message, Books]] = {}
        self._reads: dict[asyncio.Task[Message], list[Message]] = {}
        self.counts: Counter[str] = Counter()
        self.error: BaseException | None = None
        self.ended = False

    def run(self) -> None:
        try:
            while self._calls > 0:
                self._live(self._work())
            self._live(self._leave_all())
            self._live(self._end())
            self.ended = True
        except BaseException as error:
            self.error = error
            self._barrier.abort()

    def _live(self, coro: Coroutine[Any, Any, None]) -> None:
        """Run on a new loop, which is closed at the end with all that still waits on it."""
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(coro)
            self._note_ends()
        finally:
            for task in (*self._sends, *self._reads):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
            self._sends.clear()  # nobody knows whether they have committed
            self._reads.clear()
            loop.close()

    async def _work(self) -> None:
        kinds, weights = tuple(CHOICES), tuple(CHOICES.values())
        while self._calls > 0:
            self._calls -= 1
            (kind,) = self._chance.choices(kinds, weights)
            if kind == "die":
                self.counts["loops that died"] += 1
                return
            await self._do(kind)
            self._note_ends()

    async def _do(self, kind: str) -> None:
        books = self._chance.choice(self._books)
        try:
            if kind == "subscribe" and len(self._subscribers) < MOST_ENDPOINTS:
                subscriber = await books.channel.subscribe(buffer_size=self._chance.choice(SIZES))
                received: list[Message] = []
                books.received.append(received)
                self._subscribers.append((subscriber, received))
            elif kind == "connect" and len(self._publishers) < MOST_ENDPOINTS:
                self._publishers.append((await books.channel.connect(), next(self.numbers), books))
            elif kind == "close":
                await self._books[-1].channel.close()
            elif kind == "send" and self._publishers and len(self._sends) < MOST_WAITING:
                self._send()
            elif kind == "read" and self._subscribers:
                await self._read(self._chance.choice(self._subscribers))
            elif kind == "cancel" and (tasks := [*self._sends, *self._reads]):
                self._chance.choice(tasks).cancel()
            elif kind == "leave" and self._subscribers:
                await self._leave(self._subscribers.pop(self._chance.randrange(len(self._subscribers))))
            elif kind == "retire" and self._publishers:
                await self._publishers.pop(self._chance.randrange(len(self._publishers)))[0].close()
            else:
                await asyncio.sleep(0)
                return
        except ChannelClosedError:
            pass
        self.counts[kind] += 1

    def _send(self) -> None:
        publisher, number, books = self._chance.choice(self._publishers)
        message = number, self.counts["send"]
        self._sends[asyncio.ensure_future(publisher.send(message))] = message, books

    async def _read(self, reader: tuple[Subscriber[Message], list[Message]]) -> None:
        """One read at a time: what several get, nobody could put into one order."""
        subscriber, received = reader
        if all(received is not other for other in self._reads.values()):
            self._reads[asyncio.ensure_future(subscriber.read())] = received
            await asyncio.sleep(0)

    async def _leave(self, reader: tuple[Subscriber[Message], list[Message]]) -> None:
        """Close a subscriber, and read what is left."""
        subscriber, received = reader
        await subscriber.close()
        for task in [task for task, other in self._reads.items() if other is received]:
            await asyncio.wait([task])
        self._note_ends()
        try:
            while True:
                received.append(await subscriber.read())
        except ChannelClosedError:
            pass

    def _note_ends(self) -> None:
        for sending in [task for task in self._sends if task.done()]:
            message, books = self._sends.pop(sending)
            (books.failed if failed(sending) else books.returned).append(message)
        for reading in [task for task in self._reads if task.done()]:
            received = self._reads.pop(reading)
            if not failed(reading):
                received.append(reading.result())

    async def _leave_all(self) -> None:
        """Once every thread has done this, no buffer is full."""
        while self._subscribers:
            await self._leave(self._subscribers.pop())
        for publisher, number, books in self._publishers:
            message = number, self.counts["send"] + 1
            self._sends[asyncio.ensure_future(publisher.send(message))] = message, books
        await asyncio.sleep(0)
        self._barrier.wait()  # which blocks the loop: that may hold up nobody (CH-6.3)
        if self._sends:
            await asyncio.wait(self._sends)  # CH-3.4

    async def _end(self) -> None:
        for publisher, _, _ in self._publishers:
            await publisher.close()
        self._publishers.clear()


def failed(task: "asyncio.Task[object]") -> bool:
    """Whether the operation failed as it may; any other error is raised."""
    if task.cancelled():
        return True
    error = task.exception()
    if error is None or isinstance(error, ChannelClosedError):
        return error is not None
    raise error


class Soak:
    """A run: its lasting channel, and what has come of it so far."""

    def __init__(self, threads: int, calls: int, patience: float) -> None:
        self._threads = threads
        self._calls = calls
        self._patience = patience
        self._channel = Channel[Message](name="lasting")
        self._witness, self._anchor = asyncio.run(open_ends(self._channel))
        self.counts: Counter[str] = Counter()
        self.blocks = array("q")  # which itself takes no blocks
        self.faults: list[str] = []

    def round(self) -> None:
        self.faults += self._round()
        gc.collect()
        self.blocks.append(sys.getallocatedblocks())

    def _round(self) -> list[str]:
        passing = Channel[Message](name="passing")
        witness, anchor = asyncio.run(open_ends(passing))
        books = Books(self._channel, self._witness), Books(passing, witness)
        barrier = threading.Barrier(self._threads, timeout=self._patience)
        workers = [Worker(books, self._calls, barrier) for _ in range(self._threads)]
        threads = [threading.Thread(target=worker.run, daemon=True) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self._patience)
        if failures := list(failures_of(workers)):
            for each in books:
                asyncio.run(each.channel.close())  # which ends what waits, and so the threads
            return failures
        for worker in workers:
            self.counts += worker.counts
        asyncio.run(anchor.close())
        asyncio.run(passing.close())
        orders = asyncio.run(drained(self._witness, self._anchor)), asyncio.run(rest_of(witness))
        self.counts["messages received"] += sum(len(messages) for each in books for messages in each.received)
        faults = [fault for each, order in zip(books, orders, strict=True) for fault in each.faults(order)]
        return [*faults, *left_over(self._channel, ends=1), *left_over(passing, ends=0)]

    def end(self) -> None:
        asyncio.run(self._channel.close())
        self.faults += left_over(self._channel, ends=0)
        grown = growth(self.blocks)
        if grown > SLACK:
            self.faults.append(f"memory has grown by {grown:,} blocks from the middle third of the rounds to the last")


def failures_of(workers: Sequence[Worker]) -> Iterator[str]:
    errors = [worker.error for worker in workers if worker.error]
    others = [
        error for error in errors if not isinstance(error, threading.BrokenBarrierError)
    ]  # which follows from another
    for error in others:
        yield repr(error)
    if not others and not all(worker.ended for worker in workers):
        yield "a thread stands still: an operation waits that ought to go on"


async def open_ends(channel: Channel[Message]) -> tuple[Subscriber[Message], Publisher[Message]]:
    return await channel.subscribe(buffer_size=0, name="witness"), await channel.connect()


async def drained(witness: Subscriber[Message], anchor: Publisher[Message]) -> list[Message]:
    """What the witness has got, up to a last message."""
    last = -1, -1
    await anchor.send(last)
    order = []
    while (message := await witness.read()) != last:
        order.append(message)
    return order


async def rest_of(subscriber: Subscriber[Message]) -> list[Message]:
    return [message async for message in subscriber]


def left_over(channel: Channel[Message], ends: int) -> Iterator[str]:
    """What statistics() shows beside the witness and its publisher."""
    now = channel.statistics()
    waiting = now.sends_waiting + sum(each.reads_waiting + each.buffered for each in now.subscribers)
    if (now.publishers, len(now.subscribers), waiting) != (ends, ends, 0):
        yield f"something is left over: {now}"


def growth(blocks: Sequence[int]) -> int:
    """By how much memory has grown, at the least, in the last third of the rounds; noise only adds to a round's memory."""
    third = len(blocks) // 3
    if third < WARM_UP:
        return 0
    return min(blocks[-third:]) - min(blocks[-2 * third : -third])


def soak(
    until: Callable[[int, float], bool],
    threads: int = 4,
    calls: int = 2_000,
    patience: float = PATIENCE,
    progress: Callable[[int, float], object] = lambda rounds, seconds: None,
) -> Outcome:
    """Run round after round until one has a fault, or `until` holds of the rounds and the seconds so far.

    Args:
        calls: by each thread in a round.
        patience: the seconds that a thread has for a round.
        progress: called after each round.
    """
    start = perf_counter()
    with switching_often():
        run = Soak(threads, calls, patience)
        while not run.faults and not until(len(run.blocks), perf_counter() - start):
            run.round()
            progress(len(run.blocks), perf_counter() - start)
        run.end()
    return Outcome(len(run.blocks), perf_counter() - start, run.counts, run.blocks, tuple(run.faults))


@contextmanager
def switching_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def soak_for(console: Console, seconds: float) -> int:
    """Soak the channel, show progress and a summary, and return the exit status: 1 if there was a fault."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("soaking", total=seconds)
        outcome = soak(
            until=lambda rounds, now: now >= seconds,
            progress=lambda rounds, now: bar.update(task, completed=now, description=f"round {rounds}"),
        )
    print_outcome(console, outcome)
    return int(bool(outcome.faults))


def print_outcome(console: Console, outcome: Outcome) -> None:
    table = Table("what", "how many", title="Soak", box=box.SIMPLE_HEAD)
    table.columns[1].justify = "right"
    for what, number in sorted(outcome.counts.items()):
        table.add_row(what, f"{number:,}")
    third = len(outcome.blocks) // 3
    if third:
        for what, part in ("middle", outcome.blocks[-2 * third : -third]), ("last", outcome.blocks[-third:]):
            table.add_row(f"blocks of memory, {what} third of the rounds", f"{min(part):,} to {max(part):,}")
    console.print(table)
    console.print(f"{outcome.rounds:,} rounds in {outcome.seconds:.0f} s")
    if outcome.rounds < 3 * WARM_UP:
        console.print(f"memory was not compared: that takes {3 * WARM_UP} rounds", style="dim")
    for fault in outcome.faults:
        console.print(fault, style="bold red")
    console.print("faults were found" if outcome.faults else "nothing lost, nothing twice, nothing left over")
