"""A broadcast channel as people build one today: one `asyncio.Queue` per subscriber, and a `put` into each."""

import asyncio
from typing import Any

import membership
from membership import ChannelClosedError, ChannelState

__all__ = ["Channel", "ChannelClosedError", "ChannelState"]


class Channel(membership.Channel):
    def subscriber(self, size: int) -> "Subscriber":
        return Subscriber(self, size)


class Subscriber(membership.Subscriber):
    def __init__(self, channel: Channel, size: int) -> None:
        super().__init__(channel, size)
        self.queue, self.ended = asyncio.Queue[Any](size), asyncio.Event()

    async def put(self, data: Any) -> None:
        await self.queue.put(data)

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
