"""A sound channel in which futures carry the outcome."""

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

from ..plain import (
    ChannelClosedError,
    ChannelState,
)
from .offering import Closing, Reading, valid_size

T = TypeVar("T")


class HandingChannel(Closing, Generic[T]):
    """Futures carry the outcome: a message for the first read, permission to commit for the first send, or the error.

    Each line has at most one hand-over in progress, and waits for it. Until the reader has run, the message that it was
    handed counts as buffered. A cancelled reader puts it back in front.
    """

    def __init__(self, buffer_size: int = 0) -> None:
        self._size = valid_size(buffer_size)
        self._phase = ChannelState.initiation
        self._senders: dict[HandingPublisher[T], None] = {}
        self._receivers: dict[HandingSubscriber[T], None] = {}
        self._turns: deque[tuple[HandingPublisher[T], asyncio.Future[None]]] = deque()

    @property
    def state(self) -> ChannelState:
        return self._phase

    async def subscribe(self, *, buffer_size: int | None = None) -> "HandingSubscriber[T]":
        size = self._size if buffer_size is None else valid_size(buffer_size)
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
