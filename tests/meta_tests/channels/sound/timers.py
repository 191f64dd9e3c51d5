"""Sound channels: some poll, some have endless timers, some take liberties with the interface."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from ..plain import (
    ChannelClosedError,
    ChannelState,
    PlainChannel,
    PlainPublisher,
    PlainSubscriber,
    SendTicket,
    Ticket,
)

Channel = PlainChannel[Any]
Publisher = PlainPublisher[Any]
Subscriber = PlainSubscriber[Any]


class PollingChannel(Channel):
    """Nobody wakes anybody: waiting operations look again at each turn of the loop."""

    pause: float = 0

    async def _wait_to_commit(self, ticket: SendTicket[Any]) -> None:
        while not self._may_commit(ticket):
            await asyncio.sleep(self.pause)
            self._require_connected(ticket.publisher)

    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        while not self._may_take(subscriber, ticket):  # noqa: ASYNC110
            await asyncio.sleep(self.pause)


class TickingChannel(PollingChannel):
    """Waiting operations look again every ten milliseconds."""

    pause = 0.01


class PatientChannel(Channel):
    """Waiting operations look again after pauses that double, up to a minute."""

    async def _wait_to_commit(self, ticket: SendTicket[Any]) -> None:
        pause = 0.001
        while not self._may_commit(ticket):
            await asyncio.sleep(pause)
            self._require_connected(ticket.publisher)
            pause = min(2 * pause, 60)

    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        pause = 0.001
        while not self._may_take(subscriber, ticket):
            await asyncio.sleep(pause)
            pause = min(2 * pause, 60)


class DistrustfulChannel(Channel):
    """Waiting operations look again when woken, and every five seconds in any case."""

    async def _wait_to_commit(self, ticket: SendTicket[Any]) -> None:
        while not self._may_commit(ticket):
            await self._woken(ticket)
            self._require_connected(ticket.publisher)

    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        while not self._may_take(subscriber, ticket):
            await self._woken(ticket)

    async def _woken(self, ticket: Ticket) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.shield(ticket.signal)
        ticket.signal = asyncio.get_running_loop().create_future()


class HousekeepingChannel(Channel):
    """It has a task that wakes once a minute, for ever, and counts."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._housekeeper: asyncio.Task[None] | None = None
        self._minutes = 0

    async def connect(self) -> Publisher:
        publisher = await super().connect()
        if self._housekeeper is None:
            self._housekeeper = asyncio.ensure_future(self._keep_house())
        return publisher

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(60)
            self._minutes += 1


class BusyChannel(Channel):
    """It has a callback that runs at each turn of the loop, for ever, and does nothing."""

    async def connect(self) -> Publisher:
        publisher = await super().connect()
        self._come_again()
        return publisher

    def _come_again(self) -> None:
        asyncio.get_running_loop().call_soon(self._come_again)


class LeftBehindError(ChannelClosedError):
    """An error whose constructor takes a channel and its user, and nothing else."""

    def __init__(self, channel: Channel, user: object, /) -> None:
        super().__init__(f"{user!r} of {channel!r}")


class OwnErrorChannel(Channel):
    """Its error can't be made without the objects that it is about."""

    def _require_not_closed(self) -> None:
        if self._state is ChannelState.closed:
            raise LeftBehindError(self, None)

    def _require_connected(self, publisher: Publisher) -> None:
        if publisher.closed:
            raise LeftBehindError(self, publisher)

    def _take(self, subscriber: Subscriber) -> Any:
        if not subscriber.backlog:
            raise LeftBehindError(self, subscriber)
        return super()._take(subscriber)


class GeneratingSubscriber(Subscriber):
    async def __aiter__(self) -> AsyncIterator[Any]:  # type: ignore[override]
        while True:
            try:
                message = await self.channel._read(self)
            except ChannelClosedError:
                return
            yield message

    __anext__: Any = None


class GeneratingChannel(Channel):
    """Its subscribers are not iterators: each `async for` makes an asynchronous generator."""

    def _add_subscriber(self, size: int) -> Subscriber:
        subscriber: Subscriber = GeneratingSubscriber(self, size)
        self._subscribers.append(subscriber)
        self._joined(subscriber)
        return subscriber
