"""Defective channels: joining, and the sizes of buffers (CH-2)."""

import asyncio
from typing import Any

from ..plain import (
    ChannelClosedError,
    ChannelState,
    PlainChannel,
    PlainPublisher,
    PlainSubscriber,
)
from .planting import Channel, Publisher, Subscriber, breaks


@breaks("CH-2.1", "`subscribe` on a closed channel returns a subscriber that is closed.")
class SubscribesWhenClosed(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        try:
            return await super().subscribe(buffer_size=buffer_size)
        except ChannelClosedError:
            subscriber: Subscriber = PlainSubscriber(self, 0)
            subscriber.closed = True
            return subscriber


@breaks("CH-2.1", "`connect` on a closed channel returns a publisher that is closed.")
class ConnectsWhenClosed(Channel):
    async def connect(self) -> Publisher:
        try:
            return await super().connect()
        except ChannelClosedError:
            publisher: Publisher = PlainPublisher(self)
            publisher.closed = True
            return publisher


@breaks(
    "CH-2.1", "Nothing keeps endpoints from joining a closed channel, where they wait for messages that can't come."
)
class JoinsWhatIsClosed(Channel):
    def _require_not_closed(self) -> None:
        pass


@breaks("CH-2.1", "Joining a closed channel raises `RuntimeError`.")
class RefusesWithAnotherError(Channel):
    def _require_not_closed(self) -> None:
        if self._state is ChannelState.closed:
            raise RuntimeError("the channel is closed")


@breaks("CH-2.1", "A join of a closed channel is registered before it is refused, and stays registered.")
class RegistersTheRefused(Channel):
    async def connect(self) -> Publisher:
        publisher = self._add_publisher()
        self._require_not_closed()
        return publisher


@breaks("CH-2.1", "`connect` checks, lets other tasks run, and registers on a channel that has closed meanwhile.")
class ChecksLongBeforeItRegisters(Channel):
    async def connect(self) -> Publisher:
        self._require_not_closed()
        await asyncio.sleep(0)
        return self._add_publisher()


@breaks("CH-2.2", "`buffer_size or default` mistakes an explicit 0 for no value.")
class ZeroIsTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return super()._size(buffer_size) or self._default


@breaks("CH-2.2", "A subscriber's own size is checked, and then ignored.")
class IgnoresTheOwnSize(Channel):
    def _size(self, buffer_size: int | None) -> int:
        super()._size(buffer_size)
        return self._default


@breaks("CH-2.2", "The channel's default size is ignored: a subscriber without its own size is unbounded.")
class IgnoresTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return 0 if buffer_size is None else super()._size(buffer_size)


@breaks("CH-2.2", "A subscriber's own size becomes the channel's default.")
class OwnSizeBecomesTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        self._default = super()._size(buffer_size)
        return self._default


@breaks("CH-2.3", "True and False are accepted as sizes, because they are ints.")
class AcceptsBools(Channel):
    def _checked(self, buffer_size: int) -> int:
        return super()._checked(int(buffer_size) if isinstance(buffer_size, bool) else buffer_size)


@breaks("CH-2.3", "A float is accepted as a size.")
class AcceptsFloats(Channel):
    def _checked(self, buffer_size: int) -> int:
        return super()._checked(int(buffer_size) if isinstance(buffer_size, float) else buffer_size)


@breaks("CH-2.3", "None is accepted as the channel's size.")
class AcceptsNoneInTheConstructor(Channel):
    def __init__(self, buffer_size: int | None = None) -> None:
        super().__init__(0 if buffer_size is None else buffer_size)


@breaks("CH-2.3", "The constructor accepts a negative size as unbounded.")
class AcceptsANegativeDefault(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(0 if type(buffer_size) is int and buffer_size < 0 else buffer_size)


@breaks("CH-2.3", "`subscribe` accepts a negative size as unbounded.")
class AcceptsANegativeOwnSize(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return 0 if type(buffer_size) is int and buffer_size < 0 else super()._size(buffer_size)


@breaks("CH-2.3", "A size of the wrong type raises `ValueError`.")
class RefusesTypesWithValueError(Channel):
    def _checked(self, buffer_size: int) -> int:
        try:
            return super()._checked(buffer_size)
        except TypeError as error:
            raise ValueError(*error.args) from error


@breaks("CH-2.3", "A subscriber is registered before its size is found to be invalid, and stays.")
class RegistersBeforeItChecks(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        self._require_not_closed()
        subscriber = self._add_subscriber(0)
        subscriber.size = self._size(buffer_size)
        return subscriber


@breaks("CH-2.3", "A subscriber of an invalid size joins, and closes before the error is raised.")
class ClosesTheRefused(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        subscriber = await super().subscribe()
        try:
            subscriber.size = self._size(buffer_size)
        except BaseException:
            await subscriber.close()
            raise
        return subscriber


@breaks("CH-2.4", "A new subscriber begins with the last message that was sent before it joined.")
class ReplaysTheLast(Channel):
    _replayed = 1

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._log: list[Any] = []

    def _commit(self, message: Any) -> None:
        super()._commit(message)
        if self._subscribers:
            self._log.append(message)

    def _add_subscriber(self, size: int) -> Subscriber:
        subscriber = super()._add_subscriber(size)
        log = self._log[-self._replayed :]
        subscriber.backlog.extend(log[-size:] if size else log)
        return subscriber


@breaks("CH-2.4", "A new subscriber begins with the messages sent before it joined, as many as its size allows.")
class ReplaysAll(ReplaysTheLast):
    _replayed = 0


@breaks("CH-2.4", "A subscriber misses the first message after its joining.")
class MissesTheFirst(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._attentive: set[Subscriber] = set()

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if subscriber in self._attentive:
            super()._deliver(subscriber, message)
        self._attentive.add(subscriber)


@breaks("CH-2.4", "A subscriber receives messages only from its first read on.")
class ReceivesFromTheFirstRead(MissesTheFirst):
    async def _read(self, subscriber: Subscriber) -> Any:
        self._attentive.add(subscriber)
        return await super()._read(subscriber)

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if subscriber in self._attentive:
            subscriber.backlog.append(message)


@breaks(
    "CH-2.4", "A send lists its subscribers when it is called, so a subscriber that joins while it waits is left out."
)
class FixesTheReceiversAtTheCall(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        await super()._send(publisher, (list(self._subscribers), message))

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        receivers, data = message
        if subscriber in receivers:
            super()._deliver(subscriber, data)


@breaks("CH-2.4", "A message that equals the one before it is mistaken for a copy, and dropped.")
class DropsEqualMessages(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if not subscriber.backlog or subscriber.backlog[-1] != message:
            super()._deliver(subscriber, message)


@breaks("CH-2.4", "A message that is false, such as 0 or an empty string, is mistaken for no message.")
class DropsFalseMessages(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if message:
            super()._deliver(subscriber, message)


@breaks("CH-2.5", "`subscribe` waits while a subscriber is full.")
class SubscribingWaitsForRoom(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        size = self._size(buffer_size)
        while not self._room():
            self._wakers.append(asyncio.get_running_loop().create_future())
            await self._wakers[-1]
        self._require_not_closed()
        return self._add_subscriber(size)

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._wakers: list[asyncio.Future[None]] = []

    def _wake_sender(self) -> None:
        super()._wake_sender()
        if self._room():
            for waker in self._wakers:
                if not waker.done():
                    waker.set_result(None)
            self._wakers.clear()


@breaks("CH-2.5", "`connect` takes the lock that a send holds while it waits for room.")
class ConnectingWaitsForSends(SubscribingWaitsForRoom):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        return await PlainChannel.subscribe(self, buffer_size=buffer_size)

    async def connect(self) -> Publisher:
        while self._sends and not self._room():
            self._wakers.append(asyncio.get_running_loop().create_future())
            await self._wakers[-1]
        return await super().connect()


@breaks("CH-2.6", "A subscriber is registered before other tasks run; if it is cancelled there it stays.")
class CancelledSubscribersStay(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        subscriber = await super().subscribe(buffer_size=buffer_size)
        await asyncio.sleep(0)
        return subscriber


@breaks("CH-2.6", "A publisher is registered before other tasks run; if it is cancelled there it stays.")
class CancelledPublishersStay(Channel):
    async def connect(self) -> Publisher:
        publisher = await super().connect()
        await asyncio.sleep(0)
        return publisher


@breaks("CH-2.6", "A cancelled subscriber is still registered, by a separate task that goes on.")
class SubscribesInATask(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        self._size(buffer_size)
        return await asyncio.shield(asyncio.ensure_future(super().subscribe(buffer_size=buffer_size)))
