"""Defective channels: reading (CH-4)."""

import asyncio
from collections.abc import Hashable
from typing import Any

from ..plain import (
    ChannelClosedError,
    ChannelState,
    Ticket,
)
from .planting import Channel, Sending, Subscriber, breaks, closed


@breaks("CH-4.1", "`pop()` instead of `popleft()`: the newest message is read first.")
class NewestFirst(Channel):
    def _oldest(self, subscriber: Subscriber) -> Any:
        return subscriber.backlog.pop()


@breaks("CH-4.1", "A read of an empty buffer returns None.")
class EmptyReadsReturnNone(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        if not subscriber.backlog and not subscriber.closed and not subscriber.reads:
            return None
        return await super()._read(subscriber)


@breaks("CH-4.1", "A read of an empty buffer raises `ChannelClosedError`, as if no more messages could come.")
class EmptyReadsRaise(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        if not subscriber.backlog:
            closed()
        return await super()._read(subscriber)


@breaks("CH-4.1", "Of equal messages in a buffer, all reads return the oldest.")
class SharesEqualMessages(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        alike = (each for each in subscriber.backlog if isinstance(each, Hashable) and each == message)
        super()._deliver(subscriber, next(alike, message) if isinstance(message, Hashable) else message)


@breaks("CH-4.2", "Closing a subscriber drops what it has not read.")
class ClosingTheSubscriberDropsMessages(Channel):
    def _close_subscriber(self, subscriber: Subscriber) -> None:
        super()._close_subscriber(subscriber)
        subscriber.backlog.clear()


@breaks("CH-4.2", "Closing the channel drops what its subscribers have not read.")
class ClosingTheChannelDropsMessages(Channel):
    def _close_channel(self) -> None:
        subscribers = list(self._subscribers)
        super()._close_channel()
        for subscriber in subscribers:
            subscriber.backlog.clear()


@breaks("CH-4.2", "Closing the channel trims what its slowest subscriber has yet to read from what the others keep.")
class ClosingLosesTheOldest(Channel):
    def _close_channel(self) -> None:
        subscribers = list(self._subscribers)
        super()._close_channel()
        fewest = min((len(subscriber.backlog) for subscriber in subscribers), default=0)
        for subscriber in subscribers:
            if fewest < len(subscriber.backlog):
                subscriber.backlog.popleft()


@breaks("CH-4.2", "A read checks whether it is closed before it checks for a message.")
class LooksForClosedBeforeMessages(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        if subscriber.closed:
            closed()
        return await super()._read(subscriber)


@breaks("CH-4.2", "A close fails all waiting reads, even one that was woken for a message.")
class ClosingFailsReadsWithAMessage(Channel):
    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        while not self._may_take(subscriber, ticket):
            await ticket.woken()
            if subscriber.closed:
                closed()


@breaks("CH-4.2", "A read behind another one fails if the subscriber has closed, although a message is left for it.")
class ReadsInLineFailOnceClosed(Channel):
    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        while not self._may_take(subscriber, ticket):
            if subscriber.closed:
                closed()
            await ticket.woken()


@breaks("CH-4.2", "A read on a closed, empty subscriber waits for ever.")
class ClosedAndEmptyReadsWait(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        if subscriber.closed and not subscriber.backlog:
            await asyncio.get_running_loop().create_future()
        return await super()._read(subscriber)


@breaks("CH-4.3", "Closing a subscriber leaves its own waiting reads asleep.")
class ClosingTheSubscriberLeavesReadsAsleep(Channel):
    def _end_reads(self, subscriber: Subscriber) -> None:
        if self._state is ChannelState.closed:
            super()._end_reads(subscriber)


@breaks("CH-4.3", "Closing the channel leaves the waiting reads of its subscribers asleep.")
class ClosingTheChannelLeavesReadsAsleep(Channel):
    def _end_reads(self, subscriber: Subscriber) -> None:
        if self._state is not ChannelState.closed:
            super()._end_reads(subscriber)


@breaks("CH-4.3", "A channel that closes because its last publisher has left leaves waiting reads asleep.")
class DesertionLeavesReadsAsleep(Channel):
    _deserting = False

    def _close_if_deserted(self) -> None:
        self._deserting = True
        super()._close_if_deserted()
        self._deserting = False

    def _end_reads(self, subscriber: Subscriber) -> None:
        if not self._deserting:
            super()._end_reads(subscriber)


@breaks("CH-4.3", "A close wakes only the first of several waiting reads.")
class ClosingWakesOneRead(Channel):
    def _end_reads(self, subscriber: Subscriber) -> None:
        for ticket in subscriber.reads[:1]:
            ticket.wake()

    def _reader_left(self, subscriber: Subscriber, ticket: Ticket) -> None:
        subscriber.reads.remove(ticket)
        if subscriber.backlog:
            self._wake_reader(subscriber)


@breaks("CH-4.4", "A read looks at a message, lets other tasks run, then takes it: another read gets it too.")
class ReadsPeekThenTake(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        if subscriber.backlog and not subscriber.reads:
            message = subscriber.backlog[0]
            await asyncio.sleep(0)
            if subscriber.backlog and subscriber.backlog[0] is message:
                self._take(subscriber)
            return message
        return await super()._read(subscriber)


@breaks("CH-4.4", "The last read in line goes first.")
class LastReadFirst(Channel):
    def _first_read(self, subscriber: Subscriber) -> Ticket:
        return subscriber.reads[-1]


@breaks("CH-4.4", "A new read takes a message ahead of waiting reads that have been woken and have yet to run.")
class NewReadsOvertake(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        return self._take(subscriber) if subscriber.backlog else await super()._read(subscriber)


@breaks("CH-4.4", "Two readers are woken for one message, and the one that finds it gone goes to the end of the line.")
class WokenReadersQueueAgain(Channel):
    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        while not self._may_take(subscriber, ticket):
            await ticket.woken()
            if not self._may_take(subscriber, ticket):
                subscriber.reads.remove(ticket)
                subscriber.reads.append(ticket)

    def _wake_reader(self, subscriber: Subscriber) -> None:
        if self._readable(subscriber):
            for ticket in subscriber.reads[:2]:
                ticket.wake()


@breaks("CH-4.4", "A message goes to every waiting read of the subscriber.")
class EveryReadGetsTheMessage(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        for _ in range(max(1, len(subscriber.reads) - len(subscriber.backlog))):
            super()._deliver(subscriber, message)


class HandsMessagesOver(Channel):
    """Base of the next two: a message that arrives while a read waits goes straight to that read."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._handed: dict[Ticket, Any] = {}

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        ticket = next((t for t in subscriber.reads if t not in self._handed and not t.signal.done()), None)
        if ticket is None or subscriber.backlog:
            super()._deliver(subscriber, message)
        else:
            self._handed[ticket] = message
            ticket.wake()

    async def _read(self, subscriber: Subscriber) -> Any:
        ticket = Ticket()
        subscriber.reads.append(ticket)
        try:
            while ticket not in self._handed and not self._may_take(subscriber, ticket):
                await ticket.woken()
        except asyncio.CancelledError:
            self._reader_cancelled(subscriber, ticket)
            raise
        try:
            return self._handed.pop(ticket) if ticket in self._handed else self._take(subscriber)
        finally:
            self._reader_done(subscriber, ticket)


@breaks("CH-4.5", "A message handed to a read that is cancelled before it runs is lost.")
class CancelledReadsLoseTheMessage(HandsMessagesOver):
    pass


@breaks("CH-4.5", "A message handed to a read that is cancelled before it runs is put back at the wrong end.")
class CancelledReadsPutTheMessageLast(HandsMessagesOver):
    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        if ticket in self._handed:
            subscriber.backlog.append(self._handed.pop(ticket))
        super()._reader_cancelled(subscriber, ticket)


@breaks("CH-4.5", "A reader that is cancelled after it was woken does not pass on the wake-up.")
class CancelledReadersKeepTheWakeUp(Channel):
    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        subscriber.reads.remove(ticket)


@breaks("CH-4.5", "A cancelled reader passes on an earlier wake-up, but not one that came after the cancellation.")
class WakeUpsOfCancelledReadersAreLost(Channel):
    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        subscriber.reads.remove(ticket)
        if not ticket.signal.cancelled():
            self._wake_reader(subscriber)


@breaks("CH-4.5", "A read mistakes a cancellation for a wake-up, and keeps waiting.")
class ReadsIgnoreCancelling(Channel):
    async def _wait_to_take(self, subscriber: Subscriber, ticket: Ticket) -> None:
        while True:
            try:
                return await super()._wait_to_take(subscriber, ticket)
            except asyncio.CancelledError:
                ticket.signal = asyncio.get_running_loop().create_future()


@breaks("CH-4.5", "After taking its message, a read lets other tasks run, and can be cancelled there.")
class ReadsSuspendAfterTheTaking(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        message = await super()._read(subscriber)
        await asyncio.sleep(0)
        return message


@breaks("CH-4.5", "A cancelled read stays in the line, and holds up everything behind it.")
class CancelledReadsStayInLine(Channel):
    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        pass


@breaks("CH-4.5", "A cancelled read drops the oldest message, for which it had been woken.")
class CancelledReadsDropTheMessage(Channel):
    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        if subscriber.backlog and ticket is self._first_read(subscriber) and not ticket.signal.cancelled():
            self._take(subscriber)
        super()._reader_cancelled(subscriber, ticket)


@breaks("CH-4.6", "A new message wakes no read.")
class MessagesWakeNobody(Channel):
    def _commit(self, message: Any) -> None:
        for subscriber in self._subscribers:
            self._deliver(subscriber, message)


@breaks("CH-4.6", "Only a message that finds the buffer empty wakes a read, but two may come before it runs.")
class OneWakeUpForSeveralMessages(Channel):
    def _reader_done(self, subscriber: Subscriber, ticket: Ticket) -> None:
        subscriber.reads.remove(ticket)
        if subscriber.closed:
            self._wake_reader(subscriber)

    def _commit(self, message: Any) -> None:
        for subscriber in self._subscribers:
            self._deliver(subscriber, message)
            if len(subscriber.backlog) == 1:
                self._wake_reader(subscriber)


@breaks("CH-4.6", "A send that had to wait delivers without waking anybody.")
class SendsThatWaitedWakeNobody(Channel):
    _waited = False

    async def _wait_to_commit(self, ticket: Sending) -> None:
        waited = not self._may_commit(ticket)
        await super()._wait_to_commit(ticket)
        self._waited = waited

    def _commit(self, message: Any) -> None:
        for subscriber in self._subscribers:
            self._deliver(subscriber, message)
            if not self._waited:
                self._wake_reader(subscriber)


@breaks("CH-4.6", "Only reads of the first subscriber are woken.")
class WakesTheFirstSubscriberAlone(Channel):
    def _commit(self, message: Any) -> None:
        for subscriber in self._subscribers:
            self._deliver(subscriber, message)
        for subscriber in self._subscribers[:1]:
            self._wake_reader(subscriber)


@breaks("CH-4.7", "`async for` raises `ChannelClosedError` at the end.")
class IterationRaises(Channel):
    async def _next(self, subscriber: Subscriber) -> Any:
        return await self._read(subscriber)


@breaks("CH-4.7", "`async for` ends when its subscriber is closed, although messages are left.")
class IterationEndsEarly(Channel):
    async def _next(self, subscriber: Subscriber) -> Any:
        if subscriber.closed:
            raise StopAsyncIteration
        return await super()._next(subscriber)


@breaks("CH-4.7", "`async for` waits for ever instead of ending.")
class IterationNeverEnds(Channel):
    async def _next(self, subscriber: Subscriber) -> Any:
        try:
            return await self._read(subscriber)
        except ChannelClosedError:
            return await asyncio.get_running_loop().create_future()


@breaks("CH-4.7", "`async for` mistakes its own cancellation for the end.")
class IterationEndsWhenCancelled(Channel):
    async def _next(self, subscriber: Subscriber) -> Any:
        try:
            return await super()._next(subscriber)
        except asyncio.CancelledError:
            raise StopAsyncIteration from None


@breaks(
    "CH-3.2",
    "A step of `async for` also takes the next message, to have it at hand, and so makes room for one too many.",
)
class IterationLooksAhead(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._at_hand: dict[Subscriber, Any] = {}

    async def _next(self, subscriber: Subscriber) -> Any:
        message = await super()._next(subscriber)
        if subscriber.backlog:
            self._at_hand[subscriber] = super()._take(subscriber)
        return message

    def _readable(self, subscriber: Subscriber) -> bool:
        return subscriber in self._at_hand or super()._readable(subscriber)

    def _take(self, subscriber: Subscriber) -> Any:
        if subscriber in self._at_hand:
            return self._at_hand.pop(subscriber)
        return super()._take(subscriber)


@breaks("CH-4.7", "`async for` mistakes None for the end.")
class IterationEndsAtNone(Channel):
    async def _next(self, subscriber: Subscriber) -> Any:
        message = await super()._next(subscriber)
        if message is None:
            raise StopAsyncIteration
        return message


@breaks("CH-4.6", "None in a buffer is taken for no message, so reads wait beside it.")
class NoneIsNoMessage(Channel):
    def _readable(self, subscriber: Subscriber) -> bool:
        return next(iter(subscriber.backlog), None) is not None or subscriber.closed


@breaks("CH-4.6", "A buffer that begins with None counts as empty, also after its close.")
class NoneIsAnEmptyBuffer(NoneIsNoMessage):
    def _take(self, subscriber: Subscriber) -> Any:
        if next(iter(subscriber.backlog), None) is None:
            closed()
        return super()._take(subscriber)
