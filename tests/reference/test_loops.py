"""Several event loops in one thread, run in turns (CH-6.2, CH-6.3)."""

import asyncio
import gc
import weakref
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from aioservicekit import Channel, ChannelState, Publisher, Subscriber
from aioservicekit._runtime import tell_if_lost

_T = TypeVar("_T")


class Loop(asyncio.SelectorEventLoop):
    """An event loop that is driven by hand, and says nothing about tasks that die with it."""

    def start(self, coro: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        task = self.create_task(coro)
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.settle()
        return task

    def settle(self) -> None:
        async def steps() -> None:
            for _ in range(10):
                await asyncio.sleep(0)

        self.run_until_complete(steps())

    def one_iteration(self) -> None:
        self.call_soon(self.stop)
        self.run_forever()


@pytest.fixture
def loops() -> Iterator[tuple[Loop, Loop]]:
    pair = Loop(), Loop()
    yield pair
    for loop in pair:
        if not loop.is_closed():
            loop.settle()
        loop.close()


Parts = tuple[Channel[int], Publisher[int], Subscriber[int]]


async def parts(buffer_size: int = 1) -> Parts:
    channel = Channel[int](buffer_size)
    return channel, await channel.connect(), await channel.subscribe()


def test_operations_are_woken_on_their_own_loops(loops: tuple[Loop, Loop]) -> None:
    """A waiting send and a waiting read resume on their own loops, whoever makes room or sends (CH-6.2)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts())
    reading = one.start(subscriber.read())
    other.run_until_complete(publisher.send(1))
    assert not reading.done()
    assert one.run_until_complete(reading) == 1
    one.run_until_complete(publisher.send(2))
    sending = one.start(publisher.send(3))
    assert other.run_until_complete(subscriber.read()) == 2
    assert not sending.done()
    one.run_until_complete(sending)
    assert other.run_until_complete(subscriber.read()) == 3
    other.run_until_complete(channel.close())


def test_one_line_serves_all_loops(loops: tuple[Loop, Loop]) -> None:
    """Sends that wait on several loops commit in the order of their calls, whichever loop runs first (CH-3.5, CH-6.1)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(2))
    tasks = [(one, other)[i % 2].start(publisher.send(i)) for i in range(6)]
    received = []
    for _ in range(6):
        received.append(other.run_until_complete(subscriber.read()))
        other.settle()
        one.settle()
    assert received == list(range(6))
    assert all(task.done() for task in tasks)
    one.run_until_complete(channel.close())


def test_second_reader_to_run_gets_the_second_message(loops: tuple[Loop, Loop]) -> None:
    """Of two reads, the first one called gets the first message, even if its loop runs last (CH-4.4, CH-6.1)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    first, second = one.start(subscriber.read()), other.start(subscriber.read())
    other.run_until_complete(publisher.send(1))
    other.run_until_complete(publisher.send(2))
    other.run_until_complete(publisher.send(3))
    other.settle()
    assert second.done()
    assert second.result() == 2
    assert one.run_until_complete(first) == 1
    one.run_until_complete(channel.close())


def test_closing_wakes_every_loop(loops: tuple[Loop, Loop]) -> None:
    """A close ends waiting reads and sends on every loop (CH-3.7, CH-4.3, CH-6.2)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts())
    idle = one.run_until_complete(channel.subscribe(buffer_size=0))
    one.run_until_complete(publisher.send(0))
    one.run_until_complete(idle.read())
    tasks: list[asyncio.Task[Any]] = [loop.start(publisher.send(1)) for loop in loops]
    tasks += [loop.start(idle.read()) for loop in loops]
    other.run_until_complete(channel.close())
    for loop in (other, one, other):
        loop.settle()
    assert [type(task.exception()).__name__ for task in tasks] == ["ChannelClosedError"] * 4
    assert subscriber is not None


# How far the first operation in line gets before its loop is closed.
FATES = ["waiting", "completed", "resuming", "cancelled", "completed and cancelled", "forgotten"]


@pytest.mark.parametrize("fate", FATES)
def test_send_that_dies_with_its_loop_holds_up_nobody(loops: tuple[Loop, Loop], fate: str) -> None:
    """A send whose loop is closed has committed, or leaves its room to the next send, on another loop (CH-3.4, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts())
    other.run_until_complete(publisher.send(0))
    dead: asyncio.Task[None] | None = one.start(publisher.send(1))
    waiting = other.start(publisher.send(2))
    if fate == "forgotten":
        dead = None
    read_early = fate in ("completed", "resuming", "completed and cancelled", "forgotten")
    if read_early:
        assert other.run_until_complete(subscriber.read()) == 0
    if dead and "cancelled" in fate:
        dead.cancel()
    if fate == "resuming":
        one.one_iteration()
    one.close()
    if not read_early:
        assert other.run_until_complete(subscriber.read()) == 0
    other.settle()
    if read_early:
        assert other.run_until_complete(subscriber.read()) == 1
        other.settle()
    assert waiting.done()
    assert other.run_until_complete(subscriber.read()) == 2
    assert channel.statistics().sends_waiting == 0
    other.run_until_complete(channel.close())


@pytest.mark.parametrize("fate", FATES)
def test_read_that_dies_with_its_loop_costs_no_message(loops: tuple[Loop, Loop], fate: str) -> None:
    """A read whose loop is closed before it has run leaves its message to the next read, on another loop (CH-4.6, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts())
    dead: asyncio.Task[int] | None = one.start(subscriber.read())
    waiting = other.start(subscriber.read())
    if fate == "forgotten":
        dead = None
    send_early = fate in ("completed", "resuming", "completed and cancelled", "forgotten")
    if send_early:
        other.run_until_complete(publisher.send(0))
    if dead and "cancelled" in fate:
        dead.cancel()
    if fate == "resuming":
        one.one_iteration()
    one.close()
    if not send_early:
        other.run_until_complete(publisher.send(0))
    other.settle()
    assert waiting.done()
    assert waiting.result() == 0
    assert channel.statistics().subscribers[0].reads_waiting == 0
    other.run_until_complete(channel.close())


def read_nowhere(subscriber: Subscriber[int]) -> int:
    """Read what is there, without any loop."""
    with pytest.raises(StopIteration) as read:
        subscriber.read().send(None)
    message: int = read.value.value
    return message


def hand_and_stop(loop: Loop, publisher: Publisher[int]) -> None:
    """Hand a message to a read that waits on a loop, and stop that loop before the read has run."""

    def send() -> None:
        with pytest.raises(StopIteration):
            publisher.send(0).send(None)
        loop.stop()

    loop.call_soon(send)
    loop.run_forever()


def test_a_send_commits_though_its_loop_stands_still(loops: tuple[Loop, Loop]) -> None:
    """A waiting send uses the room whether or not its loop runs, and those behind it go on (CH-3.4, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts())
    other.run_until_complete(publisher.send(0))
    still, going = one.start(publisher.send(1)), other.start(publisher.send(2))
    assert [read_nowhere(subscriber) for _ in range(3)] == [0, 1, 2]
    other.settle()
    assert going.done()
    assert not still.done()
    one.settle()
    assert still.done()
    other.run_until_complete(channel.close())


def test_a_read_is_handed_its_message_though_its_loop_stands_still(loops: tuple[Loop, Loop]) -> None:
    """A read that waits on a blocked loop takes one message, and those behind it take the next (CH-4.4, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts(0))
    still, going = one.start(subscriber.read()), other.start(subscriber.read())
    other.run_until_complete(publisher.send(0))
    other.run_until_complete(publisher.send(1))
    other.settle()
    assert going.done()
    assert going.result() == 1
    other.run_until_complete(publisher.send(2))
    assert other.run_until_complete(subscriber.read()) == 2
    assert one.run_until_complete(still) == 0
    other.run_until_complete(channel.close())


def test_message_handed_on_a_loop_that_then_closes_goes_to_the_next_read(loops: tuple[Loop, Loop]) -> None:
    """If a loop closes before a read on it has run, the read's message goes to a read that waits elsewhere (CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts(0))
    dead, waiting = one.start(subscriber.read()), other.start(subscriber.read())
    hand_and_stop(one, publisher)
    one.close()
    other.settle()
    assert waiting.done()
    assert waiting.result() == 0
    assert not dead.done()
    other.run_until_complete(channel.close())


def test_message_handed_on_a_loop_that_has_closed_is_there_for_later_reads(loops: tuple[Loop, Loop]) -> None:
    """If a loop closed before a read on it ran, the next read gets that read's message (CH-4.2)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(1))
    dead = one.start(subscriber.read())
    hand_and_stop(one, publisher)
    one.close()
    assert other.run_until_complete(subscriber.read()) == 0
    assert not dead.done()
    other.run_until_complete(channel.close())


def test_message_handed_before_another_loop_came_is_not_lost_with_its_own(loops: tuple[Loop, Loop]) -> None:
    """A read on a second loop gets the message that a read on the first loop was handed and never took (CH-4.2, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    dead = one.start(subscriber.read())
    hand_and_stop(one, publisher)
    one_more = other.start(subscriber.read())
    assert not one_more.done()
    one.close()
    other.settle()
    assert one_more.done()
    assert one_more.result() == 0
    assert not dead.done()
    other.run_until_complete(channel.close())


def test_what_is_buffered_does_not_overtake_what_comes_back(loops: tuple[Loop, Loop]) -> None:
    """A message handed to a read of a closed loop is read before later messages (CH-4.1, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    dead = one.start(subscriber.read())
    hand_and_stop(one, publisher)
    other.run_until_complete(publisher.send(1))
    one.close()
    assert [other.run_until_complete(subscriber.read()) for _ in range(2)] == [0, 1]
    assert not dead.done()
    other.run_until_complete(channel.close())


def test_reads_of_a_closed_loop_give_back_in_order(loops: tuple[Loop, Loop]) -> None:
    """The reads' coroutines are closed one by one, in any order: their messages come back in order (CH-4.1, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    reads = [subscriber.read(), subscriber.read()]
    dead = [one.start(read) for read in reads]
    one.stop()
    for message in range(2):
        with pytest.raises(StopIteration):
            publisher.send(message).send(None)
    one.close()
    for read in reads:
        read.close()
    assert [other.run_until_complete(subscriber.read()) for _ in range(2)] == [0, 1]
    assert not any(read.done() for read in dead)
    other.run_until_complete(channel.close())


def test_a_loop_that_stands_still_gets_one_guard_a_message(loops: tuple[Loop, Loop]) -> None:
    """However many reads wait on another loop meanwhile, a blocked loop's queue does not grow (CH-6.3, CH-7.1)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    still = [one.start(subscriber.read()) for _ in range(3)]
    for message in range(3):
        with pytest.raises(StopIteration):
            publisher.send(message).send(None)
    queued = len(one._ready)  # type: ignore[attr-defined]
    waiting = [other.start(subscriber.read()) for _ in range(20)]
    assert len(one._ready) <= queued + 3  # type: ignore[attr-defined]
    other.run_until_complete(channel.close())
    other.settle()
    one.settle()
    assert [read.result() for read in still] == [0, 1, 2]
    assert all(read.exception() for read in waiting)


def test_loop_that_closes_between_a_wake_up_and_its_queue(loops: tuple[Loop, Loop]) -> None:
    """A loop that closes after it was asked to wake a read, and before it has noted this, costs no message (CH-6.3)."""

    class Closing(Loop):
        closing = False

        def _call_soon(self, *args: Any, **kwargs: Any) -> Any:
            if self.closing:
                self.closing = False
                self.close()
            return super()._call_soon(*args, **kwargs)  # type: ignore[misc]

    closing, (one, _) = Closing(), loops
    channel, publisher, subscriber = one.run_until_complete(parts())
    dead, waiting = closing.start(subscriber.read()), one.start(subscriber.read())
    closing.closing = True
    one.run_until_complete(publisher.send(1))
    one.settle()
    assert waiting.done()
    assert waiting.result() == 1
    assert not dead.done()
    one.run_until_complete(channel.close())


def test_a_read_that_is_cancelled_before_its_loop_hears_of_its_message(loops: tuple[Loop, Loop]) -> None:
    """A read has its message from the instant of the send on another loop, and returns it (CH-4.8, CH-6.1)."""
    one, other = loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    reading = one.start(subscriber.read())
    other.run_until_complete(publisher.send(1))
    reading.cancel()
    assert one.run_until_complete(reading) == 1
    other.run_until_complete(channel.close())


def test_a_read_that_is_cancelled_as_its_loop_closes_costs_no_message(loops: tuple[Loop, Loop]) -> None:
    """A loop cancels its read, hears of the read's message, and closes before the read runs: another read gets it (CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts(0))
    dead, waiting = one.start(subscriber.read()), other.start(subscriber.read())

    def cancel_and_stop() -> None:
        dead.cancel()
        one.stop()

    one.call_soon(cancel_and_stop)
    other.run_until_complete(publisher.send(1))  # `one` hears of it right after this, in the same iteration
    one.run_forever()
    one.close()
    other.settle()
    assert waiting.done()
    assert waiting.result() == 1
    assert not dead.done()
    other.run_until_complete(channel.close())


def test_a_loop_that_closes_while_its_messages_come_back_gives_them_back_in_order(loops: tuple[Loop, Loop]) -> None:
    """A loop may close at any instant, also between two of its messages: none overtakes an older one (CH-4.1, CH-6.3)."""

    class Closing(Loop):
        closing = False

        def is_closed(self) -> bool:
            closed = super().is_closed()
            if self.closing:
                self.closing = False
                self.close()
            return closed

    closing, (one, _) = Closing(), loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    dead = [closing.start(subscriber.read()) for _ in range(2)]
    reads = [one.start(subscriber.read())]
    for message in range(2):
        one.run_until_complete(publisher.send(message))
    closing.closing = True
    reads.append(one.start(subscriber.read()))
    closing.close()
    one.run_until_complete(asyncio.wait(reads, timeout=10))  # another thread finishes what the lock has put off
    assert [read.result() for read in reads] == [0, 1]
    assert not any(read.done() for read in dead)
    one.run_until_complete(channel.close())


def test_what_is_lost_is_told_of_a_loop_that_has_closed_already(loops: tuple[Loop, Loop]) -> None:
    """A loop that closes while a guard is put into its queue is still noticed (CH-6.3)."""
    one, _ = loops
    lost = []
    waiting = one.create_future()
    one.close()
    tell_if_lost(waiting, lambda: lost.append(waiting))
    assert set(lost) == {waiting}


def test_a_send_of_a_closed_loop_keeps_no_publisher(loops: tuple[Loop, Loop]) -> None:
    """A publisher whose committed send died with its loop is collected, which closes it (CH-7.2)."""
    one, other = loops
    channel = Channel[int](1)
    subscriber = other.run_until_complete(channel.subscribe())

    async def send_twice() -> None:
        publisher = await channel.connect()
        await publisher.send(1)
        await publisher.send(2)

    dead: asyncio.Task[None] | None = one.start(send_twice())
    assert other.run_until_complete(subscriber.read()) == 1
    one.close()
    del dead
    with pytest.warns(ResourceWarning, match="publisher"):
        gc.collect()
    assert channel.state is ChannelState.closed


def test_what_comes_back_stays_in_order_and_may_exceed_the_size(loops: tuple[Loop, Loop]) -> None:
    """Messages of reads that died with their loop come back as the oldest; sends wait until there is room (CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts(1))
    dead = [one.start(subscriber.read()) for _ in range(2)]
    for message in range(3):
        other.run_until_complete(publisher.send(message))
    sending = other.start(publisher.send(3))
    one.close()
    assert channel.statistics().subscribers[0].buffered == 3
    assert [other.run_until_complete(subscriber.read()) for _ in range(2)] == [0, 1]
    assert not sending.done()
    assert [other.run_until_complete(subscriber.read()) for _ in range(2)] == [2, 3]
    assert not any(read.done() for read in dead)
    other.run_until_complete(channel.close())


def test_closed_loop_costs_no_thread(loops: tuple[Loop, Loop], monkeypatch: pytest.MonkeyPatch) -> None:
    """An operation whose loop is closed is skipped at once, without the detour that finalizers take (CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts())
    dead, waiting = one.start(subscriber.read()), other.start(subscriber.read())
    one.close()
    monkeypatch.setattr("threading.Thread", None)
    other.run_until_complete(publisher.send(0))
    other.settle()
    assert waiting.done()
    assert not dead.done()
    other.run_until_complete(channel.close())


def test_loop_that_closes_at_the_instant_of_a_wake_up(loops: tuple[Loop, Loop]) -> None:
    """If a loop's own thread closes it while it is asked to wake an operation, the operation is skipped (CH-6.3)."""

    class Closing(Loop):
        def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            self.close()
            return super().call_soon_threadsafe(*args, **kwargs)

    closing, (one, _) = Closing(), loops
    channel, publisher, subscriber = one.run_until_complete(parts())
    dead, waiting = closing.start(subscriber.read()), one.start(subscriber.read())
    one.run_until_complete(publisher.send(1))
    one.settle()
    assert waiting.done()
    assert waiting.result() == 1
    assert not dead.done()
    one.run_until_complete(channel.close())


def test_closing_a_channel_passes_over_loops_that_are_gone(loops: tuple[Loop, Loop]) -> None:
    """A channel closes even if operations wait in it whose loop is closed (CH-5.1, CH-6.3)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts())
    idle = other.run_until_complete(channel.subscribe(buffer_size=0))
    other.run_until_complete(publisher.send(0))
    other.run_until_complete(idle.read())
    tasks: list[asyncio.Task[Any]] = [one.start(publisher.send(1)), one.start(idle.read())]
    alive: list[asyncio.Task[Any]] = [other.start(publisher.send(1)), other.start(idle.read())]
    one.close()
    other.run_until_complete(channel.close())
    other.settle()
    assert [task.done() for task in tasks + alive] == [False, False, True, True]
    assert all(task.exception() for task in alive)
    assert subscriber is not None


def test_a_loop_that_closes_right_after_its_read_has_returned(loops: tuple[Loop, Loop]) -> None:
    """A read that returns, and whose loop closes, before the send has looked whether it closed: one message (CH-4.4, CH-6.3)."""

    class Closing(Loop):
        def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            super().call_soon_threadsafe(*args, **kwargs)
            self.settle()
            self.close()

    closing, (one, _) = Closing(), loops
    channel, publisher, subscriber = one.run_until_complete(parts(0))
    reading = closing.start(subscriber.read())
    with pytest.raises(StopIteration):
        publisher.send(1).send(None)
    assert reading.result() == 1
    assert channel.statistics().subscribers[0].buffered == 0
    one.run_until_complete(channel.close())


def test_a_request_owed_to_a_task_whose_loop_closes_keeps_nothing(loops: tuple[Loop, Loop]) -> None:
    """A task that was owed a request to cancel when its loop closed is collected, with all that it used (CH-4.8, CH-7.1)."""
    one, other = loops
    channel, publisher, subscriber = other.run_until_complete(parts(0))
    reading: asyncio.Task[int] | None = one.start(subscriber.read())
    other.run_until_complete(publisher.send(1))
    assert reading
    reading.cancel()
    while not reading.done():
        one.one_iteration()
    assert reading.result() == 1
    one.close()
    kept, reading = weakref.ref(reading), None
    gc.collect()
    assert kept() is None
    other.run_until_complete(channel.close())
