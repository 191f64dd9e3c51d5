"""Defective channels: what becomes of a request to cancel that comes too late (CH-3.9, CH-4.8)."""

import asyncio
from typing import Any, ClassVar
from weakref import WeakSet

from ..plain import (
    SendTicket,
    Ticket,
)
from .planting import Channel, Publisher, Subscriber, breaks, closed


class Lingers(Channel):
    """Lets other tasks run after a send has committed or a read has taken its message; a request may come then."""

    lingers: ClassVar[str] = ""

    def _asked(self, task: "asyncio.Task[Any]") -> None:
        """What becomes of the request."""

    async def _send(self, publisher: Publisher, message: Any) -> None:
        await super()._send(publisher, message)
        if self.lingers == "send":
            await self._linger()

    async def _read(self, subscriber: Subscriber) -> Any:
        message = await super()._read(subscriber)
        if self.lingers == "read":
            await self._linger()
        return message

    async def _linger(self) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            self._asked(task)


class AsksAtOnce(Lingers):
    def _asked(self, task: "asyncio.Task[Any]") -> None:
        task.cancel()


class AsksThoughItIsWithdrawn(Lingers):
    def _asked(self, task: "asyncio.Task[Any]") -> None:
        asyncio.get_running_loop().call_soon(task.cancel)


@breaks("CH-3.9", "A request to cancel a send that has committed is forgotten.")
class CommittedSendsForgetTheRequest(Lingers):
    lingers = "send"


@breaks(
    "CH-3.9", "A request that was withdrawn still counts as one that is to be repeated, so the next one is forgotten."
)
class CommittedSendsRememberOneRequest(Lingers):
    lingers = "send"

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._to_be_repeated: WeakSet[asyncio.Task[Any]] = WeakSet()

    def _asked(self, task: "asyncio.Task[Any]") -> None:
        heard = task.cancelling() - 1

        def repeat() -> None:
            if task.cancelling() > heard and task.cancel():
                task.uncancel()
                self._to_be_repeated.discard(task)

        if task not in self._to_be_repeated:
            self._to_be_repeated.add(task)
            asyncio.get_running_loop().call_soon(repeat)


@breaks("CH-3.9", "A send that has committed repeats the request at once, before a time-out could withdraw it.")
class CommittedSendsGiveTheRequestBackAtOnce(AsksAtOnce):
    lingers = "send"


@breaks("CH-3.9", "A send that has committed repeats the request later, even if it has been withdrawn.")
class CommittedSendsGiveBackWhatIsWithdrawn(AsksThoughItIsWithdrawn):
    lingers = "send"


@breaks("CH-4.8", "A request to cancel a read that has its message is forgotten.")
class ReadsWithAMessageForgetTheRequest(Lingers):
    lingers = "read"


@breaks("CH-4.8", "A read that has its message repeats the request at once, before a time-out could withdraw it.")
class ReadsWithAMessageGiveTheRequestBackAtOnce(AsksAtOnce):
    lingers = "read"


@breaks("CH-4.8", "A read that has its message repeats the request later, even if it has been withdrawn.")
class ReadsWithAMessageGiveBackWhatIsWithdrawn(AsksThoughItIsWithdrawn):
    lingers = "read"


class Completed(Channel):
    """Others complete an operation before its task runs, so a request to cancel may come too late. It is given back."""

    completes: ClassVar[str] = ""

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._outcomes: dict[Ticket, Any] = {}
        self._owed: dict[asyncio.Task[Any] | None, int] = {}

    async def _begin(self) -> int:
        """The number of requests to cancel that the task has been told of before this operation."""
        task = asyncio.current_task()
        return self._owed.get(task, task.cancelling() if task else 0)

    def _give_back(self, heard: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._owed[task] = heard

        def ask_again() -> None:
            del self._owed[task]
            if task.cancelling() > heard:
                task.cancel()
                task.uncancel()  # `cancel` has counted the request once more

        asyncio.get_running_loop().call_soon(ask_again)

    async def _outcome(self, line: list[Any], ticket: Ticket, heard: int) -> Any:
        try:
            await ticket.signal
        except asyncio.CancelledError:
            if ticket not in self._outcomes:
                line.remove(ticket)
                raise
            self._give_back(heard)
        if ticket not in self._outcomes:
            line.remove(ticket)
            raise closed()
        return self._outcomes.pop(ticket)

    async def _send(self, publisher: Publisher, message: Any) -> None:
        if self.completes != "send":
            await super()._send(publisher, message)
            return
        heard = await self._begin()
        self._require_connected(publisher)
        ticket = SendTicket(publisher, message)
        self._sends.append(ticket)
        self._wake_sender()
        await self._outcome(self._sends, ticket, heard)

    def _wake_sender(self) -> None:
        if self.completes != "send":
            super()._wake_sender()
            return
        while (waiting := [each for each in self._sends if not each.publisher.closed]) and self._room():
            ticket = waiting[0]
            self._sends.remove(ticket)
            self._commit(ticket.message)
            self._outcomes[ticket] = None
            ticket.wake()

    async def _read(self, subscriber: Subscriber) -> Any:
        if self.completes != "read":
            return await super()._read(subscriber)
        heard = await self._begin()
        ticket = Ticket()
        subscriber.reads.append(ticket)
        self._wake_reader(subscriber)
        if subscriber.closed:
            ticket.wake()
        return await self._outcome(subscriber.reads, ticket, heard)

    def _wake_reader(self, subscriber: Subscriber) -> None:
        if self.completes != "read":
            super()._wake_reader(subscriber)
            return
        while subscriber.reads and subscriber.backlog:
            ticket = subscriber.reads.pop(0)
            self._outcomes[ticket] = self._oldest(subscriber)
            ticket.wake()
            self._taken(subscriber)


class KnowsOneRequest(Completed):
    async def _begin(self) -> int:
        if asyncio.current_task() in self._owed:
            await asyncio.sleep(0)  # a task that goes on at once hears of its request here
        return await super()._begin()

    def _give_back(self, heard: int) -> None:
        task = asyncio.current_task()
        super()._give_back(max(heard, task.cancelling() - 1) if task else heard)


@breaks(
    "CH-3.9",
    "Each send hands its task's request on to the next one, which has committed by then, so the task never ends.",
)
class SendsHandTheRequestOn(Completed):
    completes = "send"


@breaks(
    "CH-4.8",
    "Each read hands its task's request on to the next one, which has its message by then, so the task never ends.",
)
class ReadsHandTheRequestOn(Completed):
    completes = "read"


@breaks("CH-3.9", "A send that was asked to cancel twice takes the withdrawal of one request for that of both.")
class SendsKnowOneRequest(KnowsOneRequest):
    completes = "send"


@breaks("CH-4.8", "A read that was asked to cancel twice takes the withdrawal of one request for that of both.")
class ReadsKnowOneRequest(KnowsOneRequest):
    completes = "read"
