"""Defective channels: closing (CH-5)."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from ..plain import (
    ChannelClosedError,
    ChannelState,
    End,
    PlainPublisher,
    PlainSubscriber,
)
from .planting import Channel, Publisher, Subscriber, breaks


@breaks("CH-5.1", "Closing a subscriber again raises, because it is no longer in the list.")
class SecondCloseRaises(Channel):
    def _close_subscriber(self, subscriber: Subscriber) -> None:
        if subscriber.closed:
            raise ValueError("not connected")
        super()._close_subscriber(subscriber)


@breaks("CH-5.1", "Closing the channel again raises `ChannelClosedError`.")
class SecondChannelCloseRaises(Channel):
    async def _close(self, end: End) -> None:
        if end is self:
            self._require_not_closed()
        await super()._close(end)


@breaks(
    "CH-5.1", "A publisher that is closed twice counts twice, so the channel closes while another one is connected."
)
class SecondCloseCountsAgain(Channel):
    _count = 0

    def _joined(self, end: End) -> None:
        self._count += isinstance(end, PlainPublisher)
        super()._joined(end)

    def _close_publisher(self, publisher: Publisher) -> None:
        if not publisher.closed or self._state is ChannelState.open:
            self._count -= 1
        if not publisher.closed:
            self._remove_publisher(publisher)
        self._close_if_deserted()

    def _deserted(self) -> bool:
        return self._count <= 0 or not self._subscribers


@breaks("CH-5.1", "Closing the channel takes effect, but returns only when its subscribers have read everything.")
class ClosingWaitsForReads(Channel):
    _drained: asyncio.Event | None = None

    async def _close(self, end: End) -> None:
        subscribers = list(self._subscribers)
        await super()._close(end)
        while end is self and any(subscriber.backlog for subscriber in subscribers):
            self._drained = asyncio.Event()
            await self._drained.wait()

    def _taken(self, subscriber: Subscriber) -> None:
        super()._taken(subscriber)
        if self._drained:
            self._drained.set()


@breaks("CH-5.1", "Closing a subscriber first lets it read everything that it has, and takes effect only then.")
class ClosingDrainsFirst(ClosingWaitsForReads):
    async def _close(self, end: End) -> None:
        while isinstance(end, PlainSubscriber) and end.backlog and not end.closed:
            self._drained = asyncio.Event()
            await self._drained.wait()
        self._close_now(end)


@breaks("CH-5.1", "The work of closing is left to a task, so it takes effect later.")
class ClosesInATask(Channel):
    async def _close(self, end: End) -> None:
        self._closing = asyncio.get_running_loop().create_task(super()._close(end))


@breaks("CH-5.1", "Closing lets other tasks run before it takes effect, and may be cancelled there.")
class SuspendsBeforeTheClose(Channel):
    async def _close(self, end: End) -> None:
        await asyncio.sleep(0)
        await super()._close(end)


@breaks("CH-5.1", "Closing the channel lets other tasks run between its two halves, and may be cancelled there.")
class ClosesInTwoHalves(Channel):
    async def _close(self, end: End) -> None:
        if end is self:
            self._state = ChannelState.closed
            for publisher in list(self._publishers):
                self._remove_publisher(publisher)
            await asyncio.sleep(0)
        await super()._close(end)


@breaks("CH-5.2", "Closing a publisher fails the waiting sends of every publisher.")
class ClosingFailsTheSendsOfOthers(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in self._sends:
            if not ticket.signal.done():
                ticket.signal.set_exception(ChannelClosedError())


@breaks("CH-5.2", "Closing a publisher leaves its waiting sends asleep until there is room.")
class ClosingLeavesOwnSendsAsleep(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        pass

    def _close_channel(self) -> None:
        super()._close_channel()
        for ticket in self._sends:
            ticket.wake()


@breaks("CH-5.2", "Closing a publisher fails only the first of its waiting sends.")
class ClosingFailsOneOwnSend(ClosingLeavesOwnSendsAsleep):
    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in [ticket for ticket in self._sends if ticket.publisher is publisher][:1]:
            ticket.wake()


class NumbersComeAgain(Channel):
    """Base of the next two: an endpoint is known by how many of its side there were when it joined."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._numbers: WeakKeyDictionary[End, int] = WeakKeyDictionary()

    def _joined(self, end: End) -> None:
        super()._joined(end)
        self._numbers[end] = len(self._publishers if isinstance(end, PlainPublisher) else self._subscribers)


@breaks("CH-5.2", "Closing a publisher also fails the sends of another one with its number.")
class NumbersPublishersAgain(NumbersComeAgain):
    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in self._sends:
            if self._numbers[ticket.publisher] == self._numbers[publisher] and not ticket.signal.done():
                ticket.signal.set_exception(ChannelClosedError())


@breaks("CH-4.1", "Closing a subscriber also ends the reads of another one with its number.")
class NumbersSubscribersAgain(NumbersComeAgain):
    def _end_reads(self, subscriber: Subscriber) -> None:
        super()._end_reads(subscriber)
        for other in self._subscribers:
            if self._numbers[other] == self._numbers[subscriber]:
                for ticket in other.reads:
                    ticket.signal.set_exception(ChannelClosedError())


@breaks("CH-5.3", "Closing a full subscriber wakes no sender, although nothing else held them back.")
class ClosingASubscriberWakesNobody(Channel):
    def _subscriber_gone(self, subscriber: Subscriber) -> None:
        pass


class RemembersItsSubscribers(Channel):
    """Base of the next two: nothing takes a subscriber out of this list."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._remembered: list[Subscriber] = []

    def _joined(self, end: End) -> None:
        super()._joined(end)
        if isinstance(end, PlainSubscriber):
            self._remembered.append(end)


@breaks("CH-5.3", "A full subscriber holds back every send, even after it has closed.")
class ClosedSubscribersHoldBack(RemembersItsSubscribers):
    def _room(self) -> bool:
        return not any(self._full(subscriber) for subscriber in self._remembered)


@breaks("CH-5.3", "A subscriber still receives messages after it has closed.")
class ClosedSubscribersReceive(RemembersItsSubscribers):
    def _commit(self, message: Any) -> None:
        for subscriber in self._remembered:
            self._deliver(subscriber, message)
            self._wake_reader(subscriber)


@breaks("CH-5.4", "The end of `async with` does not close the channel.")
class WithLeavesTheChannelOpen(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if end is self else await super()._exit(end, error)


@breaks("CH-5.4", "The end of `async with` does not close a publisher.")
class WithLeavesThePublisherOpen(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if isinstance(end, PlainPublisher) else await super()._exit(end, error)


@breaks("CH-5.4", "The end of `async with` does not close a subscriber.")
class WithLeavesTheSubscriberOpen(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if isinstance(end, PlainSubscriber) else await super()._exit(end, error)


@breaks("CH-5.4", "`async with` closes at its end, but not if an exception ends it.")
class WithLeavesOpenOnAnException(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if error else await super()._exit(end, error)


@breaks("CH-5.4", "`async with` swallows the exception that ends it.")
class WithSwallowsExceptions(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await super()._exit(end, error)
        return True


@breaks("CH-5.4", "`async with` swallows a `ChannelClosedError` that ends it.")
class WithSwallowsClosedErrors(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await super()._exit(end, error)
        return isinstance(error, ChannelClosedError)


@breaks("CH-5.4", "`async with` replaces the exception that ends it with another one.")
class WithReplacesExceptions(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await super()._exit(end, error)
        if isinstance(error, Exception):
            raise RuntimeError("closed by an exception") from error
        return False
