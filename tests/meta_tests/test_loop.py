"""The hand-stepped event loop, and what is reported of targets that it can't drive."""

import asyncio
import threading
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from channels.plain import ChannelClosedError, ChannelState, PlainChannel

from aioservicekit_conformance.exploring.scripts import SCRIPTS, parse
from aioservicekit_conformance.judging import judge
from aioservicekit_conformance.running.case import replay
from aioservicekit_conformance.running.loop import SteppedLoop
from aioservicekit_conformance.target import describe
from aioservicekit_conformance.verdicts import UNTESTED
from aioservicekit_model.rules import RULES


def escaping(channel: type[Any]) -> SimpleNamespace:
    return SimpleNamespace(Channel=channel, ChannelState=ChannelState, ChannelClosedError=ChannelClosedError)


class InAnotherThread(PlainChannel[Any]):
    async def connect(self) -> Any:
        await asyncio.to_thread(int)
        return await super().connect()


class WithAThreadOfItsOwn(PlainChannel[Any]):
    async def connect(self) -> Any:
        self.stop = threading.Event()
        threading.Thread(target=self.stop.wait, args=(60,), daemon=True).start()
        return await super().connect()


def test_time_jumps_to_the_next_timer() -> None:
    """Nothing sleeps: an hour on the loop's clock passes at once, and timers fire in order."""
    loop = SteppedLoop()
    fired: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((name, loop.time()))

    loop.start(wait("late", 3600))
    loop.start(wait("early", 60))
    loop.run_until_rest()
    assert fired == [("early", 60.0), ("late", 3600.0)]


def test_a_cancelled_timer_keeps_nothing() -> None:
    """As in asyncio, it lets go at once of what it would have called. Time does not jump to it either."""

    class Owner:
        def fire(self) -> None:
            """Nobody calls it."""

    loop = SteppedLoop()
    owner = Owner()
    there = weakref.ref(owner)
    timer = loop.call_later(60, owner.fire)
    del owner
    assert there() is not None
    timer.cancel()
    assert there() is None
    loop.run_until_rest()
    assert loop.time() == 0


def test_nobody_closes_the_loop_while_it_runs() -> None:
    """As in asyncio: a target that tries gets an error of its own, and the suite goes on."""
    loop = SteppedLoop()

    async def close() -> None:
        asyncio.get_running_loop().close()

    closing = loop.start(close())
    assert str(closing.exception()) == "Cannot close a running event loop"
    assert not loop.is_closed()


def test_callbacks_run_one_by_one_in_the_order_of_their_scheduling() -> None:
    """One step runs one callback; cancelled callbacks are skipped."""
    loop = SteppedLoop()
    ran: list[int] = []
    handles = [loop.call_soon(ran.append, number) for number in range(4)]
    handles[1].cancel()
    assert [loop.step() for _ in range(4)] == [True, True, True, False]
    assert ran == [0, 2, 3]


@pytest.mark.parametrize(
    ("channel", "says"),
    [(InAnotherThread, "run_in_executor"), (WithAThreadOfItsOwn, "thread")],
)
def test_a_target_that_escapes_is_said_to_and_not_misjudged(channel: type[Any], says: str) -> None:
    """A target that uses threads is unsupported, with the reason, in cases and in checks; no rule fails."""
    report = judge(describe("escaping", escaping(channel)), frozenset(RULES), 20, 0)
    assert {verdict.verdict for verdict in report.verdicts if verdict.rule not in UNTESTED} == {"unsupported"}
    assert all(says in verdict.evidence for verdict in report.verdicts if verdict.rule not in UNTESTED)
    assert not report.conforms


def test_a_target_that_finds_ever_more_to_read_is_refused() -> None:
    """A read that takes nothing, and so returns the same message again and again, holds nobody up (CH-4.4)."""

    class Endless(PlainChannel[Any]):
        async def subscribe(self, *, buffer_size: int | None = None) -> Any:
            subscriber = await super().subscribe(buffer_size=buffer_size)
            first: list[object] = []

            async def read() -> object:
                first.append(first[0] if first else await type(subscriber).read(subscriber))
                return first[0]

            setattr(subscriber, "read", read)
            return subscriber

    case = replay(describe("endless", escaping(Endless)), 0, parse("s1 p1 p1!"))
    assert case.refused is not None


@pytest.mark.parametrize(("size", "script"), SCRIPTS)
def test_every_word_of_a_script_is_carried_out(size: int, script: str) -> None:
    """On a sound channel, no script names an endpoint that does not exist, or cancels an operation that does not."""
    actions = parse(script)
    case = replay(describe("plain", escaping(PlainChannel)), size, actions)
    called = [action.op for action in actions if action.what != "cancel"]
    assert [action.op for action in case.actions if action.what != "cancel"] == called
    assert {action.op for action in actions} == set(called)
    assert case.refused is None
