"""Closing (CH-5)."""

import asyncio
from typing import Any

import pytest
from settling import begin, ended, settle

from aioservicekit import Channel, ChannelClosedError, ChannelState, channels


async def test_closing_again_changes_nothing() -> None:
    """`close()` of a channel and of its endpoints may be called again, in any order (CH-5.1)."""
    channel = Channel[int]()
    endpoints: list[Any] = [channel, *[await channel.connect() for _ in range(2)]]
    endpoints += [await channel.subscribe() for _ in range(2)]
    for closing in (endpoints[1], endpoints[1], endpoints[3], endpoints[3]):
        await closing.close()
    assert channel.statistics()[:2] == (ChannelState.open, 1)
    assert len(channel.statistics().subscribers) == 1
    for closing in endpoints * 2:
        await closing.close()
    assert channel.state is ChannelState.closed


async def test_closing_never_waits() -> None:
    """`close()` returns without suspending, so cancelling its caller can't leave it half done (CH-5.1)."""
    channel = Channel[int](1)
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    await publisher.send(1)
    waiting = await begin(publisher.send(2))
    for closing in (subscriber.close(), publisher.close(), channel.close()):
        with pytest.raises(StopIteration):
            closing.send(None)
    with pytest.raises(ChannelClosedError):
        await ended(waiting)


async def test_closing_a_publisher_fails_its_own_sends_alone() -> None:
    """Closing a publisher fails its waiting sends; those of other publishers go on in order (CH-5.2)."""
    async with Channel[int](1) as channel, await channel.connect() as one, await channel.subscribe() as subscriber:
        other = await channel.connect()
        await one.send(0)
        tasks = [await begin(publisher.send(i)) for i, publisher in enumerate((other, one, other, one, other), 1)]
        await other.close()
        await settle()
        assert [task.done() for task in tasks] == [True, False, True, False, True]
        assert [await subscriber.read(), await subscriber.read(), await subscriber.read()] == [0, 2, 4]
        results = await ended(asyncio.gather(*tasks, return_exceptions=True))
        assert [type(result) for result in results[::2]] == [ChannelClosedError] * 3


async def test_closing_a_publisher_leaves_the_next_send_its_room() -> None:
    """When the publisher of the first send in line closes, the next send gets the next room (CH-3.4, CH-5.2)."""
    async with Channel[int](1) as channel, await channel.connect() as one, await channel.subscribe() as subscriber:
        other = await channel.connect()
        await one.send(0)
        failing, going = await begin(other.send(1)), await begin(one.send(2))
        await other.close()
        assert await subscriber.read() == 0
        await ended(going)
        with pytest.raises(ChannelClosedError):
            await ended(failing)
        assert await subscriber.read() == 2


async def test_closing_the_publisher_of_a_send_that_has_committed() -> None:
    """A committed send returns, even if its publisher closes before its task runs (CH-3.7, CH-5.2)."""
    async with Channel[int](1) as channel, await channel.connect() as one, await channel.subscribe() as subscriber:
        other = await channel.connect()
        await one.send(0)
        committed = await begin(other.send(1))
        assert await subscriber.read() == 0
        await other.close()
        await ended(committed)
        assert await subscriber.read() == 1


async def test_cancelling_a_send_whose_publisher_has_closed() -> None:
    """A send that is cancelled after its publisher closed and before it ran disturbs nobody (CH-3.8, CH-5.2)."""
    async with Channel[int](1) as channel, await channel.connect() as one, await channel.subscribe() as subscriber:
        other = await channel.connect()
        await one.send(0)
        failing, going = await begin(other.send(1)), await begin(one.send(2))
        await other.close()
        failing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ended(failing)
        assert not going.done()
        assert await subscriber.read() == 0
        await ended(going)


async def test_closed_subscriber_takes_no_more() -> None:
    """A closed subscriber takes part in no later commit, and holds back no send (CH-5.3)."""
    async with Channel[int](1) as channel, await channel.connect() as publisher, await channel.subscribe() as other:
        closed = await channel.subscribe()
        await publisher.send(1)
        assert await other.read() == 1
        await closed.close()
        await publisher.send(2)
        assert await other.read() == 2
        assert [message async for message in closed] == [1]


async def test_context_managers_close() -> None:
    """Leaving `async with` closes a channel and its endpoints (CH-5.4)."""
    async with Channel[int]() as channel:
        async with await channel.connect() as publisher, await channel.subscribe() as subscriber:
            assert channel.statistics().state is ChannelState.open
        assert "closed" in repr(publisher)
        assert "closed" in repr(subscriber)
    assert channel.state is ChannelState.closed


@pytest.mark.parametrize("error", [ValueError("mine"), asyncio.CancelledError("mine")])
async def test_context_managers_let_exceptions_through(error: BaseException) -> None:
    """An exception that ends the block still closes the channel, and passes through unchanged (CH-5.4)."""
    with pytest.raises(type(error)) as raised:
        async with Channel[int]() as channel, await channel.connect(), await channel.subscribe():
            raise error
    assert raised.value is error
    assert channel.state is ChannelState.closed


async def test_what_is_refused_leaves_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read or a send that finds its endpoint closed changes nothing later: for that, a thread might have to be started."""
    later: list[object] = []
    monkeypatch.setattr(channels, "when_free", lambda *change: later.append(change))
    channel = Channel[int]()
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    reading = await begin(subscriber.read())
    await channel.close()
    for refused in (reading, subscriber.read(), publisher.send(1)):
        with pytest.raises(ChannelClosedError):
            await refused
    assert later == []
