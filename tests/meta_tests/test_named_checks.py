"""Each named check refuses a channel with the mistake that it is there for. No drawn case shows these."""

import asyncio
import copy
import sys
import threading
from collections.abc import Coroutine
from typing import Any, ClassVar
from weakref import WeakSet

import pytest
from channels.plain import ChannelState, End, PlainChannel, PlainPublisher, PlainSubscriber, Target, give_back

from aioservicekit_conformance.checks.registry import CHECKS
from aioservicekit_conformance.checks.runner import run_check
from aioservicekit_conformance.report.failure_file import KeptFailure
from aioservicekit_conformance.report.program import program_of_check
from aioservicekit_conformance.target import describe, load

Channel = PlainChannel[Any]
Subscriber = PlainSubscriber[Any]
Publisher = PlainPublisher[Any]


class AsksForItsLoop(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        if threading.current_thread() is not threading.main_thread():
            asyncio.get_running_loop()  # as `get_event_loop` does there


class DefaultOfTheClass(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        type(self)._size_of_all = buffer_size

    _size_of_all: ClassVar[int] = 0

    def _size(self, buffer_size: int | None) -> int:
        return self._size_of_all if buffer_size is None else super()._size(buffer_size)


class EndsOfTheClass(Channel):
    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._subscribers = self._all

    _all: ClassVar[list[Subscriber]] = []


class OpensForAnySubscriber(Channel):
    """A channel that counts the subscribers of its loop."""

    _listening: ClassVar[WeakSet[asyncio.AbstractEventLoop]] = WeakSet()

    def _joined(self, end: End) -> None:
        if isinstance(end, PlainSubscriber):
            self._listening.add(asyncio.get_running_loop())
        super()._joined(end)

    def _complete(self) -> bool:
        return bool(self._publishers) and asyncio.get_running_loop() in self._listening


class ClosesAll(Channel):
    _all: ClassVar[list[Channel]] = []

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._all.append(self)

    async def close(self) -> None:
        for channel in self._all:
            channel._close_channel()


class KnowsNoNone(Channel):
    async def subscribe(self, **size: Any) -> Subscriber:
        self._checked(size.get("buffer_size", 0))
        return await super().subscribe(**size)


class CutsSizesOfItsOwn(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return min(super()._size(buffer_size), 8) if buffer_size else super()._size(buffer_size)


class CutsTheDefault(Channel):
    def _size(self, buffer_size: int | None) -> int:
        return min(self._default, 8) if buffer_size is None else super()._size(buffer_size)


class UnboundedIsThirty(Channel):
    def _full(self, subscriber: Subscriber) -> bool:
        return len(subscriber.backlog) >= (subscriber.size or 30)


class ForgetsTheOldest(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        super()._deliver(subscriber, message)
        if len(subscriber.backlog) > 64:
            subscriber.backlog.popleft()


class LeavesOutTheSame(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        if not subscriber.backlog or subscriber.backlog[-1] is not message:
            super()._deliver(subscriber, message)


class Copies(Channel):
    def _deliver(self, subscriber: Subscriber, message: Any) -> None:
        super()._deliver(subscriber, copy.copy(message))


class AwaitsMessages(Channel):
    async def _send(self, publisher: Publisher, message: Any) -> None:
        await super()._send(publisher, (await message) if hasattr(message, "__await__") else message)


class RaisesWhatWasSent(Channel):
    async def _read(self, subscriber: Subscriber) -> Any:
        message = await super()._read(subscriber)
        if isinstance(message, Exception):
            raise message
        return message


class IteratesOverWhatIsNew(Channel):
    _before: object = None

    async def _next(self, subscriber: Subscriber) -> Any:
        message = await super()._next(subscriber)
        while message is self._before:
            message = await super()._next(subscriber)
        self._before = message
        return message


def begun(operation: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """A coroutine that awaits an operation which has been called already."""
    task = asyncio.ensure_future(operation)

    async def wait() -> Any:
        return await task

    return wait()


def call_when_made(end: Any, name: str) -> None:
    operation = getattr(end, name)
    setattr(end, name, lambda *args, **sizes: begun(operation(*args, **sizes)))


class CallsTooEarly(Channel):
    """Operations are called where their coroutines are made."""

    early: ClassVar[tuple[str, ...]]

    def __init__(self, buffer_size: int = 0) -> None:
        super().__init__(buffer_size)
        self._make_early(self)

    def _joined(self, end: End) -> None:
        super()._joined(end)
        self._make_early(end)

    def _make_early(self, end: object) -> None:
        for name in self.early:
            if hasattr(end, name):
                call_when_made(end, name)


class JoinsTooEarly(CallsTooEarly):
    early = ("subscribe", "connect")


class SendsTooEarly(CallsTooEarly):
    early = ("send",)


class ReadsTooEarly(CallsTooEarly):
    early = ("read",)


class ClosesTooEarly(CallsTooEarly):
    early = ("close",)


class Blocks(Channel):
    """A mistake at the end of `async with`."""

    _inside = 0

    async def __aenter__(self) -> Any:
        self._inside += 1
        return self


class SwallowsInterrupts(Blocks):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return await super()._exit(end, error) or isinstance(error, KeyboardInterrupt)


class CountsBlocks(Blocks):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        self._inside -= end is self
        return False if end is self and self._inside else await super()._exit(end, error)


class AddsANote(Blocks):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        if error:
            error.add_note("inside a block")
        return await super()._exit(end, error)


class NobodyDeserts(Blocks):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        if isinstance(end, PlainPublisher) and end in self._publishers:
            self._remove_publisher(end)
            return False
        return await super()._exit(end, error)


class ComplainsOfUnreadMessages(Blocks):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        if isinstance(end, PlainSubscriber) and end.closed and end.backlog:
            raise RuntimeError("closed with messages unread")
        return await super()._exit(end, error)


class ClosesNothingNew(Blocks):
    async def _exit(self, end: End, error: BaseException | None) -> bool:
        return False if self._state is ChannelState.initiation else await super()._exit(end, error)


class HearsRequestsWithoutMessages(Channel):
    """A request that comes too late is only repeated if it has no message."""

    async def _read(self, subscriber: Subscriber) -> Any:
        reading = asyncio.ensure_future(super()._read(subscriber))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError as error:
            if not reading.done():
                reading.cancel()
                raise
            if not error.args:
                give_back(error, 0)
            return reading.result()


MISTAKES: dict[str, tuple[type[Channel], ...]] = {
    "CH-1.1": (AsksForItsLoop,),
    "CH-1.2": (OpensForAnySubscriber,),
    "CH-1.3": (ClosesAll,),
    "CH-2.2": (DefaultOfTheClass, KnowsNoNone, CutsSizesOfItsOwn, CutsTheDefault),
    "CH-2.4": (EndsOfTheClass, ForgetsTheOldest, LeavesOutTheSame),
    "CH-2.6": (JoinsTooEarly,),
    "CH-3.4": (UnboundedIsThirty,),
    "CH-3.5": (SendsTooEarly,),
    "CH-3.8": (SendsTooEarly,),
    "CH-4.1": (Copies, AwaitsMessages, RaisesWhatWasSent),
    "CH-4.4": (ReadsTooEarly,),
    "CH-4.5": (ReadsTooEarly,),
    "CH-4.7": (IteratesOverWhatIsNew,),
    "CH-4.8": (HearsRequestsWithoutMessages,),
    "CH-5.1": (ClosesTooEarly,),
    "CH-5.4": (SwallowsInterrupts, CountsBlocks, AddsANote, NobodyDeserts, ComplainsOfUnreadMessages, ClosesNothingNew),
}


@pytest.mark.parametrize(
    ("rule", "mistake"),
    [pytest.param(rule, each, id=f"{rule}-{each.__name__}") for rule in MISTAKES for each in MISTAKES[rule]],
)
def test_a_mistake_is_found(rule: str, mistake: type[Channel], monkeypatch: pytest.MonkeyPatch) -> None:
    """A named check of the rule refuses the channel, and so does the program that shows it without the suite."""
    monkeypatch.setitem(sys.modules, "theirs", Target(mistake))
    found = {check: run_check(check, load("theirs")) for check in CHECKS if check.rule == rule}
    errors = {check: error for check, error in found.items() if error}
    assert errors
    for check, error in errors.items():
        program = program_of_check(KeptFailure("theirs", rule, check=check.name), error)
        with pytest.raises(SystemExit) as ended:
            exec(compile(program, "shown.py", "exec"), {})
        assert ended.value.code == 1


def test_a_read_that_fails_is_no_message_that_was_lost() -> None:
    """What a check of one rule can't use, because another rule is broken, it leaves alone."""
    target = describe("theirs", Target(RaisesWhatWasSent))
    assert not any(run_check(check, target) for check in CHECKS if check.rule in ("CH-2.4", "CH-4.7"))
