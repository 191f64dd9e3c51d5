"""What the targets beside have in common: who is connected, and what state that makes."""

from enum import Enum
from typing import Any, Self


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


class Reading(Closing):
    async def read(self) -> Any:
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self.read()
        except ChannelClosedError:
            raise StopAsyncIteration from None


class Channel(Closing):
    """A channel whose endpoints are made by subclasses."""

    def __init__(self, buffer_size: int = 0) -> None:
        self.buffer_size, self.state = buffer_size, ChannelState.initiation
        self.subscribers: list[Any] = []
        self.publishers: list[Any] = []

    def join(self, endpoints: list[Any], endpoint: Any) -> Any:
        if self.state is ChannelState.closed:
            raise ChannelClosedError
        endpoints.append(endpoint)
        self.state = ChannelState.open if self.subscribers and self.publishers else self.state
        return endpoint

    async def leave(self, endpoints: list[Any], endpoint: Any) -> None:
        if endpoint in endpoints:
            endpoints.remove(endpoint)
            endpoint.end()
            if self.state is ChannelState.open and not endpoints:
                await self.close()

    async def close(self) -> None:
        self.state = ChannelState.closed
        for subscriber in self.subscribers:
            subscriber.end()
        self.subscribers, self.publishers = [], []
