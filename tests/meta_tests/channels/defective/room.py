"""Defective channels: they look for room in some subscribers only (CH-3.2)."""

import math
from typing import Any

from ..plain import ChannelState
from .planting import Channel, Subscriber, breaks


class LooksAtSome(Channel):
    """Checks only some of its subscribers for room."""

    def _looked_at(self) -> list[Subscriber]:
        return self._subscribers

    def _room(self) -> bool:
        return not any(self._full(subscriber) for subscriber in self._looked_at())


@breaks("CH-3.2", "Only the first two subscribers are checked for room.")
class LooksAtTheFirstTwo(LooksAtSome):
    def _looked_at(self) -> list[Subscriber]:
        return self._subscribers[:2]


@breaks("CH-3.2", "Only the last two subscribers are checked for room.")
class LooksAtTheLastTwo(LooksAtSome):
    def _looked_at(self) -> list[Subscriber]:
        return self._subscribers[-2:]


@breaks("CH-3.2", "Only the first and the last subscriber are checked for room.")
class LooksAtBothEnds(LooksAtSome):
    def _looked_at(self) -> list[Subscriber]:
        return [*self._subscribers[:1], *self._subscribers[-1:]]


@breaks("CH-3.2", "Only the subscribers of the smallest size are checked for room.")
class LooksAtTheSmallest(LooksAtSome):
    def _looked_at(self) -> list[Subscriber]:
        bounded = [subscriber for subscriber in self._subscribers if subscriber.size]
        smallest = min((subscriber.size for subscriber in bounded), default=0)
        return [subscriber for subscriber in bounded if subscriber.size == smallest]


@breaks("CH-3.2", "Only the subscribers of the largest size are checked for room.")
class LooksAtTheLargest(LooksAtSome):
    def _looked_at(self) -> list[Subscriber]:
        largest = max((subscriber.size for subscriber in self._subscribers), default=0)
        return [subscriber for subscriber in self._subscribers if subscriber.size == largest]


@breaks("CH-3.2", "A send waits only if all subscribers are full.")
class WaitsForAllToBeFull(Channel):
    def _room(self) -> bool:
        return not self._subscribers or not all(self._full(subscriber) for subscriber in self._subscribers)


@breaks("CH-3.2", "The full subscribers are counted, and a read of a closed one counts as room among the others.")
class ReadsOfTheClosedMakeRoom(Channel):
    _full_ones = 0

    def _room(self) -> bool:
        return self._full_ones <= 0

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        super()._deliver(subscriber, message)
        self._full_ones += self._full(subscriber)

    def _oldest(self, subscriber: Subscriber) -> Any:
        self._full_ones -= self._full(subscriber)
        return super()._oldest(subscriber)

    def _close_subscriber(self, subscriber: Subscriber) -> None:
        self._full_ones -= self._full(subscriber) and not subscriber.closed
        super()._close_subscriber(subscriber)


@breaks("CH-3.2", "The room that is left is a number, which nobody measures when a subscriber joins an open channel.")
class MeasuresNoNewcomer(Channel):
    _left = math.inf

    def _room(self) -> bool:
        return self._left > 0

    def _measure(self) -> None:
        sizes = (subscriber.size - len(subscriber.backlog) for subscriber in self._subscribers if subscriber.size)
        self._left = min(sizes, default=math.inf)

    def _joined(self, end: Any) -> None:
        if self._state is ChannelState.initiation:
            self._measure()
        super()._joined(end)

    def _commit(self, message: Any) -> None:
        super()._commit(message)
        self._left -= 1

    def _subscriber_gone(self, subscriber: Subscriber) -> None:
        self._measure()
        super()._subscriber_gone(subscriber)

    def _taken(self, subscriber: Subscriber) -> None:
        self._measure()
        super()._taken(subscriber)
