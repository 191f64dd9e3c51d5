"""Signals in the test's own process: handlers, and the event behind them (SV-6.3)."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
from settling import settle
from stepping import Recorded, listen, now, run

from aioservicekit import ServiceStoppedError, on_shutdown, run_services, shutdown
from aioservicekit_conformance.running.loop import SteppedLoop

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEFAULTS: list[Any] = [signal.default_int_handler, signal.SIG_DFL, signal.SIG_DFL]


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.fixture(autouse=True)
def heed_signals() -> Iterator[None]:
    """Signals have their default handlers, even if the test run was started with some of them ignored, as background jobs are."""
    before = handlers()
    for number, handler in zip(SIGNALS, DEFAULTS, strict=True):
        signal.signal(number, handler)
    yield
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def test_handlers_are_in_place_while_services_run() -> None:
    """Handlers are in place from before the first hook until every service is STOPPED; then the old ones return (SV-6.3)."""
    seen: list[Any] = []

    class Looking(Recorded):
        async def __on_start__(self) -> None:
            seen.append(handlers())

        async def __on_stop__(self) -> None:
            seen.append(handlers())

    async def main() -> None:
        first, second = Looking("first", grace=0), Looking("second", grace=0)
        await first.start()
        await second.start()
        await first.stop()
        await second.stop()

    before = handlers()
    run(main)
    assert handlers() == before
    assert seen == [seen[0]] * 4
    assert not set(seen[0]) & set(before)


def test_handlers_are_put_back_after_a_start_that_fails() -> None:
    """A start that fails half-way leaves no handler behind (SV-6.3)."""

    class Failing(Recorded):
        async def __on_start__(self) -> None:
            raise KeyError

    async def main() -> None:
        with pytest.raises(KeyError):
            await Failing(dependences=[good]).start()
        await good.stop()

    good = Recorded("good", grace=0)
    before = handlers()
    run(main)
    assert handlers() == before


def test_a_handler_that_was_set_meanwhile_stays() -> None:
    """A handler that the program sets while services run is not taken away (SV-6.3)."""

    def own(number: int, frame: FrameType | None) -> None:
        raise AssertionError

    async def main() -> None:
        service = Recorded(grace=0)
        await service.start()
        signal.signal(signal.SIGHUP, own)
        await service.stop()

    before = signal.getsignal(signal.SIGHUP)
    try:
        run(main)
        assert signal.getsignal(signal.SIGHUP) is own
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_signal_stops_every_service_gracefully() -> None:
    """Services that run, start or wait for others are asked to stop; the event carries the signal (SV-6.3)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def main() -> list[Any]:
        heard = listen(on_shutdown())
        running, slow = Recorded("running", grace=7), Slow("slow")
        waiting = Recorded("waiting", dependences=[slow])
        async with run_services([running]) as waiter:
            starts = [asyncio.create_task(service.start()) for service in (slow, waiting)]
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await waiter
        outcomes = await asyncio.gather(*starts, return_exceptions=True)
        on_shutdown().remove_listener(heard.append)
        assert [type(outcome) for outcome in outcomes] == [ServiceStoppedError] * 2
        assert {service.state.name for service in (running, slow, waiting)} == {"STOPPED"}
        return [heard, now()]

    assert run(main) == [[signal.SIGTERM], 7]


def test_the_second_signal_ends_the_grace() -> None:
    """The second signal cancels work that goes on; before a third one, the default handlers are back (SV-6.3)."""
    seen: list[Any] = []

    class Looking(Recorded):
        async def __on_stop__(self) -> None:
            seen.append(handlers())

    async def main() -> float:
        async with run_services([Looking(grace=None)]) as waiter:
            await settle()
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(10)
            signal.raise_signal(signal.SIGTERM)
            await waiter
        return now()

    before = handlers()
    assert run(main) == 10
    assert seen == [DEFAULTS]
    assert handlers() == before


def test_no_start_begins_after_the_signal() -> None:
    """Until all are STOPPED, `start()` and `restart()` are refused, even those that were waiting for a stop (SV-6.3)."""

    async def main() -> list[Any]:
        service, other = Recorded(grace=5), Recorded("other")
        await service.start()
        await settle()
        service.stop()
        pending = [asyncio.create_task(service.start()), asyncio.create_task(service.restart())]
        await settle()
        signal.raise_signal(signal.SIGTERM)
        for begin in (other.start, other.restart):
            with pytest.raises(
                ServiceStoppedError, match="<Recorded 'other' STOPPED> can't start: the application is shutting down"
            ):
                await begin()
        outcomes = await asyncio.gather(*pending, return_exceptions=True)
        await other.start()
        await other.stop()
        return [type(outcome) for outcome in outcomes]

    assert run(main) == [ServiceStoppedError] * 2


def test_a_signal_before_the_dependencies_have_begun() -> None:
    """A service that was about to start its dependencies when the signal came starts none of them (SV-6.3)."""

    async def main() -> list[str]:
        first = Recorded("first")
        second = Recorded("second", first.log, dependences=[first])
        start = asyncio.create_task(second.start())
        await asyncio.sleep(0)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(ServiceStoppedError, match="the application is shutting down"):
            await start
        return first.log

    assert run(main) == ["second STARTING", "second STOPPING", "second STOPPED"]


def test_emitting_the_event_stops_every_service() -> None:
    """Signals emit `on_shutdown()`, and whoever emits it stops the services as they do (SV-6.3)."""

    async def main() -> str:
        service = Recorded(grace=0)
        await service.start()
        await on_shutdown().emit(signal.SIGTERM)
        await service.wait()
        return service.state.name

    assert run(main) == "STOPPED"


@pytest.mark.parametrize("when", ["before", "while"])
def test_a_closed_event_is_replaced(when: str) -> None:
    """Closing the event closes it for its listeners, and not for services (SV-6.3)."""
    if when == "before":
        on_shutdown().close()

    async def main() -> None:
        service = Recorded(grace=0)
        async with run_services([service]) as waiter:
            await settle()
            if when == "while":
                on_shutdown().close()
            signal.raise_signal(signal.SIGTERM)
            await waiter

    run(main)


def test_a_loop_that_does_not_run_takes_no_signals_from_one_that_does() -> None:
    """Services that another loop has left running, without closing, don't affect those of this loop (SV-6.3)."""

    async def main() -> None:
        async with run_services([Recorded(grace=0)]) as waiter:
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await waiter

    other = SteppedLoop()
    task = other.start(Recorded().start())
    for _ in range(20):
        other.step()
    assert task.done()
    run(main)
    other.close()


def test_services_that_a_closed_loop_has_left_behind_swallow_no_signals() -> None:
    """A signal that finds nothing left to stop goes to the previous handler (SV-6.3)."""
    heard: list[int] = []

    def own(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    async def main() -> None:
        await Recorded().start()
        await asyncio.Event().wait()

    before = signal.signal(signal.SIGTERM, own)
    try:
        loop = SteppedLoop()
        task = loop.start(main())
        for _ in range(20):
            loop.step()
        assert signal.getsignal(signal.SIGTERM) is not own
        loop.close()
        signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is own
        del task
    finally:
        signal.signal(signal.SIGTERM, before)


def test_in_another_thread_no_handlers_are_set() -> None:
    """Handlers belong to the main thread; a service in another thread starts and stops without them (SV-6.3)."""
    seen: list[Any] = []

    async def main() -> None:
        async with run_services([Recorded(grace=0)]):
            seen.append(handlers())

    before = handlers()
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(30)
    assert seen == [before]


def test_a_block_that_comes_to_wait_for_its_services_is_not_cancelled() -> None:
    """A block that is busy when its services stop, and awaits them later, goes on as usual (SV-6.3)."""

    async def main() -> float:
        async with run_services([Recorded(grace=0)]) as stopped:
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(0.9)
            await stopped
            await asyncio.sleep(10)
        return now()

    assert run(main) == 10.9


@pytest.mark.parametrize("waits", ["a second more", "for the end"])
def test_a_block_is_cancelled_a_second_after_its_services(waits: str) -> None:
    """The block may end by itself first. Then the signal has the effect that it would have without services (SV-6.3)."""
    heard: list[int] = []

    async def block() -> str:
        async with run_services([Recorded(grace=2)]):
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(2.9 if waits == "a second more" else 100)
        return "has ended"

    async def main() -> list[Any]:
        task = asyncio.ensure_future(block())
        outcome = (await asyncio.gather(task, return_exceptions=True))[0]
        return [outcome if isinstance(outcome, str) else type(outcome), now()]

    before = signal.getsignal(signal.SIGTERM)

    def tell(number: int) -> None:
        heard.append(number)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aioservicekit.shutdown.tell", tell)
        outcome = run(main)
    assert signal.getsignal(signal.SIGTERM) == before
    if waits == "a second more":
        assert (outcome, heard) == (["has ended", 2.9], [])
    else:
        assert (outcome, heard) == ([asyncio.CancelledError, 3], [signal.SIGTERM])


def test_a_handler_of_the_program_knows_what_to_do() -> None:
    """If the program has set a handler, the block is left alone: the handler is called with each signal (SV-6.5)."""
    heard: list[int] = []

    def own(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    async def main() -> float:
        async with run_services([Recorded(grace=None)]):
            await settle()
            for _ in range(2):
                signal.raise_signal(signal.SIGTERM)
                await asyncio.sleep(5)
            await asyncio.sleep(100)
        return now()

    before = signal.signal(signal.SIGTERM, own)
    try:
        assert run(main) == 110
        assert signal.getsignal(signal.SIGTERM) is own
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM] * 2


def test_a_block_that_another_task_has_entered() -> None:
    """A block that was entered in a task which has ended has no task to cancel: the signal is delivered (SV-6.3)."""
    heard: list[int] = []

    async def main() -> None:
        block = run_services([Recorded(grace=0)])
        await asyncio.create_task(block.__aenter__())
        await settle()
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(5)
        await block.__aexit__(None, None, None)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aioservicekit.shutdown.tell", heard.append)
        run(main)
    assert heard == [signal.SIGTERM]


def test_a_signal_is_delivered_to_the_handler_of_before() -> None:
    """The signal goes to whoever was there before the services, and never to the services again (SV-6.3)."""
    heard: list[int] = []

    def own(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before = signal.signal(signal.SIGTERM, own)
    try:
        shutdown.tell(signal.SIGTERM)
        signal.signal(signal.SIGTERM, shutdown._handle)
        shutdown.tell(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


@pytest.mark.parametrize("error", [SystemExit(3), LookupError("oh")])
def test_a_handler_of_the_program_may_raise(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    """An exit from a handler is raised when the services have stopped; other exceptions are logged (SV-1.3, SV-6.5)."""

    def own(number: int, frame: FrameType | None) -> None:
        raise error

    async def main() -> None:
        async with run_services([Recorded(grace=2)]) as stopped:
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await stopped

    before = signal.signal(signal.SIGTERM, own)
    try:
        if isinstance(error, SystemExit):
            with pytest.raises(SystemExit, match="3"):
                run(main)
        else:
            run(main)
            assert "a signal handler failed" in caplog.text
            assert "LookupError: oh" in caplog.text
    finally:
        signal.signal(signal.SIGTERM, before)


def test_an_ignored_signal_is_not_taken() -> None:
    """SIG_IGN is not replaced (SV-6.5)."""

    async def main() -> None:
        async with run_services([Recorded(grace=0)]):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is shutdown._handle

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(main)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_handler_that_work_adds_to_the_loop_keeps_nothing_from_the_services() -> None:
    """The services get the signal, and so does the loop; any other handler stays in place (SV-6.5)."""
    heard: list[str] = []

    def own(number: int, frame: FrameType | None) -> None:
        raise AssertionError

    class Adding(Recorded):
        async def __work__(self) -> None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, heard.append, "SIGTERM")
            signal.signal(signal.SIGHUP, own)
            ready = asyncio.Event()
            loop.call_soon(ready.set)
            await ready.wait()
            signal.raise_signal(signal.SIGTERM)
            await self.stopping

    async def main() -> None:
        async with run_services([Adding()]) as stopped:
            await stopped
        await settle()

    before = signal.getsignal(signal.SIGHUP)
    try:
        asyncio.run(asyncio.wait_for(main(), 30))
        assert signal.getsignal(signal.SIGHUP) is own
    finally:
        signal.signal(signal.SIGHUP, before)
    assert heard == ["SIGTERM"]


def test_a_signal_stops_the_services_of_other_threads() -> None:
    """With services in the main thread too, each service stops on its own loop; other threads set no handlers (SV-6.3)."""
    started, service = threading.Event(), Recorded("elsewhere", grace=0)

    class Adding(Recorded):
        async def __work__(self) -> None:
            if self.name == "here":
                signal.signal(signal.SIGTERM, lambda number, frame: None)
                await asyncio.to_thread(started.wait, 30)
                signal.signal(signal.SIGTERM, shutdown._handle)
                signal.raise_signal(signal.SIGTERM)
            await self.stopping

    async def elsewhere() -> None:
        async with run_services([service]) as stopped:
            await settle()
            started.set()
            await stopped

    async def here() -> None:
        async with run_services([Adding("here", grace=0)]) as stopped:
            thread.start()
            await stopped

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    asyncio.run(asyncio.wait_for(here(), 30))
    thread.join(30)
    assert service.log[-1] == "elsewhere STOPPED"


def test_the_event_when_nothing_runs() -> None:
    """`on_shutdown()` replaces a closed event, even if no services run (SV-6.3)."""
    on_shutdown().close()
    assert not on_shutdown().is_closed
    assert not on_shutdown().has_listeners


def test_emitting_the_event_passes_over_closed_loops() -> None:
    """Services that a closed loop has left behind no longer count (SV-6.3)."""
    left = Recorded("left")
    loop = SteppedLoop()
    task = loop.start(left.start())
    for _ in range(30):
        loop.step()
    assert task.done()
    loop.close()

    async def main() -> None:
        await on_shutdown().emit(signal.SIGTERM)
        service = Recorded(grace=0)
        async with run_services([service]) as stopped:
            await on_shutdown().emit(signal.SIGTERM)
            await stopped

    run(main)


def test_a_signal_between_two_calls_of_work() -> None:
    """The signal itself is the request: work is not called again, even if the services don't know of it yet (SV-3.4)."""

    class Calling(Recorded):
        async def __work__(self) -> None:
            self.log.append("works")
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGTERM)

    async def main() -> list[str]:
        calling = Calling()
        async with run_services([calling]) as stopped:
            await stopped
        return calling.log

    assert run(main).count("works") == 1


def test_a_closed_loop_may_be_forgotten_in_another_thread() -> None:
    """Only the main thread can restore handlers: a service that starts elsewhere does not get in the way (SV-6.3)."""
    service = Recorded(grace=0)
    loop = SteppedLoop()
    task = loop.start(service.start())
    for _ in range(30):
        loop.step()
    assert task.done()
    before = signal.getsignal(signal.SIGTERM)
    loop.close()
    outcomes: list[Any] = []

    async def elsewhere() -> None:
        async with run_services([service]):
            outcomes.append(service.run)

    thread = threading.Thread(target=lambda: asyncio.run(elsewhere()))
    thread.start()
    thread.join(30)
    assert outcomes == [True]
    assert signal.getsignal(signal.SIGTERM) is before

    async def main() -> None:
        async with run_services([service]) as stopped:
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await stopped

    run(main)
    assert signal.getsignal(signal.SIGTERM) is not before


def test_a_shutdown_is_over_though_services_that_leave_signals_alone_go_on() -> None:
    """Services that heed signals start again once the shutdown is over, whatever else runs (SV-6.3, SV-6.5)."""

    async def main() -> None:
        alone, heeding = Recorded("alone", grace=0), Recorded("heeding", grace=0)
        async with run_services([alone], signals=False):
            for _ in range(2):
                async with run_services([heeding]) as stopped:
                    await settle()
                    signal.raise_signal(signal.SIGTERM)
                    await stopped
            assert heeding.log.count("heeding RUNNING") == 2

    run(main)
