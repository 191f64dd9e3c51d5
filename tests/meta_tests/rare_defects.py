"""Defects that were labelled before anybody judged them: most show only if something comes between a wake-up and its task."""

from typing import Any

from channels.plain import PlainChannel, PlainPublisher, PlainSubscriber, SendTicket, Target, Ticket

__all__ = ["RARE"]

Subscriber = PlainSubscriber[Any]
Publisher = PlainPublisher[Any]


class DeliversWhenWokenAndCancelled(PlainChannel[Any]):
    """CH-3.8"""

    def _sender_cancelled(self, ticket: SendTicket[Any]) -> None:
        if ticket.signal.done() and not ticket.signal.cancelled() and self._may_commit(ticket):
            self._commit(ticket.message)
        super()._sender_cancelled(ticket)


class DropsWhenWokenAndCancelled(PlainChannel[Any]):
    """CH-4.5"""

    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        if ticket.signal.done() and not ticket.signal.cancelled() and subscriber.backlog:
            self._oldest(subscriber)
        super()._reader_cancelled(subscriber, ticket)


class KeepsTheRoomOfTheCancelled(PlainChannel[Any]):
    """CH-3.8"""

    def _sender_cancelled(self, ticket: SendTicket[Any]) -> None:
        self._sends.remove(ticket)
        if not ticket.signal.done() or ticket.signal.cancelled():
            self._wake_sender()


class KeepsTheMessageOfTheCancelled(PlainChannel[Any]):
    """CH-4.5"""

    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        subscriber.reads.remove(ticket)
        if not ticket.signal.done() or ticket.signal.cancelled():
            self._wake_reader(subscriber)


class FailsAllSends(PlainChannel[Any]):
    """CH-5.2"""

    def _fail_sends(self, publisher: Publisher) -> None:
        for ticket in self._sends:
            ticket.publisher = publisher
            ticket.wake()


class OneMoreAfterACancelledRead(PlainChannel[Any]):
    """CH-3.2"""

    _more = 0

    def _reader_cancelled(self, subscriber: Subscriber, ticket: Ticket) -> None:
        self._more = 1
        super()._reader_cancelled(subscriber, ticket)

    def _full(self, subscriber: Subscriber) -> bool:
        return subscriber.size > 0 and len(subscriber.backlog) >= subscriber.size + self._more


class JumpsTheBuffer(PlainChannel[Any]):
    """CH-4.1"""

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if subscriber.reads:
            subscriber.backlog.appendleft(message)
        else:
            subscriber.backlog.append(message)


class StaysForAWaitingSend(PlainChannel[Any]):
    """CH-1.3"""

    def _deserted(self) -> bool:
        return super()._deserted() and not self._sends


class LastReadFirst(PlainChannel[Any]):
    """CH-4.4"""

    def _first_read(self, subscriber: Subscriber) -> Ticket:
        return subscriber.reads[-1]


class OpensAgainForTheThird(PlainChannel[Any]):
    """CH-3.2"""

    def _full(self, subscriber: Subscriber) -> bool:
        return super()._full(subscriber) and len(self._subscribers) < 3


class KeepsOneMessageOfTheClosed(PlainChannel[Any]):
    """CH-4.2"""

    def _remove_subscriber(self, subscriber: Subscriber) -> None:
        super()._remove_subscriber(subscriber)
        while len(subscriber.backlog) > 1:
            subscriber.backlog.pop()


class BoundsTheUnbounded(PlainChannel[Any]):
    """CH-3.4"""

    def _full(self, subscriber: Subscriber) -> bool:
        largest = max(each.size for each in self._subscribers)
        return largest > 0 and len(subscriber.backlog) >= (subscriber.size or largest + 1)


class SwapsTheLineAfterACancelledSend(PlainChannel[Any]):
    """CH-3.8"""

    def _sender_cancelled(self, ticket: SendTicket[Any]) -> None:
        super()._sender_cancelled(ticket)
        if len(self._sends) > 1:
            self._sends.append(self._sends.pop(0))


class RepeatsToALateJoiner(PlainChannel[Any]):
    """CH-2.4"""

    _joined_late: Subscriber | None = None

    def _add_subscriber(self, size: int) -> Subscriber:
        subscriber = super()._add_subscriber(size)
        if len(self._sends) == 2:
            self._joined_late = subscriber
        return subscriber

    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        super()._deliver(subscriber, message)
        if subscriber is self._joined_late and len(self._sends) == 1:
            self._joined_late = None
            super()._deliver(subscriber, message)


class StaysInLineAfterItsPublisher(PlainChannel[Any]):
    """CH-3.8"""

    def _sender_cancelled(self, ticket: SendTicket[Any]) -> None:
        if not ticket.publisher.closed:
            super()._sender_cancelled(ticket)


class GivesAwayTheRoomOfTheClosed(PlainChannel[Any]):
    """CH-3.2"""

    _more = 0

    def _remove_subscriber(self, subscriber: Subscriber) -> None:
        self._more += self._full(subscriber)
        super()._remove_subscriber(subscriber)

    def _full(self, subscriber: Subscriber) -> bool:
        return subscriber.size > 0 and len(subscriber.backlog) >= subscriber.size + self._more


RARE: dict[str, tuple[str, Target]] = {
    channel.__name__: (str(channel.__doc__), Target(channel))
    for channel in (
        DeliversWhenWokenAndCancelled,
        DropsWhenWokenAndCancelled,
        KeepsTheRoomOfTheCancelled,
        KeepsTheMessageOfTheCancelled,
        FailsAllSends,
        OneMoreAfterACancelledRead,
        JumpsTheBuffer,
        StaysForAWaitingSend,
        LastReadFirst,
        OpensAgainForTheThird,
        KeepsOneMessageOfTheClosed,
        BoundsTheUnbounded,
        SwapsTheLineAfterACancelledSend,
        RepeatsToALateJoiner,
        StaysInLineAfterItsPublisher,
        GivesAwayTheRoomOfTheClosed,
    )
}
