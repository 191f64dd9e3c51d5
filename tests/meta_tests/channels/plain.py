"""A sound channel for one event loop, written to be broken: each step is a small method that a subclass can get wrong.

An operation that may wait takes a ticket in a line, and keeps it until it ends. A wake-up promises nothing: the woken
operation checks for itself whether it may go on, and does its own work in the same step. So nobody ever does anything for
an operation that is cancelled before it runs.

Two invariants hold whenever a step has ended:
 1. If the first ticket of a line may go on, it has been woken or cancelled, and has yet to run.
 2. Whoever leaves a line, for whatever reason, wakes the ticket that is then first, if it may go on.
"""

import asyncio
from collections import deque
from enum import IntEnum
from types import TracebackType
from typing import Any, Generic, NamedTuple, Self, TypeVar

__all__ = [
    "ChannelClosedError",
    "ChannelState",
    "PlainChannel",
    "PlainPublisher",
    "PlainSubscriber",
    "SendTicket",
    "Target",
    "Ticket",
    "give_back",
    "requests_heard",
]

T = TypeVar("T")


class ChannelState(IntEnum):
    initiation = 1
    open = 2
    closed = 3


class ChannelClosedError(Exception):
    """The channel, or the endpoint in use, is closed."""


class Target(NamedTuple):
    """What the suite gets: a channel, under the names that the suite expects."""

    Channel: type[Any]
    ChannelState: type[Any] = ChannelState
    ChannelClosedError: type[Exception] = ChannelClosedError


def requests_heard() -> int:
    """The number of requests to cancel that the running task has been told of. Call this when it is about to suspend."""
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


def give_back(error: asyncio.CancelledError, heard: int) -> None:
    """Repeat a request to cancel at the running task's next suspension, unless it has been withdrawn by then.

    Args:
        heard: the number of requests that the task had been told of before. One that an earlier operation has given back may
            be among them, so `error` is the last one at the latest.
    """
    task = asyncio.current_task()
    assert task is not None
    heard = min(heard, task.cancelling() - 1)

    def ask_again() -> None:
        if task.cancelling() > heard and task.cancel(*error.args):
            task.uncancel()  # `cancel` has counted the request once more

    asyncio.get_running_loop().call_soon(ask_again)


class Ticket:
    """The position of one operation in a line."""

    def __init__(self) -> None:
        self.signal: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake(self) -> None:
        if not self.signal.done():
            self.signal.set_result(None)

    async def woken(self) -> None:
        await self.signal
        self.signal = asyncio.get_running_loop().create_future()


class SendTicket(Ticket, Generic[T]):
    def __init__(self, publisher: "PlainPublisher[T]", message: T) -> None:
        super().__init__()
        self.publisher = publisher
        self.message = message


class End:
    """A channel, a publisher or a subscriber: anything that `async with` closes. Its channel does the work."""

    channel: "PlainChannel[Any]"

    async def close(self) -> None:
        await self.channel._close(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        return await self.channel._exit(self, error)


class PlainSubscriber(End, Generic[T]):
    def __init__(self, channel: "PlainChannel[T]", size: int) -> None:
        self.channel = channel
        self.size = size
        self.backlog: deque[T] = deque()
        self.reads: list[Ticket] = []
        self.closed = False

    async def read(self) -> T:
        message: T = await self.channel._read(self)
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        message: T = await self.channel._next(self)
        return message


class PlainPublisher(End, Generic[T]):
    def __init__(self, channel: "PlainChannel[T]") -> None:
        self.channel = channel
        self.closed = False

    async def send(self, message: T) -> None:
        await self.channel._send(self, message)


class PlainChannel(End, Generic[T]):
    def __init__(self, buffer_size: int = 0) -> None:
        self.channel = self
        self._default = self._checked(buffer_size)
        self._state = ChannelState.initiation
        self._subscribers: list[PlainSubscriber[T]] = []
        self._publishers: list[PlainPublisher[T]] = []
        self._sends: list[SendTicket[T]] = []

    @property
    def state(self) -> ChannelState:
        return self._state

    # Joining

    async def subscribe(self, *, buffer_size: int | None = None) -> PlainSubscriber[T]:
        size = self._size(buffer_size)
        self._require_not_closed()
        return self._add_subscriber(size)

    async def connect(self) -> PlainPublisher[T]:
        self._require_not_closed()
        return self._add_publisher()

    def _size(self, buffer_size: int | None) -> int:
        return self._default if buffer_size is None else self._checked(buffer_size)

    def _checked(self, buffer_size: int) -> int:
        if isinstance(buffer_size, bool) or not isinstance(buffer_size, int):
            raise TypeError(f"buffer_size must be an int, not {buffer_size!r}")
        if buffer_size < 0:
            raise ValueError(f"buffer_size must not be negative: {buffer_size}")
        return buffer_size

    def _require_not_closed(self) -> None:
        if self._state is ChannelState.closed:
            raise ChannelClosedError("the channel is closed")

    def _add_subscriber(self, size: int) -> PlainSubscriber[T]:
        subscriber = PlainSubscriber(self, size)
        self._subscribers.append(subscriber)
        self._joined(subscriber)
        return subscriber

    def _add_publisher(self) -> PlainPublisher[T]:
        publisher = PlainPublisher(self)
        self._publishers.append(publisher)
        self._joined(publisher)
        return publisher

    def _joined(self, end: End) -> None:
        if self._state is ChannelState.initiation and self._complete():
            self._state = ChannelState.open

    def _complete(self) -> bool:
        return bool(self._subscribers and self._publishers)

    # Sending

    async def _send(self, publisher: PlainPublisher[T], message: T) -> None:
        self._require_connected(publisher)
        ticket = SendTicket(publisher, message)
        self._sends.append(ticket)
        try:
            await self._wait_to_commit(ticket)
        except asyncio.CancelledError:
            self._sender_cancelled(ticket)
            raise
        except BaseException:
            self._sender_left(ticket)
            raise
        self._commit(message)
        self._sender_done(ticket)

    def _require_connected(self, publisher: PlainPublisher[T]) -> None:
        if publisher.closed:
            raise ChannelClosedError("the publisher is closed")

    async def _wait_to_commit(self, ticket: SendTicket[T]) -> None:
        while not self._may_commit(ticket):
            await ticket.woken()
            self._require_connected(ticket.publisher)

    def _may_commit(self, ticket: SendTicket[T]) -> bool:
        return ticket is self._first_send() and self._room()

    def _first_send(self) -> SendTicket[T]:
        return self._sends[0]

    def _room(self) -> bool:
        return not any(self._full(subscriber) for subscriber in self._subscribers)

    def _full(self, subscriber: PlainSubscriber[T]) -> bool:
        return subscriber.size > 0 and len(subscriber.backlog) >= subscriber.size

    def _commit(self, message: T) -> None:
        for subscriber in self._subscribers:
            self._deliver(subscriber, message)
            self._wake_reader(subscriber)

    def _deliver(self, subscriber: PlainSubscriber[T], message: T) -> None:
        subscriber.backlog.append(message)

    def _wake_sender(self) -> None:
        if self._sends and self._room():
            self._first_send().wake()

    def _sender_left(self, ticket: SendTicket[T]) -> None:
        self._sends.remove(ticket)
        self._wake_sender()

    def _sender_done(self, ticket: SendTicket[T]) -> None:
        self._sender_left(ticket)

    def _sender_cancelled(self, ticket: SendTicket[T]) -> None:
        self._sender_left(ticket)

    # Reading

    async def _read(self, subscriber: PlainSubscriber[T]) -> T:
        ticket = Ticket()
        subscriber.reads.append(ticket)
        try:
            await self._wait_to_take(subscriber, ticket)
        except asyncio.CancelledError:
            self._reader_cancelled(subscriber, ticket)
            raise
        except BaseException:
            self._reader_left(subscriber, ticket)
            raise
        try:
            return self._take(subscriber)
        finally:
            self._reader_done(subscriber, ticket)

    async def _next(self, subscriber: PlainSubscriber[T]) -> T:
        try:
            return await self._read(subscriber)
        except ChannelClosedError:
            raise StopAsyncIteration from None

    async def _wait_to_take(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> None:
        while not self._may_take(subscriber, ticket):
            await ticket.woken()

    def _may_take(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> bool:
        return ticket is self._first_read(subscriber) and self._readable(subscriber)

    def _first_read(self, subscriber: PlainSubscriber[T]) -> Ticket:
        return subscriber.reads[0]

    def _readable(self, subscriber: PlainSubscriber[T]) -> bool:
        return bool(subscriber.backlog) or subscriber.closed

    def _take(self, subscriber: PlainSubscriber[T]) -> T:
        if not subscriber.backlog:
            raise ChannelClosedError("the subscriber is closed, and nothing is left to read")
        message = self._oldest(subscriber)
        self._taken(subscriber)
        return message

    def _oldest(self, subscriber: PlainSubscriber[T]) -> T:
        return subscriber.backlog.popleft()

    def _taken(self, subscriber: PlainSubscriber[T]) -> None:
        self._wake_sender()

    def _wake_reader(self, subscriber: PlainSubscriber[T]) -> None:
        if subscriber.reads and self._readable(subscriber):
            self._first_read(subscriber).wake()

    def _reader_left(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> None:
        subscriber.reads.remove(ticket)
        self._wake_reader(subscriber)

    def _reader_done(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> None:
        self._reader_left(subscriber, ticket)

    def _reader_cancelled(self, subscriber: PlainSubscriber[T], ticket: Ticket) -> None:
        self._reader_left(subscriber, ticket)

    # Closing

    async def _close(self, end: End) -> None:
        self._close_now(end)

    def _close_now(self, end: End) -> None:
        if isinstance(end, PlainSubscriber):
            self._close_subscriber(end)
        elif isinstance(end, PlainPublisher):
            self._close_publisher(end)
        else:
            self._close_channel()

    def _close_subscriber(self, subscriber: PlainSubscriber[T]) -> None:
        if not subscriber.closed:
            self._remove_subscriber(subscriber)
            self._close_if_deserted()
            self._subscriber_gone(subscriber)

    def _close_publisher(self, publisher: PlainPublisher[T]) -> None:
        if not publisher.closed:
            self._remove_publisher(publisher)
            self._close_if_deserted()

    def _close_if_deserted(self) -> None:
        if self._state is ChannelState.open and self._deserted():
            self._close_channel()

    def _deserted(self) -> bool:
        return not self._complete()

    def _close_channel(self) -> None:
        self._state = ChannelState.closed
        for publisher in list(self._publishers):
            self._remove_publisher(publisher)
        for subscriber in list(self._subscribers):
            self._remove_subscriber(subscriber)

    def _remove_subscriber(self, subscriber: PlainSubscriber[T]) -> None:
        subscriber.closed = True
        self._subscribers.remove(subscriber)
        self._end_reads(subscriber)

    def _remove_publisher(self, publisher: PlainPublisher[T]) -> None:
        publisher.closed = True
        self._publishers.remove(publisher)
        self._fail_sends(publisher)

    def _end_reads(self, subscriber: PlainSubscriber[T]) -> None:
        for ticket in subscriber.reads:
            ticket.wake()

    def _fail_sends(self, publisher: PlainPublisher[T]) -> None:
        for ticket in self._sends:
            if ticket.publisher is publisher:
                ticket.wake()

    def _subscriber_gone(self, subscriber: PlainSubscriber[T]) -> None:
        self._wake_sender()

    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await end.close()
        return False
