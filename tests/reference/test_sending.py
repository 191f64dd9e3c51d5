"""Sending (CH-3)."""

import asyncio
from typing import Any

import pytest
from settling import begin, ended, settle

from aioservicekit import Channel, ChannelClosedError


async def test_reaches_every_subscriber_at_one_instant() -> None:
    """A commit puts a message into every connected buffer, and nothing runs in between (CH-3.1)."""
    async with Channel[str]() as channel, await channel.connect() as publisher:
        subscribers = [await channel.subscribe(buffer_size=size) for size in (0, 1, 3)]
        with pytest.raises(StopIteration):
            publisher.send("m").send(None)
        assert [statistics.buffered for statistics in channel.statistics().subscribers] == [1, 1, 1]
        assert [await subscriber.read() for subscriber in subscribers] == ["m"] * 3


async def test_waits_while_any_subscriber_is_full() -> None:
    """A send waits while any subscriber is full, and reaches none until then (CH-3.1, CH-3.2)."""
    async with Channel[int]() as channel, await channel.connect() as publisher:
        small, large = await channel.subscribe(buffer_size=1), await channel.subscribe(buffer_size=3)
        await publisher.send(1)
        sending = await begin(publisher.send(2))
        assert not sending.done()
        assert await large.read() == 1
        await settle()
        assert not sending.done()
        assert [statistics.buffered for statistics in channel.statistics().subscribers] == [1, 0]
        assert await small.read() == 1
        await ended(sending)
        assert await small.read() == await large.read() == 2


async def test_unbounded_subscriber_is_never_full() -> None:
    """A buffer of size 0 holds back no send, however many messages it holds (CH-3.2)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        for i in range(1000):
            await publisher.send(i)
        assert [await subscriber.read() for _ in range(1000)] == list(range(1000))


async def test_message_with_no_subscriber_goes_to_nobody() -> None:
    """With no subscriber, a send returns at once, and its message is not kept for later ones (CH-3.3, CH-2.4)."""
    async with Channel[int]() as channel, await channel.connect() as publisher:
        await publisher.send(1)
        async with await channel.subscribe() as subscriber:
            await publisher.send(2)
            assert await subscriber.read() == 2


async def test_room_lets_as_many_go_as_fit() -> None:
    """Waiting sends go on as room appears, in order, until it is used up (CH-3.4, CH-3.5)."""
    async with (
        Channel[int](2) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        tasks = [await begin(publisher.send(i)) for i in range(6)]
        for expected in range(4):
            assert [task.done() for task in tasks] == [i < expected + 2 for i in range(6)]
            assert await subscriber.read() == expected
            await settle()
        assert all(task.done() for task in tasks)


async def test_closing_the_full_subscriber_lets_all_go_that_fit() -> None:
    """Closing the full subscriber makes room too: several sends then commit at once (CH-3.4, CH-5.3)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as large:
        small = await channel.subscribe(buffer_size=1)
        tasks = [await begin(publisher.send(i)) for i in range(5)]
        await small.close()
        await ended(asyncio.gather(*tasks))
        assert [await large.read() for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_room_is_filled_at_once_by_the_sends_that_wait() -> None:
    """A read commits the waiting send, so a send called before that task runs finds no room (CH-3.4, CH-3.5)."""
    async with (
        Channel[int](2) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        tasks = [await begin(publisher.send(i)) for i in range(3)]
        assert await subscriber.read() == 0
        assert not tasks[2].done()
        assert channel.statistics().subscribers[0].buffered == 2
        late = await begin(publisher.send(3))
        assert tasks[2].done()
        assert not late.done()
        assert [await subscriber.read() for _ in range(3)] == [1, 2, 3]


async def test_publishers_share_one_line() -> None:
    """Sends of several publishers commit in the order of their calls, and all subscribers see that order (CH-3.5, CH-3.6)."""
    async with Channel[tuple[int, int]](1) as channel:
        publishers = [await channel.connect() for _ in range(5)]
        one, other = await channel.subscribe(), await channel.subscribe()
        sent = [(which, i) for i in range(3) for which in (3, 0, 4, 1, 2)]
        tasks = [await begin(publishers[which].send((which, i))) for which, i in sent]
        for message in sent:
            assert await one.read() == await other.read() == message
            await settle()
        assert all(task.done() for task in tasks)


@pytest.mark.parametrize("what", ["publisher", "channel", "subscriber"])
async def test_closing_fails_waiting_sends(what: str) -> None:
    """A send that waits when its publisher or its channel closes raises, and has delivered nothing (CH-3.7)."""
    channel = Channel[int](1)
    endpoints: dict[str, Any] = {"channel": channel, "publisher": await channel.connect()}
    endpoints["subscriber"] = subscriber = await channel.subscribe()
    await endpoints["publisher"].send(1)
    task = await begin(endpoints["publisher"].send(2))
    await endpoints[what].close()
    with pytest.raises(ChannelClosedError):
        await ended(task)
    with pytest.raises(ChannelClosedError):
        await endpoints["publisher"].send(3)
    assert [message async for message in subscriber] == [1]


@pytest.mark.parametrize("what", ["publisher", "channel"])
async def test_closing_comes_too_late_for_a_send_that_has_committed(what: str) -> None:
    """A close between a send's commit and its task's next step does not fail the send: it returns (CH-3.1, CH-3.7)."""
    async with Channel[int](1) as channel, await channel.connect(), await channel.subscribe() as subscriber:
        publisher = await channel.connect()
        await publisher.send(1)
        task = await begin(publisher.send(2))
        assert await subscriber.read() == 1
        await (publisher.close() if what == "publisher" else channel.close())
        await ended(task)
        await channel.close()
        assert [message async for message in subscriber] == [2]


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_cancelled_send_delivers_nothing_and_holds_up_nobody(which: int) -> None:
    """A send cancelled anywhere in line delivers nothing; the others commit in order (CH-3.4, CH-3.8)."""
    async with (
        Channel[int](3) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        for i in range(3):
            await publisher.send(-i)
        tasks = [await begin(publisher.send(i)) for i in range(3)]
        tasks[which].cancel()
        for _ in range(3):
            await subscriber.read()
        await settle()
        assert tasks[which].cancelled()
        assert channel.statistics().sends_waiting == 0
        assert [await subscriber.read(), await subscriber.read()] == [i for i in range(3) if i != which]
        assert channel.statistics().subscribers[0].buffered == 0


async def test_several_cancelled_sends_are_passed_over() -> None:
    """If all waiting sends but the last are cancelled and have not run since, the last one commits (CH-3.4, CH-3.8)."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        await publisher.send(0)
        tasks = [await begin(publisher.send(i)) for i in range(1, 5)]
        for task in tasks[:-1]:
            task.cancel()
        assert await subscriber.read() == 0
        await ended(tasks[-1])
        assert await subscriber.read() == 4


async def test_a_small_subscriber_that_joins_holds_back_those_behind() -> None:
    """A subscriber that joins while sends wait counts for each of them, and they keep their order (CH-3.2, CH-3.5)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as large:
        full = await channel.subscribe(buffer_size=1)
        tasks = [await begin(publisher.send(i)) for i in range(4)]
        async with await channel.subscribe(buffer_size=1) as small:
            await full.close()
            await settle()
            assert [task.done() for task in tasks] == [True, True, False, False]
            late = await begin(publisher.send(4))
            for i in range(1, 5):
                assert await small.read() == i
                await settle()
            assert late.done()
        assert [await large.read() for _ in range(5)] == [0, 1, 2, 3, 4]


async def test_thousand_sends_cancelled_in_any_order_leave_an_empty_line() -> None:
    """A long line that is cancelled from both ends at once is empty afterwards, and the one send left commits (CH-3.8)."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        await publisher.send(-1)
        tasks = [asyncio.ensure_future(publisher.send(i)) for i in range(1000)]
        await settle()
        for task in [*tasks[:500:2], *reversed(tasks[501:]), *tasks[1:500:2]]:
            task.cancel()
        assert await subscriber.read() == -1
        await ended(tasks[500])
        assert channel.statistics().sends_waiting == 0
        assert await subscriber.read() == 500


async def test_needs_a_running_loop_to_wait() -> None:
    """A send that would have to wait where no loop runs raises, and leaves the channel unchanged."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        await publisher.send(1)

        def send_without_a_loop() -> None:
            coro = publisher.send(2)
            with pytest.raises(RuntimeError, match="no running event loop"):
                coro.send(None)

        await asyncio.to_thread(send_without_a_loop)
        assert channel.statistics().sends_waiting == 0
        assert await subscriber.read() == 1
