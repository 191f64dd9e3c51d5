"""A sound channel in which one task decides everything."""

import asyncio
from enum import Enum
from typing import Any, Generic, TypeVar

from ..plain import (
    give_back,
    requests_heard,
)
from .offering import Closing, Reading, valid_size

T = TypeVar("T")


class Phase(Enum):
    initiation = "initiation"
    open = "open"
    closed = "closed"


class EndOfChannel(RuntimeError):
    pass


class Request(Generic[T]):
    """A request of an operation to the arbiter, which is decided once `verdict` is set."""

    def __init__(self, by: "Sender[T] | Receiver[T]", what: T | None = None) -> None:
        self.by = by
        self.what = what
        self.verdict: str | None = None
        self.bell = asyncio.Event()

    def decide(self, verdict: str) -> None:
        self.verdict = verdict
        self.bell.set()


class ArbiterChannel(Closing, Generic[T]):
    """Sends and reads are requests, which one callback of the loop decides, in order.

    So the arbiter's step commits a message, and takes one. An operation that is cancelled after that learns of it too late,
    and still returns. This channel also has its own kinds of states and of error.
    """

    def __init__(self, buffer_size: int = 0) -> None:
        self.limit = valid_size(buffer_size)
        self.phase = Phase.initiation
        self.inputs: list[Sender[T]] = []
        self.outputs: list[Receiver[T]] = []
        self.requests: list[Request[T]] = []

    @property
    def state(self) -> Phase:
        return self.phase

    async def subscribe(self, *, buffer_size: int | None = None) -> "Receiver[T]":
        receiver = Receiver(self, self.limit if buffer_size is None else valid_size(buffer_size))
        self.admit(self.outputs, receiver)
        return receiver

    async def connect(self) -> "Sender[T]":
        sender = Sender(self)
        self.admit(self.inputs, sender)
        return sender

    def admit(self, group: list[Any], end: object) -> None:
        if self.phase is Phase.closed:
            raise EndOfChannel
        group.append(end)
        if self.inputs and self.outputs:
            self.phase = Phase.open

    async def close(self) -> None:
        self.phase = Phase.closed
        self.dismiss(*self.inputs)
        self.outputs.clear()
        asyncio.get_running_loop().call_soon(self.arbitrate)

    def dismiss(self, *senders: "Sender[T]") -> None:
        self.inputs = [sender for sender in self.inputs if sender not in senders]
        for request in self.requests:
            if request.by in senders and request.verdict is None:
                request.decide("closed")

    async def parted(self) -> None:
        if self.phase is Phase.open and not (self.inputs and self.outputs):
            await self.close()
        asyncio.get_running_loop().call_soon(self.arbitrate)

    async def ask(self, request: Request[T]) -> T | None:
        self.requests.append(request)
        asyncio.get_running_loop().call_soon(self.arbitrate)
        heard = requests_heard()
        try:
            await request.bell.wait()
        except asyncio.CancelledError as error:
            if request.verdict is None:
                self.requests.remove(request)
                raise
            give_back(error, heard)
        if request.verdict == "closed":
            raise EndOfChannel
        return request.what

    def arbitrate(self) -> None:
        """Decide requests until no further one can be decided."""
        before = None
        while before != len(self.requests):
            before = len(self.requests)
            undecided: set[object] = set()
            for request in self.requests:
                line = "sends" if isinstance(request.by, Sender) else request.by
                if request.verdict is None and (line in undecided or not self.could_decide(request)):
                    undecided.add(line)
            self.requests = [request for request in self.requests if request.verdict is None]

    def could_decide(self, request: Request[T]) -> bool:
        if isinstance(request.by, Sender):
            if any(receiver.replete() for receiver in self.outputs):
                return False
            for receiver in self.outputs:
                receiver.store.append(request.what)
            request.decide("sent")
        elif request.by.store:
            request.what = request.by.store.pop(0)
            request.decide("received")
        elif request.by not in self.outputs:
            request.decide("closed")
        return request.verdict is not None


class Receiver(Reading[T]):
    closed_error = EndOfChannel

    def __init__(self, channel: ArbiterChannel[T], limit: int) -> None:
        self.channel = channel
        self.limit = limit
        self.store: list[T | None] = []

    def replete(self) -> bool:
        return 0 < self.limit <= len(self.store)

    async def read(self) -> T:
        return await self.channel.ask(Request(self))  # type: ignore[return-value]

    async def close(self) -> None:
        if self in self.channel.outputs:
            self.channel.outputs.remove(self)
            await self.channel.parted()


class Sender(Closing, Generic[T]):
    def __init__(self, channel: ArbiterChannel[T]) -> None:
        self.channel = channel

    async def send(self, message: T) -> None:
        if self not in self.channel.inputs:
            raise EndOfChannel
        await self.channel.ask(Request(self, message))

    async def close(self) -> None:
        if self in self.channel.inputs:
            self.channel.dismiss(self)
            await self.channel.parted()
