"""Defective channels: how blocks of `async with` end (CH-5.4)."""

import asyncio
from typing import ClassVar

from ..plain import (
    End,
    PlainChannel,
    PlainPublisher,
    PlainSubscriber,
)
from .planting import Channel, breaks, closed


class Blocks(Channel):
    """A mistake in `async with` of one kind of end."""

    kind: ClassVar[type[End]]

    async def _exit(self, end: End, error: BaseException | None) -> bool:
        if isinstance(end, self.kind):
            return await self._exit_wrongly(end, error)
        return await super()._exit(end, error)

    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        raise NotImplementedError


class StaysOpenWhenCancelled(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        if not isinstance(error, asyncio.CancelledError):
            await end.close()
        return False


class RaisesWhenClosedMeanwhile(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        if getattr(end, "closed", self._state.name == "closed"):
            closed("closed already")
        await end.close()
        return False


class StaysOpenWithMessages(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        if not any(subscriber.backlog for subscriber in self._subscribers):
            await end.close()
        return False


class ClosesInATask(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        self._closing = asyncio.ensure_future(end.close())
        return False


class LosesTheCancellation(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        await end.close()
        return isinstance(error, asyncio.CancelledError)


class RaisesAnewWhenCancelled(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        await end.close()
        if isinstance(error, asyncio.CancelledError):
            closed("cancelled")
        return False


class RaisesAgain(Blocks):
    async def _exit_wrongly(self, end: End, error: BaseException | None) -> bool:
        await end.close()
        if error:
            raise error
        return False


@breaks(
    "CH-5.4", "The end of a channel's block raises its exception again, which turns a `StopIteration` into another."
)
class BlocksRaiseTheErrorAgain(RaisesAgain):
    kind = PlainChannel


@breaks("CH-5.4", "A channel's block that is cancelled leaves it open.")
class CancelledBlocksLeaveTheChannelOpen(StaysOpenWhenCancelled):
    kind = PlainChannel


@breaks("CH-5.4", "A publisher's block that is cancelled leaves it open.")
class CancelledBlocksLeaveThePublisherOpen(StaysOpenWhenCancelled):
    kind = PlainPublisher


@breaks("CH-5.4", "A subscriber's block that is cancelled leaves it open.")
class CancelledBlocksLeaveTheSubscriberOpen(StaysOpenWhenCancelled):
    kind = PlainSubscriber


@breaks("CH-5.4", "A channel's block raises if the channel was closed inside.")
class BlocksRaiseWhenTheChannelIsClosed(RaisesWhenClosedMeanwhile):
    kind = PlainChannel


@breaks("CH-5.4", "A publisher's block raises if the publisher or its channel was closed inside.")
class BlocksRaiseWhenThePublisherIsClosed(RaisesWhenClosedMeanwhile):
    kind = PlainPublisher


@breaks("CH-5.4", "A subscriber's block raises if the subscriber or its channel was closed inside.")
class BlocksRaiseWhenTheSubscriberIsClosed(RaisesWhenClosedMeanwhile):
    kind = PlainSubscriber


@breaks("CH-5.4", "The cancellation of a subscriber's block ends with the block.")
class BlocksLoseTheCancellation(LosesTheCancellation):
    kind = PlainSubscriber


@breaks("CH-5.4", "The cancellation of a publisher's block becomes another error.")
class BlocksReplaceTheCancellation(RaisesAnewWhenCancelled):
    kind = PlainPublisher


@breaks("CH-5.4", "A subscriber's block leaves it open while there are messages to read.")
class BlocksWithMessagesLeaveTheSubscriberOpen(StaysOpenWithMessages):
    kind = PlainSubscriber


@breaks("CH-5.4", "A channel's block leaves it open while there are messages to read.")
class BlocksWithMessagesLeaveTheChannelOpen(StaysOpenWithMessages):
    kind = PlainChannel


@breaks("CH-5.4", "A publisher's block closes it in a task.")
class BlocksCloseThePublisherInATask(ClosesInATask):
    kind = PlainPublisher


@breaks("CH-4.2", "The end of a block drops what its subscriber has not read.")
class BlocksDropMessages(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        if isinstance(end, PlainSubscriber):
            end.backlog.clear()
        return await super()._exit(end, error)
