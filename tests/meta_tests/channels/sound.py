"""Sound channels that have little in common but the rules. A suite that depends on more than the rules refuses one.

Each docstring says how the channel differs. `SOUND` lists them all, and `channels.sound:<name>` is a target for the command.
"""

import asyncio
from collections import deque
from enum import Enum
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from .plain import (
    ChannelClosedError,
    ChannelState,
    PlainChannel,
    PlainPublisher,
    PlainSubscriber,
    SendTicket,
    Target,
    Ticket,
    give_back,
)

__all__ = ["SOUND"]

T = TypeVar("T")


def _valid(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int):
        raise TypeError("a buffer size is an int")
    if size < 0:
        raise ValueError("a buffer size is 0 or more")
    return size


class Closing:
    """The `async with` of everything that has a `close()`."""

    async def close(self) -> None:
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class Reading(Closing, Generic[T]):
    """The `async for` of everything that has a `read()`."""

    closed_error: type[Exception] = ChannelClosedError

    async def read(self) -> T:
        raise NotImplementedError

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.read()
        except self.closed_error:
            raise StopAsyncIteration from None


# ----------------------------------------------------------------------------------------------------------- restless


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
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError as error:
            give_back(error)


# ---------------------------------------------------------------------------------------------------------- condition


class ConditionChannel(Closing, Generic[T]):
    """One `asyncio.Condition`: every change notifies all, and each operation checks whether it is first and may go on.

    The condition's lock is never held across an `await`, so acquiring it never waits.
    """

    def __init__(self, buffer_size: int = 0) -> None:
        self.default_size = _valid(buffer_size)
        self.changed = asyncio.Condition()
        self.state = ChannelState.initiation
        self.publishers: set[ConditionPublisher[T]] = set()
        self.subscribers: set[ConditionSubscriber[T]] = set()
        self.queue: list[object] = []

    async def subscribe(self, *, buffer_size: int | None = None) -> "ConditionSubscriber[T]":
        subscriber = ConditionSubscriber(self, self.default_size if buffer_size is None else _valid(buffer_size))
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


class HandingChannel(Closing, Generic[T]):
    """Futures carry the outcome: a message for the first read, permission to commit for the first send, or the error.

    Each line has at most one hand-over in progress, and waits for it. Until the reader has run, the message that it was
    handed counts as buffered. A cancelled reader puts it back in front.
    """

    def __init__(self, buffer_size: int = 0) -> None:
        self._size = _valid(buffer_size)
        self._phase = ChannelState.initiation
        self._senders: dict[HandingPublisher[T], None] = {}
        self._receivers: dict[HandingSubscriber[T], None] = {}
        self._turns: deque[tuple[HandingPublisher[T], asyncio.Future[None]]] = deque()

    @property
    def state(self) -> ChannelState:
        return self._phase

    async def subscribe(self, *, buffer_size: int | None = None) -> "HandingSubscriber[T]":
        size = self._size if buffer_size is None else _valid(buffer_size)
        if self._phase is ChannelState.closed:
            raise ChannelClosedError
        subscriber = HandingSubscriber(self, size)
        self._receivers[subscriber] = None
        self._meet()
        return subscriber

    async def connect(self) -> "HandingPublisher[T]":
        if self._phase is ChannelState.closed:
            raise ChannelClosedError
        publisher = HandingPublisher(self)
        self._senders[publisher] = None
        self._meet()
        return publisher

    def _meet(self) -> None:
        if self._senders and self._receivers:
            self._phase = ChannelState.open

    async def close(self) -> None:
        self._shut()

    def _part(self) -> None:
        if self._phase is ChannelState.open and not (self._senders and self._receivers):
            self._shut()
        self._give_turn()

    def _shut(self) -> None:
        self._phase = ChannelState.closed
        for publisher in list(self._senders):
            self._drop_publisher(publisher)
        for subscriber in list(self._receivers):
            self._drop_subscriber(subscriber)

    def _drop_publisher(self, publisher: "HandingPublisher[T]") -> None:
        del self._senders[publisher]
        for turn in [turn for turn in self._turns if turn[0] is publisher]:
            self._turns.remove(turn)
            _fail(turn[1])

    def _drop_subscriber(self, subscriber: "HandingSubscriber[T]") -> None:
        del self._receivers[subscriber]
        subscriber._give_up()

    def _held_back(self) -> bool:
        return any(0 < subscriber._size <= subscriber._count() for subscriber in self._receivers)

    def _give_turn(self) -> None:
        if self._turns and not self._held_back() and not self._turns[0][1].done():
            self._turns[0][1].set_result(None)


class HandingSubscriber(Reading[T]):
    def __init__(self, channel: HandingChannel[T], size: int) -> None:
        self._channel = channel
        self._size = size
        self._stock: deque[T] = deque()
        self._line: deque[asyncio.Future[T]] = deque()
        self._in_hand: asyncio.Future[T] | None = None

    def _connected(self) -> bool:
        return self in self._channel._receivers

    def _count(self) -> int:
        return len(self._stock) + (self._in_hand is not None)

    def _hand_over(self) -> None:
        while self._in_hand is None and self._line:
            future = self._line[0]
            if future.done():
                self._line.popleft()
            elif self._stock:
                self._in_hand = self._line.popleft()
                future.set_result(self._stock.popleft())
            elif self._connected():
                break
            else:
                _fail(self._line.popleft())

    def _give_up(self) -> None:
        waiting = [future for future in self._line if not future.done()]
        for future in waiting[len(self._stock) :]:
            self._line.remove(future)
            _fail(future)
        self._hand_over()

    async def read(self) -> T:
        if self._in_hand is None and not self._line:
            if self._stock:
                return self._received(self._stock.popleft())
            if not self._connected():
                raise ChannelClosedError
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._line.append(future)
        try:
            message = await future
        except BaseException:
            if self._in_hand is future:
                self._in_hand = None
                self._stock.appendleft(future.result())
            self._hand_over()
            raise
        self._in_hand = None
        self._hand_over()
        return self._received(message)

    def _received(self, message: T) -> T:
        self._channel._give_turn()
        return message

    async def close(self) -> None:
        if self._connected():
            self._channel._drop_subscriber(self)
            self._channel._part()


class HandingPublisher(Closing, Generic[T]):
    def __init__(self, channel: HandingChannel[T]) -> None:
        self._channel = channel

    async def send(self, message: T) -> None:
        channel = self._channel
        if self not in channel._senders:
            raise ChannelClosedError
        if channel._turns or channel._held_back():
            await self._turn()
        for subscriber in channel._receivers:
            subscriber._stock.append(message)
            subscriber._hand_over()
        channel._give_turn()

    async def _turn(self) -> None:
        turns = self._channel._turns
        turn = (self, asyncio.get_running_loop().create_future())
        turns.append(turn)
        try:
            await turn[1]
            if self not in self._channel._senders:
                raise ChannelClosedError
            turns.remove(turn)
        except BaseException:
            if turn in turns:
                turns.remove(turn)
            self._channel._give_turn()
            raise

    async def close(self) -> None:
        if self in self._channel._senders:
            self._channel._drop_publisher(self)
            self._channel._part()


def _fail(future: "asyncio.Future[Any]") -> None:
    if not future.done():
        future.set_exception(ChannelClosedError())
        future.exception()  # no warning if its task is destroyed before it runs


# ---------------------------------------------------------------------------------------------------------------- log


class Entry(Generic[T]):
    """A place in the log, with the message that follows and the next place. What all cursors have passed is freed."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.message: T | None = None
        self.next: Entry[T] | None = None


class Pulse:
    """Everybody waits for the next beat on the same event. Each beat sets it, and makes a new one."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    def beat(self) -> None:
        event, self.event = self.event, asyncio.Event()
        event.set()

    async def next(self) -> None:
        await self.event.wait()


class LogChannel(Closing, Generic[T]):
    """One log for all: a commit appends to it, and a subscriber is a cursor in it, which has an end once it is closed."""

    def __init__(self, buffer_size: int = 0) -> None:
        self.size = _valid(buffer_size)
        self.last: Entry[T] = Entry(0)
        self.over = False
        self.met = False
        self.writers: list[LogPublisher[T]] = []
        self.cursors: list[LogSubscriber[T]] = []
        self.tickets: deque[object] = deque()
        self.pulse = Pulse()

    @property
    def state(self) -> ChannelState:
        return ChannelState.closed if self.over else ChannelState.open if self.met else ChannelState.initiation

    async def subscribe(self, *, buffer_size: int | None = None) -> "LogSubscriber[T]":
        size = self.size if buffer_size is None else _valid(buffer_size)
        self.refuse_if_over()
        self.cursors.append(LogSubscriber(self, size))
        self.met |= bool(self.writers)
        return self.cursors[-1]

    async def connect(self) -> "LogPublisher[T]":
        self.refuse_if_over()
        self.writers.append(LogPublisher(self))
        self.met |= bool(self.cursors)
        return self.writers[-1]

    def refuse_if_over(self) -> None:
        if self.over:
            raise ChannelClosedError

    async def close(self) -> None:
        self.over = True
        self.writers.clear()
        for cursor in self.cursors:
            cursor.stop()
        self.cursors.clear()
        self.pulse.beat()

    async def left(self) -> None:
        self.pulse.beat()
        if self.met and not (self.writers and self.cursors):
            await self.close()

    def room(self) -> bool:
        return not any(cursor.size and self.last.index - cursor.at.index >= cursor.size for cursor in self.cursors)

    def append(self, message: T) -> None:
        self.last.message = message
        self.last.next = Entry(self.last.index + 1)
        self.last = self.last.next
        for cursor in self.cursors:
            cursor.pulse.beat()


class LogSubscriber(Reading[T]):
    def __init__(self, channel: LogChannel[T], size: int) -> None:
        self.channel = channel
        self.size = size
        self.at = channel.last
        self.end: int | None = None
        self.tickets: deque[object] = deque()
        self.pulse = Pulse()

    def stop(self) -> None:
        self.end = self.channel.last.index
        self.pulse.beat()

    def more(self) -> bool:
        return self.at.next is not None and (self.end is None or self.at.index < self.end)

    async def read(self) -> T:
        ticket = object()
        self.tickets.append(ticket)
        try:
            while self.tickets[0] is not ticket or not (self.more() or self.end is not None):
                await self.pulse.next()
            if not self.more():
                raise ChannelClosedError
            assert self.at.next is not None
            message, self.at = self.at.message, self.at.next
            self.channel.pulse.beat()
            return message  # type: ignore[return-value]
        finally:
            self.tickets.remove(ticket)
            self.pulse.beat()

    async def close(self) -> None:
        if self in self.channel.cursors:
            self.channel.cursors.remove(self)
            self.stop()
            await self.channel.left()


class LogPublisher(Closing, Generic[T]):
    def __init__(self, channel: LogChannel[T]) -> None:
        self.channel = channel

    async def send(self, message: T) -> None:
        channel, ticket = self.channel, object()
        self.refuse_if_closed()
        channel.tickets.append(ticket)
        try:
            while channel.tickets[0] is not ticket or not channel.room():
                await channel.pulse.next()
                self.refuse_if_closed()
            channel.append(message)
        finally:
            channel.tickets.remove(ticket)
            channel.pulse.beat()

    def refuse_if_closed(self) -> None:
        if self not in self.channel.writers:
            raise ChannelClosedError

    async def close(self) -> None:
        if self in self.channel.writers:
            self.channel.writers.remove(self)
            await self.channel.left()


# ------------------------------------------------------------------------------------------------------------ arbiter


class Phase(Enum):
    initiation = "initiation"
    open = "open"
    closed = "closed"


class EndOfChannel(RuntimeError):
    pass


class Request(Generic[T]):
    """A request of an operation to the arbiter, which is decided once `verdict` is set."""

    def __init__(self, by: "Sender[T] | Receiver[T]", what: T | None = None) -> None:
        self.by = by
        self.what = what
        self.verdict: str | None = None
        self.bell = asyncio.Event()

    def decide(self, verdict: str) -> None:
        self.verdict = verdict
        self.bell.set()


class ArbiterChannel(Closing, Generic[T]):
    """Sends and reads are requests, which one callback of the loop decides, in order.

    So the arbiter's step commits a message, and takes one. An operation that is cancelled after that learns of it too late,
    and still returns. This channel also has its own kinds of states and of error.
    """

    def __init__(self, buffer_size: int = 0) -> None:
        self.limit = _valid(buffer_size)
        self.phase = Phase.initiation
        self.inputs: list[Sender[T]] = []
        self.outputs: list[Receiver[T]] = []
        self.requests: list[Request[T]] = []

    @property
    def state(self) -> Phase:
        return self.phase

    async def subscribe(self, *, buffer_size: int | None = None) -> "Receiver[T]":
        receiver = Receiver(self, self.limit if buffer_size is None else _valid(buffer_size))
        self.admit(self.outputs, receiver)
        return receiver

    async def connect(self) -> "Sender[T]":
        sender = Sender(self)
        self.admit(self.inputs, sender)
        return sender

    def admit(self, group: list[Any], end: object) -> None:
        if self.phase is Phase.closed:
            raise EndOfChannel
        group.append(end)
        if self.inputs and self.outputs:
            self.phase = Phase.open

    async def close(self) -> None:
        self.phase = Phase.closed
        self.dismiss(*self.inputs)
        self.outputs.clear()
        asyncio.get_running_loop().call_soon(self.arbitrate)

    def dismiss(self, *senders: "Sender[T]") -> None:
        self.inputs = [sender for sender in self.inputs if sender not in senders]
        for request in self.requests:
            if request.by in senders and request.verdict is None:
                request.decide("closed")

    async def parted(self) -> None:
        if self.phase is Phase.open and not (self.inputs and self.outputs):
            await self.close()
        asyncio.get_running_loop().call_soon(self.arbitrate)

    async def ask(self, request: Request[T]) -> T | None:
        self.requests.append(request)
        asyncio.get_running_loop().call_soon(self.arbitrate)
        try:
            await request.bell.wait()
        except asyncio.CancelledError as error:
            if request.verdict is None:
                self.requests.remove(request)
                raise
            give_back(error)
        if request.verdict == "closed":
            raise EndOfChannel
        return request.what

    def arbitrate(self) -> None:
        """Decide requests until no further one can be decided."""
        before = None
        while before != len(self.requests):
            before = len(self.requests)
            undecided: set[object] = set()
            for request in self.requests:
                line = "sends" if isinstance(request.by, Sender) else request.by
                if request.verdict is None and (line in undecided or not self.could_decide(request)):
                    undecided.add(line)
            self.requests = [request for request in self.requests if request.verdict is None]

    def could_decide(self, request: Request[T]) -> bool:
        if isinstance(request.by, Sender):
            if any(receiver.replete() for receiver in self.outputs):
                return False
            for receiver in self.outputs:
                receiver.store.append(request.what)
            request.decide("sent")
        elif request.by.store:
            request.what = request.by.store.pop(0)
            request.decide("received")
        elif request.by not in self.outputs:
            request.decide("closed")
        return request.verdict is not None


class Receiver(Reading[T]):
    closed_error = EndOfChannel

    def __init__(self, channel: ArbiterChannel[T], limit: int) -> None:
        self.channel = channel
        self.limit = limit
        self.store: list[T | None] = []

    def replete(self) -> bool:
        return 0 < self.limit <= len(self.store)

    async def read(self) -> T:
        return await self.channel.ask(Request(self))  # type: ignore[return-value]

    async def close(self) -> None:
        if self in self.channel.outputs:
            self.channel.outputs.remove(self)
            await self.channel.parted()


class Sender(Closing, Generic[T]):
    def __init__(self, channel: ArbiterChannel[T]) -> None:
        self.channel = channel

    async def send(self, message: T) -> None:
        if self not in self.channel.inputs:
            raise EndOfChannel
        await self.channel.ask(Request(self, message))

    async def close(self) -> None:
        if self in self.channel.inputs:
            self.channel.dismiss(self)
            await self.channel.parted()


SOUND: dict[str, Target] = {
    "plain": Target(PlainChannel),
    "restless": Target(RestlessChannel),
    "unhurried": Target(UnhurriedChannel),
    "condition": Target(ConditionChannel),
    "handing": Target(HandingChannel),
    "log": Target(LogChannel),
    "arbiter": Target(ArbiterChannel, Phase, EndOfChannel),
}


def __getattr__(name: str) -> Target:
    try:
        return SOUND[name]
    except KeyError:
        raise AttributeError(name) from None
