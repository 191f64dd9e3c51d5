"""What the targets here have in common: endpoints, the channel's state, and a `put` into each subscriber."""

from enum import Enum
from typing import Any, Self, TypeVar

Endpoint = TypeVar("Endpoint")


class ChannelState(Enum):
    initiation = 1
    open = 2
    closed = 3


class ChannelClosedError(Exception):
    pass


class Closing:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def close(self) -> None:
        raise NotImplementedError


class Subscriber(Closing):
    """A subscriber; subclasses define how it takes messages in, how it reads and how it ends."""

    def __init__(self, channel: "Channel", size: int) -> None:
        self.channel = channel

    async def put(self, data: Any) -> None:
        raise NotImplementedError

    async def read(self) -> Any:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.read()
        except ChannelClosedError:
            raise StopAsyncIteration from None

    async def close(self) -> None:
        if self in self.channel.subscribers:
            self.end()
        await self.channel.leave(self.channel.subscribers, self)


class Publisher(Closing):
    def __init__(self, channel: "Channel") -> None:
        self.channel = channel

    async def send(self, data: Any) -> None:
        if self not in self.channel.publishers:
            raise ChannelClosedError
        for subscriber in list(self.channel.subscribers):
            await subscriber.put(data)

    async def close(self) -> None:
        await self.channel.leave(self.channel.publishers, self)


class Channel(Closing):
    """A channel; subclasses define how a subscriber is made."""

    def __init__(self, buffer_size: int = 0) -> None:
        self.buffer_size, self.state = buffer_size, ChannelState.initiation
        self.subscribers: list[Subscriber] = []
        self.publishers: list[Publisher] = []

    def subscriber(self, size: int) -> Subscriber:
        raise NotImplementedError

    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        return self.join(self.subscribers, self.subscriber(self.buffer_size if buffer_size is None else buffer_size))

    async def connect(self) -> Publisher:
        return self.join(self.publishers, Publisher(self))

    def join(self, endpoints: list[Endpoint], endpoint: Endpoint) -> Endpoint:
        if self.state is ChannelState.closed:
            raise ChannelClosedError
        endpoints.append(endpoint)
        self.state = ChannelState.open if self.subscribers and self.publishers else self.state
        return endpoint

    async def leave(self, endpoints: list[Endpoint], endpoint: Endpoint) -> None:
        if endpoint in endpoints:
            endpoints.remove(endpoint)
            if self.state is ChannelState.open and not endpoints:
                await self.close()

    async def close(self) -> None:
        self.state = ChannelState.closed
        for subscriber in self.subscribers:
            subscriber.end()
        self.subscribers, self.publishers = [], []
