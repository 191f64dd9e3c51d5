"""Named checks of two channels at a time: they have nothing in common."""

import asyncio
from typing import Any

from ..target import Target
from .check import makes_no_difference, state_of, turn

TURNS = 10  # of the loop: time for what goes on at once


async def _ends(target: Target, size: int) -> tuple[Any, Any, Any]:
    """A channel, its publisher and its subscriber."""
    channel = target.channel(size)
    return channel, await channel.connect(), await channel.subscribe()


async def _opening(target: Target, beside: bool) -> str:
    other = await target.channel(0).subscribe() if beside else None
    channel = target.channel(0)
    publisher = await channel.connect()
    state = state_of(target, channel)
    assert [publisher, other]  # until here: an endpoint to which nothing refers is closed
    return f"with its publisher alone the channel is {state}"


async def _size(target: Target, beside: bool) -> str:
    channel = target.channel(1)
    other = await _ends(target, 3) if beside else ()
    publisher, subscriber = await channel.connect(), await channel.subscribe()
    sends = [asyncio.ensure_future(publisher.send(message)) for message in range(3)]
    await turn(TURNS)
    returned = sum(send.done() for send in sends)
    await channel.close()
    await asyncio.gather(*sends, return_exceptions=True)
    assert [subscriber, other]  # until here
    return f"on a Channel(1), {returned} of 3 sends return"


async def _messages(target: Target, beside: bool) -> str:
    channel, publisher, subscriber = await _ends(target, 1)
    under_way = [asyncio.ensure_future(publisher.send(message)) for message in ("first", "second")]
    read: list[object] = []
    if beside:
        other_channel, other, its_subscriber = await _ends(target, 1)
        reading = asyncio.ensure_future(its_subscriber.read())
        await asyncio.sleep(0)
        under_way += [reading, asyncio.ensure_future(other.send("of the other channel"))]
        await turn(TURNS)
        read = [reading.result()] if reading.done() and not reading.exception() else []
        under_way.append(asyncio.ensure_future(other_channel.close()))
    under_way.append(asyncio.ensure_future(channel.close()))
    await turn(TURNS)
    assert [subscriber, *under_way]  # until here
    return f"the other channel's subscriber reads {[message for message in read if message in ('first', 'second')]}"


async def _closing(target: Target, beside: bool) -> str:
    channel, publisher, subscriber = await _ends(target, 0)
    closing: list[asyncio.Future[object]] = []
    if beside:
        other, other_publisher, _ = await _ends(target, 0)
        closing += [asyncio.ensure_future(each.close()) for each in (other_publisher, other)]
    await turn(TURNS)
    state = state_of(target, channel)
    assert [publisher, subscriber, *closing]  # until here
    return f"the channel is {state}"


CHECKS = (
    makes_no_difference("CH-1.2", "another channel beside it is joined", _opening),
    makes_no_difference("CH-1.3b", "another channel beside it closes", _closing),
    makes_no_difference("CH-2.2a", "another channel beside it has another size", _size),
    makes_no_difference("CH-2.4b", "another channel beside it is sent a message", _messages),
)
