"""A channel's states, and joining it (CH-1, CH-2)."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from aioservicekit import Channel, ChannelClosedError, ChannelState, ChannelStatistics


def test_is_built_without_a_loop() -> None:
    """A new channel is in `initiation`, and building it needs no running event loop (CH-1.1)."""
    assert Channel[int]().state is ChannelState.initiation


@pytest.mark.parametrize("order", [("connect", "subscribe"), ("subscribe", "connect")])
async def test_opens_with_the_first_pair(order: tuple[str, str]) -> None:
    """A channel opens at the instant at which it first has one endpoint of each kind, whichever came first (CH-1.2)."""
    async with Channel[int]() as channel:
        states, endpoints = [], []
        for join in order:
            endpoints.append(await getattr(channel, join)())
            states.append(channel.state)
        assert states == [ChannelState.initiation, ChannelState.open]


async def test_counts_the_connected_alone_when_it_opens() -> None:
    """An endpoint that has come and gone does not count towards opening (CH-1.2, CH-1.5)."""
    async with Channel[int]() as channel:
        await (await channel.connect()).close()
        subscriber = await channel.subscribe()
        assert channel.state is ChannelState.initiation
        await subscriber.close()
        publisher = await channel.connect()
        assert channel.state is ChannelState.initiation
        await publisher.close()
        assert channel.state is ChannelState.initiation


@pytest.mark.parametrize("kind", ["connect", "subscribe"])
async def test_closes_with_the_last_of_a_kind(kind: str) -> None:
    """An open channel stays open until its last publisher or its last subscriber closes (CH-1.3)."""
    async with Channel[int]() as channel:
        other = await (channel.subscribe() if kind == "connect" else channel.connect())
        endpoints = [await getattr(channel, kind)() for _ in range(3)]
        for endpoint in endpoints:
            assert channel.state is ChannelState.open
            await endpoint.close()
        assert channel.state is ChannelState.closed
        assert "closed" in repr(other)


@pytest.mark.parametrize("opened", [False, True])
async def test_closes_by_hand(opened: bool) -> None:
    """`close()` takes a channel to `closed` from `initiation` and `open` alike, with its endpoints (CH-1.4, CH-1.6)."""
    channel = Channel[int]()
    publisher = await channel.connect()
    subscriber = await channel.subscribe() if opened else None
    await channel.close()
    assert channel.statistics() == ChannelStatistics(ChannelState.closed, 0, (), 0)
    with pytest.raises(ChannelClosedError):
        await publisher.send(1)
    if subscriber:
        with pytest.raises(ChannelClosedError):
            await subscriber.read()


def test_states_are_ordered() -> None:
    """The states are ordered as a channel passes through them (CH-1.7)."""
    assert ChannelState.initiation < ChannelState.open < ChannelState.closed
    assert len(ChannelState) == 3


@pytest.mark.parametrize("join", [Channel.connect, Channel.subscribe])
async def test_refuses_to_be_joined_when_closed(join: Callable[[Channel[int]], Awaitable[Any]]) -> None:
    """Joining a closed channel raises `ChannelClosedError` and registers nothing; it stays closed (CH-1.7, CH-2.1)."""
    channel = Channel[int]()
    await channel.close()
    with pytest.raises(ChannelClosedError, match=re.escape("channel is closed: its close() was called")):
        await join(channel)
    assert channel.statistics() == ChannelStatistics(ChannelState.closed, 0, (), 0)


@pytest.mark.parametrize(("default", "given", "size"), [(3, None, 3), (3, 1, 1), (3, 0, 0), (0, None, 0), (0, 2, 2)])
async def test_subscriber_has_a_size_of_its_own(default: int, given: int | None, size: int) -> None:
    """A subscriber takes the channel's default size, unless it is given another, including 0 (CH-2.2)."""
    async with Channel[int](default) as channel:
        subscriber = await channel.subscribe(buffer_size=given)
        assert channel.statistics().subscribers[0].buffer_size == size
        assert subscriber is not None


@pytest.mark.parametrize(
    ("size", "error"),
    [(-1, ValueError), (True, TypeError), (False, TypeError), (1.0, TypeError), ("1", TypeError), ([], TypeError)],
)
async def test_bad_size_registers_nothing(size: Any, error: type[Exception]) -> None:
    """The constructor and `subscribe` refuse a size that is negative or not an int; nothing is registered (CH-2.3)."""
    with pytest.raises(error, match="buffer_size"):
        Channel[int](size)
    async with Channel[int]() as channel:
        with pytest.raises(error, match="buffer_size"):
            await channel.subscribe(buffer_size=size)
        assert channel.statistics().subscribers == ()


def test_constructor_takes_no_none() -> None:
    """`None` stands for the default only in `subscribe` (CH-2.3)."""
    with pytest.raises(TypeError):
        Channel[int](None)  # type: ignore[arg-type]


async def test_bad_size_comes_before_closed() -> None:
    """An invalid size is refused on a closed channel too: the argument is wrong in any state (CH-2.3)."""
    channel = Channel[int]()
    await channel.close()
    with pytest.raises(ValueError, match="buffer_size"):
        await channel.subscribe(buffer_size=-1)


async def test_subscriber_gets_what_commits_while_it_is_connected() -> None:
    """A subscriber gets what commits between its joining and its closing, and nothing else (CH-2.4)."""
    async with Channel[int]() as channel, await channel.connect() as publisher, await channel.subscribe():
        await publisher.send(1)
        subscriber = await channel.subscribe()
        await publisher.send(2)
        await subscriber.close()
        await publisher.send(3)
        assert [message async for message in subscriber] == [2]


async def test_joining_never_waits() -> None:
    """`connect` and `subscribe` return without suspending while sends wait (CH-2.5)."""
    async with (
        Channel[int](1) as channel,
        await channel.connect() as publisher,
        await channel.subscribe() as subscriber,
    ):
        await publisher.send(1)
        waiting = asyncio.ensure_future(publisher.send(2))
        await asyncio.sleep(0)
        endpoints = []
        for joining in (channel.connect(), channel.subscribe()):
            with pytest.raises(StopIteration) as returned:
                joining.send(None)
            endpoints.append(returned.value.value)
        assert channel.statistics().sends_waiting == 1
        assert await subscriber.read() == 1
        await waiting
        for endpoint in endpoints:
            await endpoint.close()
