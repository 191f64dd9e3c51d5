"""Reading (CH-4)."""

import asyncio
from typing import Any

import pytest
from settling import begin, ended, settle

from aioservicekit import Channel, ChannelClosedError


async def test_oldest_comes_first() -> None:
    """`read` returns the messages in the order of their commits (CH-4.1)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        for i in range(3):
            await publisher.send(i)
        assert [await subscriber.read() for _ in range(3)] == [0, 1, 2]


async def test_waits_while_there_is_nothing() -> None:
    """A read of an empty buffer waits, and returns what commits next (CH-4.1, CH-4.6)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        reading = await begin(subscriber.read())
        assert not reading.done()
        await publisher.send(1)
        assert await ended(reading) == 1


@pytest.mark.parametrize("what", ["publisher", "channel", "subscriber"])
async def test_buffered_messages_outlive_the_close(what: str) -> None:
    """Messages buffered at a close can still be read; only then does `read` raise, again and again (CH-4.2)."""
    channel = Channel[int]()
    endpoints: dict[str, Any] = {"channel": channel, "publisher": await channel.connect()}
    endpoints["subscriber"] = subscriber = await channel.subscribe()
    await endpoints["publisher"].send(1)
    await endpoints["publisher"].send(2)
    await endpoints[what].close()
    assert [await subscriber.read(), await subscriber.read()] == [1, 2]
    for _ in range(2):
        with pytest.raises(ChannelClosedError, match="nothing left"):
            await subscriber.read()


async def test_reading_on_after_a_close_frees_no_room() -> None:
    """Taking messages out of a closed, full buffer changes nothing for other subscribers' sends (CH-3.2, CH-4.2)."""
    async with Channel[int](1) as channel, await channel.connect() as publisher, await channel.subscribe() as other:
        closed = await channel.subscribe()
        await publisher.send(1)
        await closed.close()
        sending = await begin(publisher.send(2))
        assert await closed.read() == 1
        await settle()
        assert not sending.done()
        assert await other.read() == 1
        await ended(sending)


@pytest.mark.parametrize("what", ["publisher", "channel", "subscriber"])
async def test_closing_ends_waiting_reads(what: str) -> None:
    """Every waiting read for which no message can come any more raises `ChannelClosedError` (CH-4.3)."""
    channel = Channel[int]()
    endpoints: dict[str, Any] = {"channel": channel, "publisher": await channel.connect()}
    endpoints["subscriber"] = subscriber = await channel.subscribe()
    tasks = [await begin(subscriber.read()) for _ in range(3)]
    await endpoints[what].close()
    for task in tasks:
        with pytest.raises(ChannelClosedError):
            await ended(task)


@pytest.mark.parametrize("messages", range(5))
async def test_readers_beyond_the_messages_raise_at_a_close(messages: int) -> None:
    """At a close with fewer messages than waiting reads, the first reads get them and the others raise (CH-4.2, CH-4.3)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        tasks = [await begin(subscriber.read()) for _ in range(4)]
        for i in range(messages):
            await publisher.send(i)
        await channel.close()
        results = await ended(asyncio.gather(*tasks, return_exceptions=True))
        assert results[:messages] == list(range(messages))[:4]
        assert all(isinstance(result, ChannelClosedError) for result in results[messages:])
        assert [message async for message in subscriber] == list(range(messages))[4:]


async def test_reads_share_the_messages_in_the_order_of_their_calls() -> None:
    """Each message goes to exactly one of several reads, in the order of their calls (CH-4.4)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        tasks = [await begin(subscriber.read()) for _ in range(4)]
        for i in range(4):
            await publisher.send(i)
        assert await ended(asyncio.gather(*tasks)) == [0, 1, 2, 3]


async def test_late_read_does_not_overtake_one_that_has_its_message() -> None:
    """A read that is called after another was handed its message, and before that one runs, gets the next (CH-4.4)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        first = await begin(subscriber.read())
        await publisher.send(1)
        second = asyncio.ensure_future(subscriber.read())
        await publisher.send(2)
        assert [await ended(first), await ended(second)] == [1, 2]


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_cancelled_read_takes_nothing(which: int) -> None:
    """A read cancelled anywhere in line takes nothing, and its message reaches the next read (CH-4.5, CH-4.6)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        tasks = [await begin(subscriber.read()) for _ in range(3)]
        tasks[which].cancel()
        await publisher.send(0)
        await publisher.send(1)
        results = await ended(asyncio.gather(*tasks, return_exceptions=True))
        assert isinstance(results.pop(which), asyncio.CancelledError)
        assert results == [0, 1]


@pytest.mark.parametrize("messages", [0, 1, 2])
async def test_cancelled_after_a_close(messages: int) -> None:
    """A read cancelled after a close and before it ran returns the message that it has, or takes none (CH-4.5, CH-4.8)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        tasks = [await begin(subscriber.read()) for _ in range(3)]
        for i in range(messages):
            await publisher.send(i)
        await channel.close()
        tasks[0].cancel()
        first, *others = await ended(asyncio.gather(*tasks, return_exceptions=True))
        assert first == 0 if messages else isinstance(first, asyncio.CancelledError)
        assert [other for other in others if not isinstance(other, ChannelClosedError)] == list(range(1, messages))


async def test_timeout_round_a_read_loses_nothing() -> None:
    """A read that `asyncio.timeout` gives up has taken nothing (CH-4.5)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe() as subscriber:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await subscriber.read()
        await publisher.send(1)
        assert await subscriber.read() == 1


async def test_iteration_ends_at_the_close() -> None:
    """`async for` yields what `read` would return, and ends where `read` would raise (CH-4.7)."""
    channel = Channel[int]()
    publisher, subscriber = await channel.connect(), await channel.subscribe()

    async def listen() -> list[int]:
        return [message async for message in subscriber]

    listening = await begin(listen())
    await publisher.send(1)
    await settle()
    await publisher.send(2)
    await publisher.close()
    assert await ended(listening) == [1, 2]
    assert [message async for message in subscriber] == []


async def test_iterations_side_by_side_share_the_messages() -> None:
    """Two loops over one subscriber get each message once, and both end at the close (CH-4.4, CH-4.7)."""
    channel = Channel[int]()
    publisher, subscriber = await channel.connect(), await channel.subscribe()

    async def listen() -> list[int]:
        return [message async for message in subscriber]

    listening = [await begin(listen()) for _ in range(2)]
    for i in range(7):
        await publisher.send(i)
        await settle()
    await channel.close()
    one, other = await ended(asyncio.gather(*listening))
    assert sorted(one + other) == list(range(7))
