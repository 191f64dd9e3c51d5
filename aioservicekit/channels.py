"""Broadcast channels: each message reaches every connected subscriber, and each subscriber has its own bounded buffer.

This module has what people use: `Channel`, and the endpoints that it makes. `_core.py` has a channel's state and everything
that takes effect at once; start reading there. This module is the shell around the core: arguments, waiting, cancellation,
errors, and what a person debugging asks for.
"""

import warnings
from asyncio import CancelledError, current_task, get_running_loop
from enum import IntEnum, auto
from typing import Any, Generic, NamedTuple, NoReturn, Self, TypeVar

from ._core import Buffer, Core, Send
from ._runtime import Waiting, at_once, cancel_later, when_free

__all__ = [
    "Channel",
    "ChannelClosedError",
    "ChannelState",
    "ChannelStatistics",
    "Publisher",
    "Subscriber",
    "SubscriberStatistics",
]

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)
_T_contra = TypeVar("_T_contra", contravariant=True)


class ChannelClosedError(Exception):
    """The channel, or the endpoint in use, is closed. The text says which of them was closed, and why."""


class ChannelState(IntEnum):
    """A channel's states, in the only order in which it passes through them (CH-1.7)."""

    initiation = auto()
    open = auto()
    closed = auto()


class SubscriberStatistics(NamedTuple):
    """One connected subscriber, at one instant (CH-7.3).

    Attributes:
        buffered: the number of unread messages.
        buffer_size: the number of messages that it may leave unread before it holds back every send; 0 is unbounded.
        reads_waiting: the number of reads that wait for a message.
        name: its name, if it has one.
    """

    buffered: int
    buffer_size: int
    reads_waiting: int
    name: str | None = None


class ChannelStatistics(NamedTuple):
    """A channel at one instant (CH-7.3).

    Attributes:
        state: its state.
        publishers: the number of connected publishers.
        subscribers: the connected subscribers, in the order in which they joined.
        sends_waiting: the number of sends that wait for room.
        name: its name, if it has one.
    """

    state: ChannelState
    publishers: int
    subscribers: tuple[SubscriberStatistics, ...]
    sends_waiting: int
    name: str | None = None


class _Closable:
    """Something that can be closed: a channel, or one of its endpoints."""

    __slots__ = ()

    async def close(self) -> None:
        """Close at once. Closing again does nothing (CH-5.1)."""
        raise NotImplementedError

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()  # CH-5.4

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} can't be copied or pickled: pass the object itself, or subscribe or connect once more"
        )


class Channel(_Closable, Generic[_T]):
    """A broadcast channel: each message reaches every connected subscriber.

    A channel starts in `ChannelState.initiation`. It opens when it first has a publisher and a subscriber. It closes for
    good when `close()` is called, or when its last publisher or last subscriber closes (CH-1). It may be built with no
    running event loop, and used from any event loop in any thread (CH-6.1). As an async context manager, it closes at
    the end (CH-5.4).

    Args:
        buffer_size: the number of messages that a subscriber may leave unread before it holds back every send, for
            subscribers that don't set their own; 0, the default, is unbounded.
        name: what `repr()`, `statistics()`, warnings and errors call it.

    Raises:
        TypeError: `buffer_size` is not an int (CH-2.3), or `name` is neither a str nor None.
        ValueError: `buffer_size` is negative (CH-2.3).
    """

    def __init__(self, buffer_size: int = 0, *, name: str | None = None) -> None:
        self._buffer_size = _checked_size(buffer_size)
        self._name = _checked_name(name)
        self._core: Core[_T] = Core()

    @property
    def name(self) -> str | None:
        """The channel's name, if it has one."""
        return self._name

    @property
    def state(self) -> ChannelState:
        """The channel's state now (CH-1)."""
        return _state_of(self._core)

    async def subscribe(self, *, buffer_size: int | None = None, name: str | None = None) -> "Subscriber[_T]":
        """Connect a new subscriber, which gets the messages sent from now on (CH-1.2, CH-2). Never waits.

        Args:
            buffer_size: the number of messages that it may leave unread before it holds back every send; 0 is
                unbounded, and None takes the channel's default.
            name: what `repr()`, `statistics()`, warnings and errors call it.

        Raises:
            TypeError: `buffer_size` is neither an int nor None, or `name` is neither a str nor None.
            ValueError: `buffer_size` is negative.
            ChannelClosedError: the channel is closed.
        """
        size = self._buffer_size if buffer_size is None else _checked_size(buffer_size)  # CH-2.2
        subscriber: Subscriber[_T] = Subscriber(self, Buffer[_T](size, _checked_name(name)))
        with self._core.lock:
            self._require_not_closed()
            self._core.subscribe(subscriber._buffer)  # CH-2.5, CH-2.6
        return subscriber

    async def connect(self) -> "Publisher[_T]":
        """Connect a new publisher (CH-1.2, CH-2). Never waits.

        Raises:
            ChannelClosedError: the channel is closed.
        """
        publisher: Publisher[_T] = Publisher(self)
        with self._core.lock:
            self._require_not_closed()
            self._core.connect(publisher._token)  # CH-2.5, CH-2.6
        return publisher

    async def close(self) -> None:
        """Close the channel and all its endpoints, at once and for good (CH-1.4, CH-1.6). Closing again does nothing (CH-5.1).

        Never waits. Waiting sends and reads raise `ChannelClosedError`, and the sends deliver nothing. Buffered messages can
        still be read.
        """
        at_once(self._core, self._core.close, "its close() was called")  # CH-5.1: waits for nothing

    def statistics(self) -> ChannelStatistics:
        """The channel's state, endpoints, buffers and waiting operations, all at one instant (CH-7.3).

        A finalizer, or a handler set by `signal.signal`, may interrupt a change to this channel. What it is told then may
        show that change half made.
        """
        core = self._core
        with core.lock:
            subscribers = None
            while subscribers != (again := tuple(map(_statistics_of, core.buffers))):
                subscribers = again  # reads go on, but nothing is added: two equal counts describe one instant
            assert subscribers is not None
            state, publishers, sends = _state_of(core), len(core.publishers), len(core.sends)
        return ChannelStatistics(state, publishers, subscribers, sends, self._name)  # CH-7.3

    def __repr__(self) -> str:
        core = self._core
        buffers = list(core.buffers)  # one atomic step: other threads may join and leave meanwhile
        return (
            f"<Channel{_quoted(self._name)} {self.state.name}: {len(core.publishers)} publishers,"
            f" {len(buffers)} subscribers ({sum(buffer.is_full for buffer in buffers)} full),"
            f" {len(core.sends)} sends waiting>"
        )

    def _require_not_closed(self) -> None:
        if self._core.why_closed:  # CH-2.1
            raise ChannelClosedError(f"channel{_quoted(self._name)} is closed: {self._core.why_closed}")


class _Endpoint(_Closable):
    """A publisher or a subscriber: connected to its channel until it closes or is forgotten."""

    __slots__ = ("__weakref__", "_channel", "_closed_itself", "_core")

    def __init__(self, channel: Channel[Any]) -> None:
        self._channel = channel
        self._core: Core[Any] = channel._core
        self._closed_itself = False

    async def close(self) -> None:
        """Disconnect, at once and for good. Never waits. Closing again does nothing (CH-5.1).

        If this was the last publisher or the last subscriber of an open channel, the channel closes too (CH-1.3). Operations of
        this endpoint that wait raise `ChannelClosedError`; buffered messages can still be read.
        """
        at_once(self._core, self._close)

    def __del__(self) -> None:
        if hasattr(self, "_closed_itself") and self._is_connected():  # `__init__` may have failed
            when_free(self._core, self._disconnect)  # CH-7.2
            warnings.warn(f"{self!r} was forgotten while connected", ResourceWarning, stacklevel=2, source=self)

    def _closed_error(self, what: str) -> ChannelClosedError:
        channel = f"channel{_quoted(self._channel._name)}"
        why = "its close() was called" if self._closed_itself else f"{channel} is closed: {self._core.why_closed}"
        return ChannelClosedError(f"{what}: {why}")

    def _close(self) -> None:
        self._closed_itself = self._closed_itself or self._is_connected()
        self._disconnect()

    def _is_connected(self) -> bool:
        raise NotImplementedError

    def _disconnect(self) -> None:
        """Leave the channel; the lock is held."""
        raise NotImplementedError


class Subscriber(_Endpoint, Generic[_T_co]):
    """A channel's receiving end, made by `Channel.subscribe()`: `await read()`, or `async for`.

    A closed subscriber holds back no send (CH-5.3), and its buffered messages can still be read (CH-4.2). As an async
    context manager, it closes at the end (CH-5.4). If it is garbage-collected while connected, it is closed, with a
    `ResourceWarning` (CH-7.2).
    """

    __slots__ = ("_buffer",)

    def __init__(self, channel: Channel[Any], buffer: Buffer[Any]) -> None:
        self._buffer = buffer
        super().__init__(channel)

    async def read(self) -> _T_co:
        """Take the oldest message; wait while the buffer is empty (CH-4).

        Several reads share the messages, in the order of their calls. After the subscriber or the channel has closed,
        buffered messages can still be read.

        A cancelled read has taken nothing (CH-4.5). But if the read already had its message when its task heard of the
        request to cancel, it returns the message. The task is then cancelled at its next suspension, unless the request
        has been withdrawn by then (CH-4.8).

        Raises:
            ChannelClosedError: the subscriber or the channel is closed, and nothing is left to read.
        """
        core = self._core
        buffer: Buffer[_T_co] = self._buffer
        messages = buffer.messages
        if messages and not buffer.handed:  # what was handed to a read is older, and may come back (CH-6.3)
            try:
                message = messages.popleft()  # CH-4.1
            except IndexError:
                pass  # another thread was faster
            else:
                if core.sends:
                    with core.lock:
                        core.commit_waiting()
                return message
        task = current_task(loop := get_running_loop())
        waiting: Waiting = loop.create_future()
        try:
            heard = core.line_up_read(waiting, buffer, task)
            await waiting
            if waiting in buffer.handed:
                return buffer.handed.pop(waiting)
        except CancelledError as error:
            with core.lock:
                if waiting not in buffer.handed:
                    core.abandon_read(buffer, waiting)  # CH-4.5
                    raise
                message = buffer.handed.pop(waiting)
            cancel_later(task, heard, error)  # CH-4.8
            return message
        except BaseException:  # thrown in by a finalizer or a signal handler
            when_free(core, core.abandon_read, buffer, waiting)
            raise
        raise self._closed_error(f"subscriber{_quoted(buffer.name)} has nothing left to read")  # CH-4.3

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _T_co:
        """As `read()`, but ends the iteration where `read()` raises `ChannelClosedError` (CH-4.7)."""
        try:
            return await self.read()
        except ChannelClosedError:
            raise StopAsyncIteration from None  # CH-4.7

    def __repr__(self) -> str:
        buffered, size, reads, name = _statistics_of(self._buffer)
        return (
            f"<subscriber{_quoted(name)} at {id(self):#x}, {_connection_of(self)}:"
            f" {buffered} of {size or 'unbounded'} messages buffered, {reads} reads waiting>"
        )

    def _is_connected(self) -> bool:
        return self._buffer in self._core.buffers

    def _disconnect(self) -> None:
        self._core.unsubscribe(self._buffer)


class Publisher(_Endpoint, Generic[_T_contra]):
    """A channel's sending end, made by `Channel.connect()`: `await send(message)`.

    Closing a publisher makes its own waiting sends raise `ChannelClosedError`, and no other publisher's (CH-5.2). As an
    async context manager, it closes at the end (CH-5.4). If it is garbage-collected while connected, it is closed, with a
    `ResourceWarning` (CH-7.2).
    """

    __slots__ = ("_token",)

    def __init__(self, channel: Channel[Any]) -> None:
        self._token = object()
        super().__init__(channel)

    async def send(self, data: _T_contra) -> None:
        """Deliver a message to every connected subscriber at one instant; wait while any of them is full (CH-3).

        Sends of all publishers commit in the order of their calls. With no subscriber, the message goes to nobody.

        A cancelled send has delivered nothing to anyone (CH-3.8). But if the send had already committed when its task
        heard of the request to cancel, it returns. The task is then cancelled at its next suspension, unless the request
        has been withdrawn by then (CH-3.9).

        Raises:
            ChannelClosedError: the publisher or the channel is closed, or closes while the send waits; nothing was
                delivered.
        """
        core, lock = self._core, self._core.lock
        try:  # as `with lock:`, which alone would take a sixth of the time of a send that finds room
            lock.acquire()
            committed = self._token in core.publishers and not core.sends and core.commit(data)  # CH-3.5, CH-3.7
            lock.release()
        except BaseException:  # a KeyboardInterrupt may come at any call: so no other call stands before this release
            try:
                lock.release()
            except RuntimeError:
                pass  # it was not acquired yet, or released already
            raise
        if committed:
            return
        task = current_task(loop := get_running_loop())
        waiting: Waiting = loop.create_future()
        send = Send(self._token, data)
        try:
            heard = core.line_up_send(waiting, send, task)
            await waiting
        except CancelledError as error:
            with core.lock:
                core.abandon_send(waiting)
            if not send.committed:
                raise  # CH-3.8
            cancel_later(task, heard, error)  # CH-3.9
        except BaseException:  # thrown in by a finalizer or a signal handler
            when_free(core, core.abandon_send, waiting)
            raise
        if not send.committed:
            raise self._closed_error("the message was not sent")  # CH-3.7

    def __repr__(self) -> str:
        return f"<publisher at {id(self):#x}, {_connection_of(self)}, of {self._channel!r}>"

    def _is_connected(self) -> bool:
        return self._token in self._core.publishers

    def _disconnect(self) -> None:
        self._core.disconnect(self._token)


_ChannelSubscriber = Subscriber  # the earlier names
_ChannelPublisher = Publisher


def _statistics_of(buffer: Buffer[Any]) -> SubscriberStatistics:
    return SubscriberStatistics(len(buffer.messages), buffer.size, len(buffer.reads), buffer.name)


def _state_of(core: Core[Any]) -> ChannelState:
    if core.why_closed:
        return ChannelState.closed
    return ChannelState.open if core.opened else ChannelState.initiation


def _connection_of(endpoint: _Endpoint) -> str:
    return "connected" if endpoint._is_connected() else "closed"


def _quoted(name: str | None) -> str:
    return "" if name is None else f" {name!r}"


def _checked_size(buffer_size: int) -> int:
    if isinstance(buffer_size, bool) or not isinstance(buffer_size, int):
        raise TypeError(f"buffer_size must be an int, 0 or more, not {buffer_size!r}")  # CH-2.3
    if buffer_size < 0:
        raise ValueError(f"buffer_size must be 0 (unbounded) or more, not {buffer_size}")
    return buffer_size


def _checked_name(name: str | None) -> str | None:
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be a str or None, not {name!r}")
    return None if name is None else str.__str__(name)  # no subclass: its code would run while the lock is held
