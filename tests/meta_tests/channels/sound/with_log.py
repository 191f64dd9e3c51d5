"""A sound channel with one log for all subscribers."""

import asyncio
from collections import deque
from typing import Generic, TypeVar

from ..plain import (
    ChannelClosedError,
    ChannelState,
)
from .offering import Closing, Reading, valid_size

T = TypeVar("T")


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
        self.size = valid_size(buffer_size)
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
        size = self.size if buffer_size is None else valid_size(buffer_size)
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
