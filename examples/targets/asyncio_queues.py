"""A broadcast channel as people build one today: an `asyncio.Queue` a subscriber, and a `put` into each."""

import asyncio
from typing import Any

from membership import Channel as _Channel
from membership import ChannelClosedError, ChannelState, Closing, Reading

__all__ = ["Channel", "ChannelClosedError", "ChannelState"]


class Channel(_Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> "Subscriber":
        return self.join(self.subscribers, Subscriber(self, self.buffer_size if buffer_size is None else buffer_size))

    async def connect(self) -> "Publisher":
        return self.join(self.publishers, Publisher(self))


class Subscriber(Reading):
    def __init__(self, channel: Channel, size: int) -> None:
        self.channel, self.queue, self.ended = channel, asyncio.Queue[Any](size), asyncio.Event()

    async def read(self) -> Any:
        getting, ending = asyncio.ensure_future(self.queue.get()), asyncio.ensure_future(self.ended.wait())
        await asyncio.wait([getting, ending], return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        if not getting.done():
            getting.cancel()
            raise ChannelClosedError
        return getting.result()

    def end(self) -> None:
        self.ended.set()

    async def close(self) -> None:
        await self.channel.leave(self.channel.subscribers, self)


class Publisher(Closing):
    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def send(self, data: Any) -> None:
        if self not in self.channel.publishers:
            raise ChannelClosedError
        for subscriber in list(self.channel.subscribers):
            await subscriber.queue.put(data)

    def end(self) -> None:
        pass

    async def close(self) -> None:
        await self.channel.leave(self.channel.publishers, self)
