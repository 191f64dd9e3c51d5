"""Defective channels: each is a sound one with one natural mistake, which breaks one rule and as little else as possible.

`DEFECTS` lists them all, and `channels.defective:<name>` is a target for the command. The classes are in the order of the
rules that they break.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, TypeVar

from .plain import (
    ChannelClosedError,
    ChannelState,
    End,
    PlainChannel,
    PlainPublisher,
    PlainSubscriber,
    SendTicket,
    Target,
    Ticket,
    give_back,
)

__all__ = ["DEFECTS", "Defect"]


class Defect(NamedTuple):
    """A channel that the suite must refuse.

    Attributes:
        name: the key in `DEFECTS`.
        rule: the rule that it breaks, and that a report should blame.
        why: the mistake, in one sentence.
        target: the channel.
    """

    name: str
    rule: str
    why: str
    target: Target


DEFECTS: dict[str, Defect] = {}

Class = TypeVar("Class", bound=type[PlainChannel[Any]])
Channel = PlainChannel[Any]
Publisher = PlainPublisher[Any]
Subscriber = PlainSubscriber[Any]
Sending = SendTicket[Any]


def breaks(rule: str, why: str) -> Callable[[Class], Class]:
    """Enter the decorated class into `DEFECTS`, under its name in snake case."""

    def enter(channel: Class) -> Class:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", channel.__name__).lower()
        DEFECTS[name] = Defect(name, rule, why, Target(channel))
        return channel

    return enter


def __getattr__(name: str) -> Target:
    try:
        return DEFECTS[name].target
    except KeyError:
        raise AttributeError(name) from None


def closed(why: str = "closed") -> NoReturn:
    raise ChannelClosedError(why)


# ------------------------------------------------------------------------------------------------------- CH-1: state


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


# ----------------------------------------------------------------------------------------------------- CH-2: joining


@breaks("CH-2.1", "`subscribe` on a closed channel returns a subscriber that is closed.")
class SubscribesWhenClosed(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        try:
            return await super().subscribe(buffer_size=buffer_size)
        except ChannelClosedError:
            subscriber: Subscriber = PlainSubscriber(self, 0)
            subscriber.closed = True
            return subscriber


@breaks("CH-2.1", "`connect` on a closed channel returns a publisher that is closed.")
class ConnectsWhenClosed(Channel):
    async def connect(self) -> Publisher:
        try:
            return await super().connect()
        except ChannelClosedError:
            publisher: Publisher = PlainPublisher(self)
            publisher.closed = True
            return publisher


@breaks(
    "CH-2.1", "Nothing keeps endpoints from joining a closed channel, where they wait for messages that can't come."
)
class JoinsWhatIsClosed(Channel):
    def _require_not_closed(self) -> None:
        pass


@breaks("CH-2.1", "Joining a closed channel raises `RuntimeError`.")
class RefusesWithAnotherError(Channel):
    def _require_not_closed(self) -> None:
        if self._state is ChannelState.closed:
            raise RuntimeError("the channel is closed")


@breaks("CH-2.1", "`connect` checks, lets other tasks run, and registers on a channel that has closed meanwhile.")
class ChecksLongBeforeItRegisters(Channel):
    async def connect(self) -> Publisher:
        self._require_not_closed()
        await asyncio.sleep(0)
        return self._add_publisher()


@breaks("CH-2.2", "`buffer_size or default` mistakes an explicit 0 for no value.")
class ZeroIsTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return super()._size(buffer_size) or self._default


@breaks("CH-2.2", "A subscriber's own size is checked, and then ignored.")
class IgnoresTheOwnSize(Channel):
    def _size(self, buffer_size: int | None) -> int:
        super()._size(buffer_size)
        return self._default


@breaks("CH-2.2", "The channel's default size is ignored: a subscriber without its own size is unbounded.")
class IgnoresTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return 0 if buffer_size is None else super()._size(buffer_size)


@breaks("CH-2.2", "A subscriber's own size becomes the channel's default.")
class OwnSizeBecomesTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        self._default = super()._size(buffer_size)
        return self._default


@breaks("CH-2.3", "True and False are accepted as sizes, because they are ints.")
class AcceptsBools(Channel):
    def _checked(self, buffer_size: int) -> int:
        return super()._checked(int(buffer_size) if isinstance(buffer_size, bool) else buffer_size)


@breaks("CH-2.3", "A float is accepted as a size.")
class AcceptsFloats(Channel):
    def _checked(self, buffer_size: int) -> int:
        return super()._checked(int(buffer_size) if isinstance(buffer_size, float) else buffer_size)


@breaks("CH-2.3", "None is accepted as the channel's size.")
class AcceptsNoneInTheConstructor(Channel):
    def __init__(self, buffer_size: int | None = None) -> None:
        super().__init__(0 if buffer_size is None else buffer_size)


@breaks("CH-2.3", "The constructor accepts a negative size as unbounded.")
class AcceptsANegativeDefault(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(0 if type(buffer_size) is int and buffer_size < 0 else buffer_size)


@breaks("CH-2.3", "`subscribe` accepts a negative size as unbounded.")
class AcceptsANegativeOwnSize(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return 0 if type(buffer_size) is int and buffer_size < 0 else super()._size(buffer_size)


@breaks("CH-2.3", "A size of the wrong type raises `ValueError`.")
class RefusesTypesWithValueError(Channel):
    def _checked(self, buffer_size: int) -> int:
        try:
            return super()._checked(buffer_size)
        except TypeError as error:
            raise ValueError(*error.args) from error


@breaks("CH-2.3", "A subscriber is registered before its size is found to be invalid, and stays.")
class RegistersBeforeItChecks(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        self._require_not_closed()
        subscriber = self._add_subscriber(0)
        subscriber.size = self._size(buffer_size)
        return subscriber


@breaks("CH-2.4", "A new subscriber begins with the last message that was sent before it joined.")
class ReplaysTheLast(Channel):
    _replayed = 1

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._log: list[Any] = []

    def _commit(self, message: Any) -> None:
        super()._commit(message)
        if self._subscribers:
            self._log.append(message)

    def _add_subscriber(self, size: int) -> Subscriber:
        subscriber = super()._add_subscriber(size)
        log = self._log[-self._replayed :]
        subscriber.backlog.extend(log[-size:] if size else log)
        return subscriber


@breaks("CH-2.4", "A new subscriber begins with the messages sent before it joined, as many as its size allows.")
class ReplaysAll(ReplaysTheLast):
    _replayed = 0


@breaks("CH-2.4", "A subscriber misses the first message after its joining.")
class MissesTheFirst(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._attentive: set[Subscriber] = set()

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if subscriber in self._attentive:
            super()._deliver(subscriber, message)
        self._attentive.add(subscriber)


@breaks("CH-2.4", "A subscriber receives messages only from its first read on.")
class ReceivesFromTheFirstRead(MissesTheFirst):
    async def _read(self, subscriber: Subscriber) -> Any:
        self._attentive.add(subscriber)
        return await super()._read(subscriber)

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if subscriber in self._attentive:
            subscriber.backlog.append(message)


@breaks(
    "CH-2.4", "A send lists its subscribers when it is called, so a subscriber that joins while it waits is left out."
)
class FixesTheReceiversAtTheCall(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        await super()._send(publisher, (list(self._subscribers), message))

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        receivers, data = message
        if subscriber in receivers:
            super()._deliver(subscriber, data)


@breaks("CH-2.4", "A message that equals the one before it is mistaken for a copy, and dropped.")
class DropsEqualMessages(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if not subscriber.backlog or subscriber.backlog[-1] != message:
            super()._deliver(subscriber, message)


@breaks("CH-2.4", "A message that is false, such as 0 or an empty string, is mistaken for no message.")
class DropsFalseMessages(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if message:
            super()._deliver(subscriber, message)


@breaks("CH-2.5", "`subscribe` waits while a subscriber is full.")
class SubscribingWaitsForRoom(Channel):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        size = self._size(buffer_size)
        while not self._room():
            self._wakers.append(asyncio.get_running_loop().create_future())
            await self._wakers[-1]
        self._require_not_closed()
        return self._add_subscriber(size)

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._wakers: list[asyncio.Future[None]] = []

    def _wake_sender(self) -> None:
        super()._wake_sender()
        if self._room():
            for waker in self._wakers:
                if not waker.done():
                    waker.set_result(None)
            self._wakers.clear()


@breaks("CH-2.5", "`connect` takes the lock that a send holds while it waits for room.")
class ConnectingWaitsForSends(SubscribingWaitsForRoom):
    async def subscribe(self, *, buffer_size: int | None = None) -> Subscriber:
        return await PlainChannel.subscribe(self, buffer_size=buffer_size)

    async def connect(self) -> Publisher:
        while self._sends and not self._room():
            self._wakers.append(asyncio.get_running_loop().create_future())
            await self._wakers[-1]
        return await super().connect()


# ----------------------------------------------------------------------------------------------------- CH-3: sending


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
        try:
            await super()._send(publisher, message)
        except asyncio.CancelledError as error:
            give_back(error)


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


# ----------------------------------------------------------------------------------------------------- CH-4: reading


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


@breaks("CH-4.7", "`async for` mistakes None for the end.")
class IterationEndsAtNone(Channel):
    async def _next(self, subscriber: Subscriber) -> Any:
        message = await super()._next(subscriber)
        if message is None:
            raise StopAsyncIteration
        return message


# ----------------------------------------------------------------------------------------------------- CH-5: closing


@breaks("CH-5.1", "Closing a subscriber again raises, because it is no longer in the list.")
class SecondCloseRaises(Channel):
    def _close_subscriber(self, subscriber: Subscriber) -> None:
        if subscriber.closed:
            raise ValueError("not connected")
        super()._close_subscriber(subscriber)


@breaks("CH-5.1", "Closing the channel again raises `ChannelClosedError`.")
class SecondChannelCloseRaises(Channel):
    async def _close(self, end: End) -> None:
        if end is self:
            self._require_not_closed()
        await super()._close(end)


@breaks(
    "CH-5.1", "A publisher that is closed twice counts twice, so the channel closes while another one is connected."
)
class SecondCloseCountsAgain(Channel):
    _count = 0

    def _joined(self, end: End) -> None:
        self._count += isinstance(end, PlainPublisher)
        super()._joined(end)

    def _close_publisher(self, publisher: Publisher) -> None:
        if not publisher.closed or self._state is ChannelState.open:
            self._count -= 1
        if not publisher.closed:
            self._remove_publisher(publisher)
        self._close_if_deserted()

    def _deserted(self) -> bool:
        return self._count <= 0 or not self._subscribers


@breaks("CH-5.1", "Closing the channel takes effect, but returns only when its subscribers have read everything.")
class ClosingWaitsForReads(Channel):
    _drained: asyncio.Event | None = None

    async def _close(self, end: End) -> None:
        subscribers = list(self._subscribers)
        await super()._close(end)
        while end is self and any(subscriber.backlog for subscriber in subscribers):
            self._drained = asyncio.Event()
            await self._drained.wait()

    def _taken(self, subscriber: Subscriber) -> None:
        super()._taken(subscriber)
        if self._drained:
            self._drained.set()


@breaks("CH-5.1", "Closing a subscriber first lets it read everything that it has, and takes effect only then.")
class ClosingDrainsFirst(ClosingWaitsForReads):
    async def _close(self, end: End) -> None:
        while isinstance(end, PlainSubscriber) and end.backlog and not end.closed:
            self._drained = asyncio.Event()
            await self._drained.wait()
        self._close_now(end)


@breaks("CH-5.1", "The work of closing is left to a task, so it takes effect later.")
class ClosesInATask(Channel):
    async def _close(self, end: End) -> None:
        self._closing = asyncio.get_running_loop().create_task(super()._close(end))


@breaks("CH-5.1", "Closing lets other tasks run before it takes effect, and may be cancelled there.")
class SuspendsBeforeTheClose(Channel):
    async def _close(self, end: End) -> None:
        await asyncio.sleep(0)
        await super()._close(end)


@breaks("CH-5.1", "Closing the channel lets other tasks run between its two halves, and may be cancelled there.")
class ClosesInTwoHalves(Channel):
    async def _close(self, end: End) -> None:
        if end is self:
            self._state = ChannelState.closed
            for publisher in list(self._publishers):
                self._remove_publisher(publisher)
            await asyncio.sleep(0)
        await super()._close(end)


@breaks("CH-5.2", "Closing a publisher fails the waiting sends of every publisher.")
class ClosingFailsTheSendsOfOthers(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in self._sends:
            if not ticket.signal.done():
                ticket.signal.set_exception(ChannelClosedError())


@breaks("CH-5.2", "Closing a publisher leaves its waiting sends asleep until there is room.")
class ClosingLeavesOwnSendsAsleep(Channel):
    def _fail_sends(self, publisher: Publisher) -> None:
        pass

    def _close_channel(self) -> None:
        super()._close_channel()
        for ticket in self._sends:
            ticket.wake()


@breaks("CH-5.2", "Closing a publisher fails only the first of its waiting sends.")
class ClosingFailsOneOwnSend(ClosingLeavesOwnSendsAsleep):
    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in [ticket for ticket in self._sends if ticket.publisher is publisher][:1]:
            ticket.wake()


@breaks("CH-5.3", "Closing a full subscriber wakes no sender, although nothing else held them back.")
class ClosingASubscriberWakesNobody(Channel):
    def _subscriber_gone(self, subscriber: Subscriber) -> None:
        pass


class RemembersItsSubscribers(Channel):
    """Base of the next two: nothing takes a subscriber out of this list."""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._remembered: list[Subscriber] = []

    def _joined(self, end: End) -> None:
        super()._joined(end)
        if isinstance(end, PlainSubscriber):
            self._remembered.append(end)


@breaks("CH-5.3", "A full subscriber holds back every send, even after it has closed.")
class ClosedSubscribersHoldBack(RemembersItsSubscribers):
    def _room(self) -> bool:
        return not any(self._full(subscriber) for subscriber in self._remembered)


@breaks("CH-5.3", "A subscriber still receives messages after it has closed.")
class ClosedSubscribersReceive(RemembersItsSubscribers):
    def _commit(self, message: Any) -> None:
        for subscriber in self._remembered:
            self._deliver(subscriber, message)
            self._wake_reader(subscriber)


@breaks("CH-5.4", "The end of `async with` does not close the channel.")
class WithLeavesTheChannelOpen(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if end is self else await super()._exit(end, error)


@breaks("CH-5.4", "The end of `async with` does not close a publisher.")
class WithLeavesThePublisherOpen(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if isinstance(end, PlainPublisher) else await super()._exit(end, error)


@breaks("CH-5.4", "The end of `async with` does not close a subscriber.")
class WithLeavesTheSubscriberOpen(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if isinstance(end, PlainSubscriber) else await super()._exit(end, error)


@breaks("CH-5.4", "`async with` closes at its end, but not if an exception ends it.")
class WithLeavesOpenOnAnException(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if error else await super()._exit(end, error)


@breaks("CH-5.4", "`async with` swallows the exception that ends it.")
class WithSwallowsExceptions(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await super()._exit(end, error)
        return True


@breaks("CH-5.4", "`async with` swallows a `ChannelClosedError` that ends it.")
class WithSwallowsClosedErrors(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await super()._exit(end, error)
        return isinstance(error, ChannelClosedError)


@breaks("CH-5.4", "`async with` replaces the exception that ends it with another one.")
class WithReplacesExceptions(Channel):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        await super()._exit(end, error)
        if isinstance(error, Exception):
            raise RuntimeError("closed by an exception") from error
        return False
