"""Real threads, each with its own loop (CH-6.1). Bounded: each run is a few thousand operations."""

import asyncio
import random
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from itertools import chain, count
from typing import Any

import pytest

from aioservicekit import Channel, ChannelClosedError, ChannelState, Publisher, Subscriber

PATIENCE = 60.0  # seconds until a run that should take less than one is given up

Message = tuple[int, int]


@pytest.fixture(autouse=True)
def _switch_threads_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def run_threads(*mains: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run each coroutine function on its own loop in its own thread; return their results, in order."""
    results: list[Any] = [None] * len(mains)

    def run(i: int) -> None:
        try:
            results[i] = asyncio.run(mains[i]())
        except BaseException as error:
            results[i] = error

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(mains))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "an operation waits that could go on"
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def endpoints(
    channel: Channel[Message], publishers: int, sizes: tuple[int, ...]
) -> tuple[list[Publisher[Message]], list[Subscriber[Message]]]:
    async def join() -> tuple[list[Publisher[Message]], list[Subscriber[Message]]]:
        return (
            [await channel.connect() for _ in range(publishers)],
            [await channel.subscribe(buffer_size=size) for size in sizes],
        )

    return asyncio.run(join())


async def listen(subscriber: Subscriber[Message]) -> list[Message]:
    return [message async for message in subscriber]


def test_all_see_one_order_that_keeps_each_publishers() -> None:
    """All subscribers get the same messages in one order, which keeps each publisher's order (CH-3.5, CH-3.6, CH-6.1)."""
    each = 300
    publishers, subscribers = endpoints(channel := Channel[Message](), 3, (1, 2, 0))

    async def publish(which: int) -> None:
        async with publishers[which]:
            for i in range(each):
                await publishers[which].send((which, i))

    results = run_threads(
        *[lambda which=which: publish(which) for which in range(3)],
        *[lambda subscriber=subscriber: listen(subscriber) for subscriber in subscribers],
    )[3:]
    assert results[0] == results[1] == results[2]
    for which in range(3):
        assert [i for sender, i in results[0] if sender == which] == list(range(each))
    assert channel.state is ChannelState.closed


def test_readers_of_one_subscriber_share_its_messages() -> None:
    """Reads of one subscriber in several threads take each message once, each of them in order (CH-4.4, CH-6.1)."""
    publishers, subscribers = endpoints(Channel[Message](), 2, (2,))

    async def publish(which: int) -> None:
        async with publishers[which]:
            for i in range(400):
                await publishers[which].send((which, i))

    results = run_threads(lambda: publish(0), lambda: publish(1), *[lambda: listen(subscribers[0]) for _ in range(3)])[
        2:
    ]
    for taken in results:
        for which in range(2):
            mine = [i for sender, i in taken if sender == which]
            assert mine == sorted(mine)
    assert sorted(chain.from_iterable(results)) == [(which, i) for which in range(2) for i in range(400)]


@pytest.mark.parametrize("seed", range(3))
def test_cancelled_sends_reach_nobody_and_the_others_everybody(seed: int) -> None:
    """In any thread, a send that returned has reached all, and a cancelled one nobody (CH-3.1, CH-3.8, CH-6.1)."""
    publishers, subscribers = endpoints(Channel[Message](), 3, (1, 3))

    async def publish(which: int) -> list[Message]:
        chance = random.Random(seed * 10 + which)
        returned = []
        async with publishers[which]:
            for i in range(150):
                sending = asyncio.ensure_future(publishers[which].send((which, i)))
                if chance.random() < 0.5:
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)
                    sending.cancel()
                if not (await asyncio.gather(sending, return_exceptions=True))[0]:
                    returned.append((which, i))
        return returned

    async def listen_impatiently(which: int) -> list[Message]:
        chance = random.Random(seed * 10 + 5 + which)
        taken = []
        while True:
            reading = asyncio.ensure_future(subscribers[which].read())
            if chance.random() < 0.3:
                await asyncio.sleep(0)
                reading.cancel()
            try:
                taken.append(await reading)
            except asyncio.CancelledError:
                pass
            except ChannelClosedError:
                return taken

    results = run_threads(
        *[lambda which=which: publish(which) for which in range(3)],
        *[lambda which=which: listen_impatiently(which) for which in range(2)],
    )
    assert results[3] == results[4]
    assert sorted(results[3]) == sorted(chain.from_iterable(results[:3]))


def test_subscribers_that_come_and_go_get_an_unbroken_run() -> None:
    """A subscriber that joins and closes amid traffic gets a contiguous part of the one order (CH-2.4, CH-6.1)."""
    channel = Channel[Message]()
    publishers, subscribers = endpoints(channel, 2, (2,))
    stretches: list[list[Message]] = []

    async def publish(which: int) -> None:
        async with publishers[which]:
            for i in range(200):
                await publishers[which].send((which, i))

    async def visit() -> None:
        for visits in count():
            try:
                subscriber = await channel.subscribe(buffer_size=visits % 3)
            except ChannelClosedError:
                return
            async with subscriber:
                try:
                    stretch = [await subscriber.read() for _ in range(5)]
                except ChannelClosedError:
                    continue
            stretches.append(stretch + await listen(subscriber))

    results = run_threads(lambda: publish(0), lambda: publish(1), lambda: listen(subscribers[0]), visit, visit)
    order = results[2]
    assert len(order) == 400
    for stretch in stretches:
        start = order.index(stretch[0])
        assert order[start : start + len(stretch)] == stretch


def test_close_leaves_nobody_waiting() -> None:
    """A close amid traffic ends everything that waits; all subscribers have the same messages (CH-3.1, CH-5.1, CH-6.1)."""
    for stop_at in (1, 10, 50):
        channel = Channel[Message]()
        publishers, subscribers = endpoints(channel, 3, (1, 1))

        async def publish(which: int, publishers: list[Publisher[Message]] = publishers) -> int:
            for i in count():
                try:
                    await publishers[which].send((which, i))
                except ChannelClosedError:
                    return i
            raise AssertionError

        async def listen_and_close(
            stop_at: int = stop_at,
            channel: Channel[Message] = channel,
            subscriber: Subscriber[Message] = subscribers[0],
        ) -> list[Message]:
            taken = [await subscriber.read() for _ in range(stop_at)]
            await channel.close()
            return taken + await listen(subscriber)

        *sent, one, other = run_threads(
            *[lambda which=which: publish(which) for which in range(3)],
            listen_and_close,
            partial(listen, subscribers[1]),
        )
        assert one == other
        assert sorted(one) == sorted((which, i) for which in range(3) for i in range(sent[which]))


def test_loops_that_close_with_operations_pending_cost_the_others_nothing() -> None:
    """Threads that die amid their sends and reads hold up nobody, and lose no message whose send returned (CH-6.3)."""
    publishers, subscribers = endpoints(Channel[Message](), 3, (1, 1))
    held: list[asyncio.Task[Any]] = []

    def die_again_and_again(publisher: Publisher[Message]) -> None:
        for i in range(60):
            loop = asyncio.new_event_loop()
            sending = loop.create_task(publisher.send((2, i)))
            sending._log_destroy_pending = False  # type: ignore[attr-defined]
            held.append(sending)
            for _ in range(i % 4 + 1):
                loop.call_soon(loop.stop)
                loop.run_forever()
            loop.close()

    async def die() -> None:
        await asyncio.to_thread(die_again_and_again, publishers[2])
        await publishers[2].close()

    async def publish(which: int) -> None:
        async with publishers[which]:
            for i in range(200):
                await publishers[which].send((which, i))

    results = run_threads(
        lambda: publish(0), lambda: publish(1), die, lambda: listen(subscribers[0]), lambda: listen(subscribers[1])
    )
    one, other = results[3:]
    assert one == other
    for which in range(2):
        assert [i for sender, i in one if sender == which] == list(range(200))
    of_the_dead = [i for sender, i in one if sender == 2]
    assert of_the_dead == sorted(set(of_the_dead))
    assert set(of_the_dead) >= {i for i, task in enumerate(held) if task.done()}  # others had committed when they died
