"""Sound channels that are plain ones with other timing."""

import asyncio
from typing import Any, TypeVar

from ..plain import (
    PlainChannel,
    PlainPublisher,
    PlainSubscriber,
    SendTicket,
    Ticket,
    give_back,
    requests_heard,
)

T = TypeVar("T")


class RestlessChannel(PlainChannel[T]):
    """Every change wakes everybody in the line, the last one first. All but one wait again."""

    def _wake_sender(self) -> None:
        for ticket in reversed(self._sends):
            ticket.wake()

    def _wake_reader(self, subscriber: PlainSubscriber[T]) -> None:
        for ticket in reversed(subscriber.reads):
            ticket.wake()


# ---------------------------------------------------------------------------------------------------------- unhurried


class UnhurriedChannel(PlainChannel[T]):
    """Every operation lets other tasks run although it need not: joins and waits before their effect, all after it.

    A cancellation before the effect has nothing to undo. One after the effect is too late: a send or a join that has had
    its effect returns. A close may raise, since it has its effect anyway.
    """

    async def subscribe(self, *, buffer_size: int | None = None) -> PlainSubscriber[T]:
        await asyncio.sleep(0)
        subscriber = await super().subscribe(buffer_size=buffer_size)
        await self._linger()
        return subscriber

    async def connect(self) -> PlainPublisher[T]:
        await asyncio.sleep(0)
        publisher = await super().connect()
        await self._linger()
        return publisher

    async def _wait_to_commit(self, ticket: SendTicket[T]) -> None:
        await asyncio.sleep(0)
        self._require_connected(ticket.publisher)
        await super()._wait_to_commit(ticket)

    async def _send(self, publisher: PlainPublisher[T], message: T) -> None:
        await super()._send(publisher, message)
        await self._linger()

    async def _wait_to_take(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> None:
        await asyncio.sleep(0)
        await super()._wait_to_take(subscriber, ticket)

    async def _read(self, subscriber: PlainSubscriber[T]) -> T:
        message = await super()._read(subscriber)
        await self._linger()
        return message

    async def _close(self, end: Any) -> None:
        await super()._close(end)
        await asyncio.sleep(0)

    async def _linger(self) -> None:
        heard = requests_heard()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            give_back(error, heard)


class LateSendsChannel(UnhurriedChannel[T]):
    """Reads are quick here, and a send returns so late that what it has sent may be read by then."""

    async def _wait_to_take(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> None:
        await PlainChannel._wait_to_take(self, subscriber, ticket)

    async def _read(self, subscriber: PlainSubscriber[T]) -> T:
        return await PlainChannel._read(self, subscriber)

    async def _linger(self) -> None:
        heard = requests_heard()
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            give_back(error, heard)
