"""Defective channels: they open, close or turn back when they must not (CH-1)."""

import asyncio
import contextlib
from typing import Any
from weakref import WeakSet

from ..plain import (
    ChannelState,
    End,
    PlainPublisher,
    PlainSubscriber,
)
from .planting import Channel, Publisher, Subscriber, breaks


@breaks("CH-1.1", "The constructor asks for the running loop, so a channel can't be built at module level.")
class NeedsALoop(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._loop = asyncio.get_running_loop()


@breaks("CH-1.1", "A new channel is open before anybody has joined.")
class BornOpen(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._state = ChannelState.open


@breaks(
    "CH-1.2", "Only `connect` checks whether the channel opens, so it does not open when the subscriber comes last."
)
class OpensInConnectAlone(Channel):
    def _joined(self, end: End) -> None:
        if isinstance(end, PlainPublisher):
            super()._joined(end)


@breaks(
    "CH-1.2", "Only `subscribe` checks whether the channel opens, so it does not open when the publisher comes last."
)
class OpensInSubscribeAlone(Channel):
    def _joined(self, end: End) -> None:
        if isinstance(end, PlainSubscriber):
            super()._joined(end)


@breaks("CH-1.2", "The first publisher opens the channel, although nobody has subscribed.")
class OpensWithAPublisher(Channel):
    def _joined(self, end: End) -> None:
        if self._state is ChannelState.initiation and self._publishers:
            self._state = ChannelState.open


@breaks("CH-1.2", "The channel opens in a separate callback, some time after the second side has joined.")
class OpensLater(Channel):
    def _joined(self, end: End) -> None:
        asyncio.get_running_loop().call_soon(super()._joined, end)


@breaks(
    "CH-1.2", "Every endpoint that ever joined counts, so the channel opens although the first side has left again."
)
class CountsThoseThatEverJoined(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._sides: set[type[End]] = set()

    def _joined(self, end: End) -> None:
        self._sides.add(type(end))
        if self._state is ChannelState.initiation and len(self._sides) == 2:
            self._state = ChannelState.open


@breaks("CH-1.2", "A subscriber that has closed counts as connected until its reads have ended.")
class CountsReadsThatEnd(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._leaving: WeakSet[Subscriber] = WeakSet()

    def _remove_subscriber(self, subscriber: Subscriber) -> None:
        super()._remove_subscriber(subscriber)
        self._leaving.add(subscriber)

    def _joined(self, end: End) -> None:
        leaving = any(subscriber.reads for subscriber in self._leaving)
        if self._state is ChannelState.initiation and (self._subscribers or leaving) and self._publishers:
            self._state = ChannelState.open


@breaks("CH-1.2", "The first send opens the channel, instead of the joining of the second side.")
class OpensWithTheFirstSend(Channel):
    def _joined(self, end: End) -> None:
        pass

    async def _send(self, publisher: Publisher, message: Any) -> None:
        super()._joined(publisher)
        await super()._send(publisher, message)


@breaks("CH-1.3", "The channel stays open when its last publisher closes.")
class OutlivesItsPublishers(Channel):
    def _deserted(self) -> bool:
        return not self._subscribers


@breaks("CH-1.3", "The channel stays open when its last subscriber closes.")
class OutlivesItsSubscribers(Channel):
    def _deserted(self) -> bool:
        return not self._publishers


@breaks("CH-1.3", "The channel closes only when both sides are gone.")
class ClosesWhenBothAreGone(Channel):
    def _deserted(self) -> bool:
        return not self._publishers and not self._subscribers


@breaks("CH-1.3", "The channel closes with any of its publishers, although others are connected.")
class ClosesWithAnyPublisher(Channel):
    def _close_publisher(self, publisher: Publisher) -> None:
        super()._close_publisher(publisher)
        if self._state is ChannelState.open:
            self._close_channel()


@breaks("CH-1.3", "The channel closes with any of its subscribers, although others are connected.")
class ClosesWithAnySubscriber(Channel):
    def _close_subscriber(self, subscriber: Subscriber) -> None:
        super()._close_subscriber(subscriber)
        if self._state is ChannelState.open:
            self._close_channel()


@breaks("CH-1.3", "The check for the last endpoint runs before that endpoint is removed, so the channel never closes.")
class LooksBeforeItTakesOut(Channel):
    def _close_subscriber(self, subscriber: Subscriber) -> None:
        if not subscriber.closed:
            self._close_if_deserted()
            self._remove_subscriber(subscriber)
            self._subscriber_gone(subscriber)


@breaks("CH-1.4", "`close()` checks that the channel is open, and does nothing in `initiation`.")
class ClosesOnlyWhenOpen(Channel):
    def _close_channel(self) -> None:
        if self._state is ChannelState.open:
            super()._close_channel()


@breaks("CH-1.5", "A channel in `initiation` closes when its last endpoint leaves.")
class DesertedInInitiation(Channel):
    def _close_if_deserted(self) -> None:
        if not self._publishers and not self._subscribers:
            self._close_channel()
        else:
            super()._close_if_deserted()


@breaks("CH-1.5", "A channel in `initiation` closes when its last publisher leaves.")
class DesertedByPublishersInInitiation(Channel):
    def _close_publisher(self, publisher: Publisher) -> None:
        super()._close_publisher(publisher)
        if not self._publishers:
            self._close_channel()


@breaks("CH-1.6", "Closing the channel forgets its publishers: they go on as if it were open.")
class PublishersOutliveTheChannel(Channel):
    def _close_channel(self) -> None:
        self._state = ChannelState.closed
        for subscriber in list(self._subscribers):
            self._remove_subscriber(subscriber)
        self._wake_sender()


@breaks("CH-1.6", "Closing the channel forgets its subscribers: their reads wait for ever.")
class SubscribersOutliveTheChannel(Channel):
    def _close_channel(self) -> None:
        self._state = ChannelState.closed
        for publisher in list(self._publishers):
            self._remove_publisher(publisher)


@breaks("CH-1.6", "A deserted channel only changes its state, and the other side stays connected.")
class DesertionClosesTheStateAlone(Channel):
    def _close_if_deserted(self) -> None:
        if self._state is ChannelState.open and self._deserted():
            self._state = ChannelState.closed


@breaks("CH-1.6", "The endpoints are removed from the list while it is iterated, so every second one is skipped.")
class ClosesEverySecondEndpoint(Channel):
    def _close_channel(self) -> None:
        self._state = ChannelState.closed
        for publisher in self._publishers:
            self._remove_publisher(publisher)
        for subscriber in self._subscribers:
            self._remove_subscriber(subscriber)
        self._wake_sender()


@breaks("CH-1.7", "A deserted channel closes its endpoints, then starts over in `initiation`.")
class StartsOver(Channel):
    def _close_if_deserted(self) -> None:
        if self._state is ChannelState.open and self._deserted():
            self._close_channel()
            self._state = ChannelState.initiation


@breaks(
    "CH-1.7", "`subscribe` reads the state, lets other tasks run, and writes it back: a close in between is undone."
)
class WritesTheStateBack(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        subscriber = await super().subscribe(buffer_size=buffer_size)
        state = self._state
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
        self._state = state
        return subscriber
