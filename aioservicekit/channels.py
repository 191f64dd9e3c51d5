"""Broadcast channels: one message sent reaches every connected subscriber, each with a bounded buffer of its own.

    publisher.send(m) ──┐                              ┌─> [ m3 m2 m1 ] ──> read()    a subscriber of size 3: full
    publisher.send(n) ──┼─> line of sends ── commit ───┼─> [       m3 ] ──> read()    one that keeps up
    publisher.send(o) ──┘   (first come, first served) └─> [ ...m3 m2 ] ──> read()    size 0: unbounded, never full

Stored: the channel's state, its number of connected publishers, the buffers of its connected subscribers, which of those
may be full, and two kinds of lines: of sends that wait for room (one a channel) and of reads that wait for a message (one a
buffer).

INVARIANTS, which hold whenever the lock is free:
 1. `_full` has every connected buffer that holds as many messages as it may. A send takes out of it those that have been
    read since, so a read need not, and to ask whether a send may commit costs O(1) for each buffer that had become full.
 2. A message is in all connected buffers or in none: it enters them at one instant, the commit.
 3. If the first of the sends that wait sleeps, `_bottleneck` is a full connected buffer, whose next read wakes it. If the
    first of a buffer's reads that wait sleeps, the buffer is connected and empty. So nobody sleeps beside work to do.
 4. A closed channel has no endpoints and no waiting sends.

The lock is held for one state change and never across an `await`. An operation that waits does its own work when it
wakes: `aioservicekit._waiting` tells how.

NO LOCK for a read that finds a message and nobody before it: taking it out is a single step of the interpreter's, and what
may happen beside it does no harm.
 - Under the lock messages are only added. There, a full buffer may cease to be full, an empty one is not: a read that
   found it so looks again once it stands in line.
 - A send names a buffer the bottleneck and then looks whether it is full; a read takes a message and then looks whether its
   buffer is the bottleneck. Whichever comes second sees the other.
 - A reader that gets a message while a commit goes round the buffers finds the others empty, if so, only with the lock.

The rules, CH-1.1 to CH-7.3, are in specs/channel.md.
"""

import threading
import warnings
from collections import deque
from enum import IntEnum, auto
from sys import maxsize
from typing import Generic, NamedTuple, Self, TypeVar

from ._waiting import Line, Place, when_free

__all__ = ["Channel", "ChannelClosedError", "ChannelState", "ChannelStatistics", "SubscriberStatistics"]

_T = TypeVar("_T")


class ChannelClosedError(Exception):
    """The channel, or the endpoint in use, is closed."""


class ChannelState(IntEnum):
    """A channel's states, in the only order in which it passes through them (CH-1.7)."""

    initiation = auto()
    open = auto()
    closed = auto()


class SubscriberStatistics(NamedTuple):
    """One connected subscriber, at one instant (CH-7.3)."""

    buffered: int
    buffer_size: int
    reads_waiting: int


class ChannelStatistics(NamedTuple):
    """A channel at one instant (CH-7.3)."""

    state: ChannelState
    publishers: int
    subscribers: tuple[SubscriberStatistics, ...]
    sends_waiting: int


class _Buffer(Line, Generic[_T]):
    """What one subscriber has yet to read, and the line of its reads."""

    def __init__(self, lock: threading.Lock, size: int) -> None:
        super().__init__(lock)
        self.size = size
        self.messages: deque[_T] = deque()
        self.connected = True

    @property
    def room(self) -> int:
        """How many more messages it may hold; it is full when there is none."""
        return self.size - len(self.messages) if self.size else maxsize

    def statistics(self) -> SubscriberStatistics:
        return SubscriberStatistics(len(self.messages), self.size, len(self._waiting))

    def _room(self) -> int:
        return len(self.messages) if self.connected else len(self._waiting)


class _Closing:
    """As an async context manager it closes at the end, also on an exception, which goes through unchanged (CH-5.4)."""

    __slots__ = ()

    async def close(self) -> None:
        """Close, at once; again does nothing (CH-5.1)."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class Channel(_Closing, Line, Generic[_T]):
    """A broadcast channel: each message sent reaches every connected subscriber.

    A channel starts in `ChannelState.initiation`, opens when it first has a publisher and a subscriber, and closes for
    good with `close()` or when its last publisher or last subscriber closes (CH-1). It may be built with no running
    event loop, and used from any event loop in any thread (CH-6). As an async context manager it closes at the end
    (CH-5.4).

    Args:
        buffer_size: how many messages a subscriber may leave unread before it holds back every send, for subscribers
            that do not say otherwise; 0, the default, is unbounded.

    Raises:
        TypeError: `buffer_size` is not an int (CH-2.3).
        ValueError: `buffer_size` is negative (CH-2.3).
    """

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(threading.Lock())
        self._buffer_size = _checked(buffer_size)
        self._opened = False  # these two become True, and stay so (CH-1.7)
        self._closed = False
        self._publishers = 0
        self._buffers: dict[_Buffer[_T], None] = {}
        self._full: list[_Buffer[_T]] = []
        self._bottleneck: _Buffer[_T] | None = None

    @property
    def state(self) -> ChannelState:
        """The channel's state now (CH-1)."""
        if self._closed:
            return ChannelState.closed
        return ChannelState.open if self._opened else ChannelState.initiation

    async def subscribe(self, *, buffer_size: int | None = None) -> "_ChannelSubscriber[_T]":
        """Connect a new subscriber, which gets what is sent from now on. Never waits (CH-2, CH-1.2).

        Args:
            buffer_size: how many messages it may leave unread before it holds back every send; 0 is unbounded, None
                takes the channel's default.

        Raises:
            TypeError: `buffer_size` is neither an int nor None.
            ValueError: `buffer_size` is negative.
            ChannelClosedError: the channel is closed.
        """
        size = self._buffer_size if buffer_size is None else _checked(buffer_size)
        with self._lock:
            self._require_not_closed()
            buffer: _Buffer[_T] = _Buffer(self._lock, size)
            self._buffers[buffer] = None
            self._open_or_close()
        return _ChannelSubscriber(self, buffer)

    async def connect(self) -> "_ChannelPublisher[_T]":
        """Connect a new publisher. Never waits (CH-2, CH-1.2).

        Raises:
            ChannelClosedError: the channel is closed.
        """
        with self._lock:
            self._require_not_closed()
            self._publishers += 1
            self._open_or_close()
        return _ChannelPublisher(self)

    async def close(self) -> None:
        """Close the channel and all its endpoints, at once and for good; again does nothing (CH-1.4, CH-1.6, CH-5.1).

        Waiting sends raise `ChannelClosedError` and deliver nothing; what is buffered can still be read.
        """
        with self._lock:
            self._close()

    def statistics(self) -> ChannelStatistics:
        """The channel's state, endpoints, buffers and waiting operations, all at one instant (CH-7.3)."""
        with self._lock:
            subscribers = None
            while subscribers != (again := tuple(buffer.statistics() for buffer in self._buffers)):
                subscribers = again  # reads go on, but nothing is added: what is the same twice was so at once
            assert subscribers is not None
            return ChannelStatistics(self.state, self._publishers, subscribers, len(self._waiting))

    def __repr__(self) -> str:
        return (
            f"<Channel {self.state.name}: {self._publishers} publishers, {len(self._buffers)} subscribers"
            f" ({sum(not buffer.room for buffer in self._buffers)} full), {len(self._waiting)} sends waiting>"
        )

    # What follows is called with the lock held.

    def _require_not_closed(self) -> None:
        if self._closed:
            raise ChannelClosedError(f"{self!r} is closed")

    def _open_or_close(self) -> None:
        if self._publishers and self._buffers:
            self._opened = True
        elif self._opened:
            self._close()

    def _close(self) -> None:
        self._closed = True
        self._publishers = 0
        self._full.clear()
        self._bottleneck = None
        for buffer in self._buffers:
            buffer.connected = False
            buffer._wake()
        self._buffers.clear()
        self._dismiss()

    def _dismiss(self, publisher: "_ChannelPublisher[_T] | None" = None) -> None:
        """Take all sends out of the line, or `publisher`'s alone, and wake them to find that they are closed."""
        for place in [place for place in self._waiting if publisher in (None, place.owner)]:
            self._waiting.remove(place)
            self._wake_from_anywhere(place)

    def _may_commit(self) -> bool:
        """Whether no connected buffer is full. If one is, its next read wakes the first send that waits."""
        full = self._full
        while full:
            buffer = self._bottleneck = full.pop()
            if len(buffer.messages) == buffer.size:  # looked at once it is named: its next read sees the name
                full.append(buffer)
                return False
        self._bottleneck = None
        return True

    def _room(self) -> int:
        if not self._may_commit():
            return 0
        return min((buffer.room for buffer in self._buffers), default=maxsize)


class _Endpoint(_Closing, Generic[_T]):
    """What is connected to a channel until it closes, or until it is forgotten."""

    __slots__ = ("__weakref__", "_channel")

    def __init__(self, channel: Channel[_T]) -> None:
        self._channel = channel

    async def close(self) -> None:
        """Disconnect, at once and for good; again does nothing (CH-5.1).

        A publisher's own waiting sends raise `ChannelClosedError` (CH-5.2). A subscriber holds back no send any more
        (CH-5.3), and what it has buffered can still be read (CH-4.2).
        """
        with self._channel._lock:
            self._disconnect()

    def __del__(self) -> None:
        if self._is_connected():
            warning = f"{self!r} was never closed"
            when_free(self._channel._lock, self._disconnect)
            warnings.warn(warning, ResourceWarning, stacklevel=2, source=self)

    def _is_connected(self) -> bool:
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Leave the channel, with the lock held."""
        raise NotImplementedError


class _ChannelSubscriber(_Endpoint[_T]):
    """A channel's receiving end, made by `Channel.subscribe()`: `await read()`, or `async for`.

    As an async context manager it closes at the end (CH-5.4). One that is garbage-collected while connected is closed,
    with a `ResourceWarning` (CH-7.2).
    """

    __slots__ = ("_buffer",)

    def __init__(self, channel: Channel[_T], buffer: _Buffer[_T]) -> None:
        super().__init__(channel)
        self._buffer = buffer

    async def read(self) -> _T:
        """Take the oldest message, waiting for one while there is none (CH-4).

        Several reads share the messages, in the order of their calls. After the subscriber or the channel has closed,
        what is buffered can still be read. Cancelled, it has taken nothing.

        Raises:
            ChannelClosedError: closed, and nothing is left to read.
        """
        buffer = self._buffer
        place: Place | None = None
        while True:
            try:
                if buffer.messages and (not buffer._waiting or buffer._waiting[0] is place):
                    message = buffer.messages.popleft()
                    break
            except IndexError:
                pass  # another thread was faster
            buffer._lock.acquire()  # `with` takes twice as long
            try:
                if not buffer.messages and not buffer.connected:
                    if place:
                        buffer._leave(place)
                    raise ChannelClosedError(f"{self!r} is closed and has nothing left to read")
                if place:
                    place.sleep()
                else:
                    place = buffer._join()
                buffer._wake()  # a message may have come since
            finally:
                buffer._lock.release()
            await buffer._woken(place)
        channel = self._channel
        if place or channel._bottleneck is buffer:
            buffer._lock.acquire()
            try:
                if channel._bottleneck is buffer:
                    channel._bottleneck = None
                    channel._wake()
                if place:
                    buffer._leave(place)
            finally:
                buffer._lock.release()
        return message

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T:
        """As `read()`, but ends the iteration where that raises `ChannelClosedError` (CH-4.7)."""
        try:
            return await self.read()
        except ChannelClosedError:
            raise StopAsyncIteration from None

    def __repr__(self) -> str:
        buffer = self._buffer
        return (
            f"<subscriber at {id(self):#x}, {'connected' if buffer.connected else 'closed'}:"
            f" {len(buffer.messages)} of {buffer.size or 'unbounded'} messages buffered,"
            f" {len(buffer._waiting)} reads waiting>"
        )

    def _is_connected(self) -> bool:
        return self._buffer.connected

    def _disconnect(self) -> None:
        buffer, channel = self._buffer, self._channel
        if buffer.connected:
            buffer.connected = False
            del channel._buffers[buffer]
            buffer._wake()
            if buffer in channel._full:
                channel._full.remove(buffer)
            channel._open_or_close()
            channel._wake()


class _ChannelPublisher(_Endpoint[_T]):
    """A channel's sending end, made by `Channel.connect()`: `await send(message)`.

    As an async context manager it closes at the end (CH-5.4). One that is garbage-collected while connected is closed,
    with a `ResourceWarning` (CH-7.2).
    """

    __slots__ = ("_closed",)

    def __init__(self, channel: Channel[_T]) -> None:
        super().__init__(channel)
        self._closed = False

    async def send(self, data: _T) -> None:
        """Deliver a message to every connected subscriber at one instant, waiting while any of them is full (CH-3).

        Sends commit in the order of their calls, whoever calls. With no subscriber the message goes to nobody. A send
        that raises, or is cancelled, has delivered nothing to anyone.

        Raises:
            ChannelClosedError: the publisher or the channel is closed, or closes while the send waits.
        """
        channel = self._channel
        lock, full = channel._lock, channel._full
        place: Place | None = None
        while True:
            lock.acquire()  # as in `read`
            try:
                if self._closed or channel._closed:
                    raise ChannelClosedError(f"{self!r} is closed")
                first = not channel._waiting or channel._waiting[0] is place
                if first and (not full or channel._may_commit()):
                    for buffer in channel._buffers:
                        messages = buffer.messages
                        messages.append(data)
                        if len(messages) == buffer.size:
                            full.append(buffer)
                        if buffer._waiting:
                            buffer._wake()
                    if place:
                        channel._leave(place)
                    return
                if place:
                    place.sleep()
                else:
                    place = channel._join(self)
            finally:
                lock.release()
            await channel._woken(place)

    def __repr__(self) -> str:
        return (
            f"<publisher at {id(self):#x}, {'connected' if self._is_connected() else 'closed'}, of {self._channel!r}>"
        )

    def _is_connected(self) -> bool:
        return not (self._closed or self._channel._closed)

    def _disconnect(self) -> None:
        channel = self._channel
        if self._is_connected():
            self._closed = True
            channel._publishers -= 1
            channel._dismiss(self)
            channel._open_or_close()
            channel._wake()


def _checked(buffer_size: int) -> int:
    if isinstance(buffer_size, bool) or not isinstance(buffer_size, int):
        raise TypeError(f"buffer_size must be an int, 0 or more, not {buffer_size!r}")
    if buffer_size < 0:
        raise ValueError(f"buffer_size must be 0 (unbounded) or more, not {buffer_size}")
    return buffer_size
