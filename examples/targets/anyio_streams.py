"""A broadcast channel made of anyio memory object streams: a pair of them a subscriber, and a `send` into each."""

import math
from typing import Any

import anyio
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
        self.channel = channel
        self.into, self.out = anyio.create_memory_object_stream[Any](size or math.inf)

    async def read(self) -> Any:
        try:
            return await self.out.receive()
        except anyio.EndOfStream:
            raise ChannelClosedError from None

    def end(self) -> None:
        self.into.close()

    async def close(self) -> None:
        await self.channel.leave(self.channel.subscribers, self)


class Publisher(Closing):
    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def send(self, data: Any) -> None:
        if self not in self.channel.publishers:
            raise ChannelClosedError
        for subscriber in list(self.channel.subscribers):
            try:
                await subscriber.into.send(data)
            except (anyio.ClosedResourceError, anyio.BrokenResourceError):
                raise ChannelClosedError from None

    def end(self) -> None:
        pass

    async def close(self) -> None:
        await self.channel.leave(self.channel.publishers, self)
