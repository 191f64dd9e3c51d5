"""Defective channels: sending (CH-3)."""

import asyncio
from typing import Any

from ..plain import (
    ChannelState,
    End,
    PlainSubscriber,
    give_back,
    requests_heard,
)
from .planting import Channel, Publisher, Sending, Subscriber, breaks, closed


@breaks("CH-3.1", "A send delivers to the subscribers with room, and to the others as they get room.")
class DeliversOneByOne(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        missing = list(self._subscribers)
        while True:
            if ticket is self._first_send():
                for subscriber in [s for s in missing if s.closed or not self._full(s)]:
                    missing.remove(subscriber)
                    if not subscriber.closed:
                        super()._deliver(subscriber, ticket.message)
                        self._wake_reader(subscriber)
                if not missing:
                    return
            await ticket.woken()
            self._require_connected(ticket.publisher)

    def _commit(self, message: Any) -> None:
        pass

    def _wake_sender(self) -> None:
        if self._sends:
            self._first_send().wake()


@breaks("CH-3.1", "A full subscriber is skipped, so it misses the message that the others get.")
class PassesOverTheFull(Channel):
    def _room(self) -> bool:
        return True

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if not self._full(subscriber):
            super()._deliver(subscriber, message)


@breaks("CH-3.1", "While a subscriber is full, the message is dropped, and its send returns.")
class DropsWhileFull(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        pass

    def _commit(self, message: Any) -> None:
        if self._room():
            super()._commit(message)


@breaks("CH-3.2", "`>` instead of `>=`: every buffer holds one message more than its size.")
class BuffersOneTooMany(Channel):
    def _full(self, subscriber: Subscriber) -> bool:
        return 0 < subscriber.size < len(subscriber.backlog)


@breaks("CH-3.2", "No buffer ever holds back a send, whatever its size.")
class HasNoBackPressure(Channel):
    def _full(self, subscriber: Subscriber) -> bool:
        return False


@breaks("CH-3.2", "Only the subscriber that joined first is asked whether it is full.")
class AsksTheFirstSubscriberAlone(Channel):
    def _room(self) -> bool:
        return not any(self._full(subscriber) for subscriber in self._subscribers[:1])


@breaks("CH-3.2", "A send waits only while all subscribers are full, instead of any one.")
class WaitsWhileAllAreFull(Channel):
    def _room(self) -> bool:
        return not self._subscribers or not all(self._full(subscriber) for subscriber in self._subscribers)


@breaks("CH-3.2", "A send looks for room, lets other tasks run, and then commits without another look.")
class LooksForRoomTooEarly(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        if self._sends or not self._room():
            await super()._send(publisher, message)
        else:
            self._require_connected(publisher)
            await asyncio.sleep(0)
            self._require_connected(publisher)
            self._commit(message)


@breaks("CH-3.2", "Senders are woken for all the room there is, and don't check again: a small buffer may have joined.")
class WokenSendersDontLookAgain(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        if not self._may_commit(ticket):
            await ticket.woken()
            self._require_connected(ticket.publisher)

    def _wake_sender(self) -> None:
        room = [s.size - len(s.backlog) for s in self._subscribers if s.size]
        granted = sum(ticket.signal.done() for ticket in self._sends)
        for ticket in self._sends[granted : min(room, default=len(self._sends))]:
            ticket.wake()


@breaks("CH-3.3", "A send waits until somebody has subscribed.")
class SendingWaitsForASubscriber(Channel):
    def _room(self) -> bool:
        return bool(self._subscribers) and super()._room()

    def _joined(self, end: End) -> None:
        super()._joined(end)
        self._wake_sender()


@breaks("CH-3.3", "A send with no subscriber raises `ChannelClosedError`.")
class SendingNeedsASubscriber(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        if not self._subscribers:
            closed("nobody is there")
        await super()._send(publisher, message)


@breaks("CH-3.3", "A message that is sent with no subscriber is kept for the first one.")
class KeepsTheMessageForTheNext(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._kept: list[Any] = []

    def _commit(self, message: Any) -> None:
        if not self._subscribers:
            self._kept = [message]
        super()._commit(message)

    def _joined(self, end: End) -> None:
        super()._joined(end)
        if isinstance(end, PlainSubscriber):
            end.backlog.extend(self._kept)
            self._kept.clear()


@breaks("CH-3.4", "A read that makes room wakes no sender.")
class ReadsWakeNobody(Channel):
    def _taken(self, subscriber: Subscriber) -> None:
        pass


@breaks("CH-3.4", "Senders are woken only when a buffer has been emptied.")
class EmptyBuffersAloneWakeSenders(Channel):
    def _taken(self, subscriber: Subscriber) -> None:
        if not subscriber.backlog:
            super()._taken(subscriber)


@breaks("CH-3.4", "A sender that leaves does not wake the next one, although there is room for both.")
class OneWakeUpForSeveralSends(Channel):
    def _sender_done(self, ticket: Sending) -> None:
        self._sends.remove(ticket)


@breaks("CH-3.4", "The last sender in line is woken; it finds that it is not its turn, and waits again.")
class WakesTheWrongSender(Channel):
    def _wake_sender(self) -> None:
        if self._sends and self._room():
            self._sends[-1].wake()


@breaks("CH-3.4", "A size of 0 is treated as no room at all, so sends wait for ever.")
class ZeroIsNoRoom(Channel):
    def _full(self, subscriber: Subscriber) -> bool:
        return len(subscriber.backlog) >= subscriber.size


@breaks("CH-3.4", "A subscriber counts as full one message before it is.")
class BuffersOneTooFew(Channel):
    def _full(self, subscriber: Subscriber) -> bool:
        return 0 < subscriber.size <= len(subscriber.backlog) + (subscriber.size > 1)


@breaks("CH-3.4", "A send that was granted room, but whose publisher closes, does not pass on the wake-up.")
class FailedSendsWakeNobody(Channel):
    def _sender_left(self, ticket: Sending) -> None:
        self._sends.remove(ticket)
        if not ticket.publisher.closed:
            self._wake_sender()


@breaks("CH-3.5", "A new send that finds room commits ahead of those that wait.")
class NewSendsOvertake(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        self._require_connected(publisher)
        if self._room():
            self._commit(message)
        else:
            await super()._send(publisher, message)


@breaks("CH-3.5", "The last send in line commits first.")
class LastSendFirst(Channel):
    def _first_send(self) -> Sending:
        return self._sends[-1]


@breaks("CH-3.5", "Waiting sends commit by publisher, in the order in which the publishers connected.")
class SendsByPublisher(Channel):
    def _first_send(self) -> Sending:
        order = self._publishers
        return min(self._sends, key=lambda t: order.index(t.publisher) if t.publisher in order else -1)


@breaks("CH-3.5", "Two senders are woken for room for one, and the one that finds it gone goes to the end of the line.")
class WokenSendersQueueAgain(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        while not self._may_commit(ticket):
            await ticket.woken()
            self._require_connected(ticket.publisher)
            if not self._may_commit(ticket):
                self._sends.remove(ticket)
                self._sends.append(ticket)

    def _wake_sender(self) -> None:
        if self._room():
            for ticket in self._sends[:2]:
                ticket.wake()


@breaks("CH-3.6", "Messages that pile up reach all but the first subscriber in reverse order.")
class OrdersDiffer(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if subscriber in self._subscribers[1:] and subscriber.backlog:
            subscriber.backlog.insert(len(subscriber.backlog) - 1, message)
        else:
            super()._deliver(subscriber, message)


@breaks("CH-3.7", "A closed publisher can send.")
class ClosedPublishersSend(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        if publisher.closed:
            self._commit(message)
        else:
            await super()._send(publisher, message)


@breaks("CH-3.7", "A send on a closed publisher returns, and its message goes nowhere.")
class ClosedPublishersPretendToSend(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        if not publisher.closed:
            await super()._send(publisher, message)


@breaks("CH-3.7", "A send on a closed publisher raises `RuntimeError`.")
class ClosedPublishersRaiseAnotherError(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        if publisher.closed:
            raise RuntimeError("the publisher is closed")
        await super()._send(publisher, message)


@breaks("CH-3.7", "A woken send looks for room first, and commits although its publisher has closed.")
class WokenSendsLookForRoomFirst(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        while not self._may_commit(ticket):
            await ticket.woken()
            if not self._may_commit(ticket):
                self._require_connected(ticket.publisher)


@breaks(
    "CH-5.2", "A woken send that finds room looks whether the channel has closed, and not whether its publisher has."
)
class WokenSendsForgetTheirPublisher(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        while not self._may_commit(ticket):
            await ticket.woken()
            if self._state is ChannelState.closed or not self._may_commit(ticket):
                self._require_connected(ticket.publisher)


@breaks("CH-3.7", "Closing the channel leaves waiting sends asleep.")
class ClosingLeavesSendsAsleep(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        if self._state is not ChannelState.closed:
            super()._fail_sends(publisher)


@breaks("CH-3.7", "Closing the channel wakes only the first of the waiting sends.")
class ClosingWakesOneSend(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        if self._state is not ChannelState.closed:
            super()._fail_sends(publisher)
        elif self._sends:
            self._sends[0].wake()

    def _sender_left(self, ticket: Sending) -> None:
        self._sends.remove(ticket)
        if self._state is not ChannelState.closed:
            self._wake_sender()


@breaks("CH-3.7", "When the channel closes, waiting sends deliver to the subscribers that have room, and raise.")
class ClosingDeliversToSome(Channel):
    def _close_channel(self) -> None:
        for ticket in self._sends:
            for subscriber in self._subscribers:
                if not self._full(subscriber):
                    self._deliver(subscriber, ticket.message)
        super()._close_channel()


@breaks("CH-3.8", "The reader that makes room commits for the sender, which may have been cancelled before it runs.")
class ReadersCommitForSenders(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        if not self._may_commit(ticket):
            await ticket.woken()
            if ticket in self._sends:
                self._require_connected(ticket.publisher)

    def _commit(self, message: Any) -> None:
        if not any(ticket.message is message for ticket in self._committed):
            super()._commit(message)

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._committed: list[Sending] = []

    def _wake_sender(self) -> None:
        while self._sends and self._room() and not self._sends[0].signal.done():
            ticket = self._sends.pop(0)
            super()._commit(ticket.message)
            self._committed.append(ticket)
            ticket.wake()

    def _sender_left(self, ticket: Sending) -> None:
        if ticket in self._sends:
            self._sends.remove(ticket)
        if ticket in self._committed:
            self._committed.remove(ticket)
        self._wake_sender()


@breaks("CH-3.8", "A cancelled send delivers on its way out to the subscribers that have room.")
class CancelledSendsReachSome(Channel):
    def _sender_cancelled(self, ticket: Sending) -> None:
        for subscriber in self._subscribers:
            if not self._full(subscriber):
                self._deliver(subscriber, ticket.message)
                self._wake_reader(subscriber)
        super()._sender_cancelled(ticket)


@breaks("CH-3.8", "A send mistakes a cancellation for a wake-up, and keeps waiting.")
class SendsIgnoreCancelling(Channel):
    async def _wait_to_commit(self, ticket: Sending) -> None:
        while True:
            try:
                return await super()._wait_to_commit(ticket)
            except asyncio.CancelledError:
                ticket.signal = asyncio.get_running_loop().create_future()


@breaks("CH-3.8", "A cancelled send returns as if it had delivered.")
class CancelledSendsReturn(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        heard = requests_heard()
        try:
            await super()._send(publisher, message)
        except asyncio.CancelledError as error:
            give_back(error, heard)


@breaks("CH-3.8", "A sender that is cancelled after it was woken does not pass on the wake-up.")
class CancelledSendersKeepTheWakeUp(Channel):
    def _sender_cancelled(self, ticket: Sending) -> None:
        self._sends.remove(ticket)


@breaks("CH-3.8", "A cancelled sender passes on an earlier wake-up, but not one that came after the cancellation.")
class WakeUpsOfCancelledSendersAreLost(Channel):
    def _sender_cancelled(self, ticket: Sending) -> None:
        self._sends.remove(ticket)
        if not ticket.signal.cancelled():
            self._wake_sender()


@breaks("CH-3.4", "A send of None waits for ever: it is the mark of an empty place in the line.")
class NoneIsNotSent(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        if message is None:
            await asyncio.get_running_loop().create_future()
        await super()._send(publisher, message)


@breaks("CH-3.8", "A cancelled send stays in the line, and holds up everything behind it.")
class CancelledSendsStayInLine(Channel):
    def _sender_cancelled(self, ticket: Sending) -> None:
        pass


@breaks("CH-3.8", "A cancelled send lets the next one commit, although there is no room.")
class CancelledSendsLetTheNextGo(Channel):
    _pass: Sending | None = None

    def _may_commit(self, ticket: Sending) -> bool:
        return ticket is self._pass or super()._may_commit(ticket)

    def _sender_cancelled(self, ticket: Sending) -> None:
        first = ticket is self._sends[0]
        super()._sender_cancelled(ticket)
        if first and self._sends:
            self._pass = self._sends[0]
            self._pass.wake()


@breaks("CH-3.8", "After its commit a send lets other tasks run, and can be cancelled there although it has delivered.")
class SendsSuspendAfterTheCommit(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        await super()._send(publisher, message)
        await asyncio.sleep(0)


@breaks("CH-3.8", "Closing the channel cancels the futures of waiting sends, so they raise `CancelledError`.")
class ClosingCancelsSends(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in self._sends:
            if ticket.publisher is publisher:
                ticket.signal.cancel()
