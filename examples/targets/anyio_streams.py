"""A broadcast channel made of anyio memory object streams: one pair per subscriber, and a `send` into each."""

import math
from typing import Any

import anyio
import membership
from membership import ChannelClosedError, ChannelState

__all__ = ["Channel", "ChannelClosedError", "ChannelState"]


class Channel(membership.Channel):
    def subscriber(self, size: int) -> "Subscriber":
        return Subscriber(self, size)


class Subscriber(membership.Subscriber):
    def __init__(self, channel: Channel, size: int) -> None:
        super().__init__(channel, size)
        self.into, self.out = anyio.create_memory_object_stream[Any](size or math.inf)

    async def put(self, data: Any) -> None:
        try:
            await self.into.send(data)
        except (anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise ChannelClosedError from None

    async def read(self) -> Any:
        try:
            return await self.out.receive()
        except anyio.EndOfStream:
            raise ChannelClosedError from None

    def end(self) -> None:
        self.into.close()
