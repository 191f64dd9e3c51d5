"""A sound channel on one `asyncio.Condition`."""

import asyncio
from typing import Any, Generic, TypeVar

from ..plain import (
    ChannelClosedError,
    ChannelState,
)
from .offering import Closing, Reading, valid_size

T = TypeVar("T")


class ConditionChannel(Closing, Generic[T]):
    """One `asyncio.Condition`: every change notifies all, and each operation checks whether it is first and may go on.

    The condition's lock is never held across an `await`, so acquiring it never waits.
    """

    def __init__(self, buffer_size: int = 0) -> None:
        self.default_size = valid_size(buffer_size)
        self.changed = asyncio.Condition()
        self.state = ChannelState.initiation
        self.publishers: set[ConditionPublisher[T]] = set()
        self.subscribers: set[ConditionSubscriber[T]] = set()
        self.queue: list[object] = []

    async def subscribe(self, *, buffer_size: int | None = None) -> "ConditionSubscriber[T]":
        subscriber = ConditionSubscriber(self, self.default_size if buffer_size is None else valid_size(buffer_size))
        self.join(self.subscribers, subscriber)
        return subscriber

    async def connect(self) -> "ConditionPublisher[T]":
        publisher = ConditionPublisher(self)
        self.join(self.publishers, publisher)
        return publisher

    def join(self, group: "set[Any]", endpoint: object) -> None:
        if self.state is ChannelState.closed:
            raise ChannelClosedError
        group.add(endpoint)
        if self.publishers and self.subscribers:
            self.state = ChannelState.open

    async def close(self) -> None:
        async with self.changed:
            self.end()
            self.changed.notify_all()

    async def leave(self, group: "set[Any]", endpoint: object) -> None:
        async with self.changed:
            group.discard(endpoint)
            if self.state is ChannelState.open and not (self.publishers and self.subscribers):
                self.end()
            self.changed.notify_all()

    def room(self) -> bool:
        return not any(subscriber.full for subscriber in self.subscribers)

    def end(self) -> None:
        self.state = ChannelState.closed
        self.publishers.clear()
        self.subscribers.clear()


class ConditionSubscriber(Reading[T]):
    def __init__(self, channel: ConditionChannel[T], size: int) -> None:
        self.channel = channel
        self.size = size
        self.buffer: list[T] = []
        self.queue: list[object] = []

    async def read(self) -> T:
        changed, ticket = self.channel.changed, object()
        async with changed:
            self.queue.append(ticket)
            try:
                await changed.wait_for(lambda: self.queue[0] is ticket and (self.buffer or self.closed))
                if not self.buffer:
                    raise ChannelClosedError
                return self.buffer.pop(0)
            finally:
                self.queue.remove(ticket)
                changed.notify_all()

    @property
    def closed(self) -> bool:
        return self not in self.channel.subscribers

    @property
    def full(self) -> bool:
        return bool(self.size) and len(self.buffer) == self.size

    async def close(self) -> None:
        await self.channel.leave(self.channel.subscribers, self)


class ConditionPublisher(Closing, Generic[T]):
    def __init__(self, channel: ConditionChannel[T]) -> None:
        self.channel = channel

    async def send(self, message: T) -> None:
        channel, ticket = self.channel, object()
        async with channel.changed:
            channel.queue.append(ticket)
            try:
                await channel.changed.wait_for(lambda: self.closed or (channel.queue[0] is ticket and channel.room()))
                if self.closed:
                    raise ChannelClosedError
                for subscriber in channel.subscribers:
                    subscriber.buffer.append(message)
            finally:
                channel.queue.remove(ticket)
                channel.changed.notify_all()

    @property
    def closed(self) -> bool:
        return self not in self.channel.publishers

    async def close(self) -> None:
        await self.channel.leave(self.channel.publishers, self)


# ------------------------------------------------------------------------------------------------------------ handing
