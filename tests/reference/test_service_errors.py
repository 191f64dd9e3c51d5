"""Services whose code raises what nobody expects: nothing is lost, and STOPPED is reached (SV-1.3)."""

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from textwrap import dedent
from typing import Any

import pytest
from processes import Child
from settling import settle
from stepping import EAGER, Failed, Failing, Recorded, now, run

from aioservicekit import Event, Service, ServiceCancelledError, ServiceState, ServiceStoppedError, run_services
from aioservicekit_conformance.running.loop import SteppedLoop


class Odd(BaseException):
    """Neither an Exception nor known to asyncio, as pytest's outcomes are."""


class Empty(Odd):
    """A collection of errors, with no errors in it, which is therefore false."""

    def __len__(self) -> int:
        return 0


def cancelled() -> BaseException:
    return asyncio.CancelledError("by a library")


UNUSUAL: list[Callable[[], BaseException]] = [
    Odd,
    Empty,
    GeneratorExit,
    lambda: BaseExceptionGroup("several", [Odd()]),
    cancelled,
]


class Raising(Recorded):
    """A service that raises something in one of its parts."""

    def __init__(self, part: str, error: BaseException, name: str = "it", **options: Any) -> None:
        super().__init__(name, **options)
        self.part = part
        self.error = error

    def raises(self, part: str) -> None:
        if part == self.part:
            raise self.error

    async def __on_start__(self) -> None:
        self.raises("start hook")
        self.create_task(self.work_aside())

    async def work_aside(self) -> None:
        self.raises("task")

    async def __work__(self) -> None:
        self.log.append(f"works at {now():.1f}")
        await settle(3)
        self.raises("work")
        await asyncio.sleep(3600)

    async def __on_stop__(self) -> None:
        self.log.append("stops")
        self.raises("stop hook")


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("error", UNUSUAL)
def test_what_work_raises_is_reported_and_the_work_called_again(
    error: Callable[[], BaseException], eager: bool
) -> None:
    """Any exception from the work goes to `on_error`, and the work is called again after a pause (SV-3.2)."""
    raised = error()

    async def main() -> Raising:
        service = Raising("work", raised, grace=0)
        await service.start()
        await asyncio.sleep(0.25)
        await service.stop()
        return service

    service = run(main, eager=eager)
    assert service.errors == [raised, raised]
    assert service.log.count("works at 0.1") == 1
    assert service.failure is None


@pytest.mark.parametrize("error", UNUSUAL)
def test_what_work_raises_may_stop_the_service(error: Callable[[], BaseException]) -> None:
    """With `on_failure="stop"`, the exception becomes the failure; a CancelledError becomes its cause (SV-3.2)."""
    raised = error()

    async def main() -> Raising:
        service = Raising("work", raised, on_failure="stop")
        with pytest.raises((Odd, GeneratorExit, BaseExceptionGroup, ServiceCancelledError)):
            async with run_services([service]) as stopped:
                await stopped
        return service

    service = run(main)
    assert service.errors == [raised]
    assert raised in (service.failure, service.failure and service.failure.__cause__)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("error", UNUSUAL)
def test_what_a_start_hook_raises_fails_the_start(error: Callable[[], BaseException], eager: bool) -> None:
    """`start()` raises it, in dependents too; a CancelledError becomes the cause of another error (SV-2.3)."""
    raised = error()

    async def main() -> None:
        service = Raising("start hook", raised)
        dependent = Recorded("dependent", dependences=[service])
        with pytest.raises((Odd, GeneratorExit, BaseExceptionGroup, ServiceCancelledError)) as caught:
            async with run_services([dependent, service]):
                raise AssertionError("the block has run")
        assert raised in (caught.value, caught.value.__cause__)
        assert caught.value is service.failure is dependent.failure
        assert service.state is dependent.state is ServiceState.STOPPED

    run(main, eager=eager)


@pytest.mark.parametrize("part", ["start hook", "work", "stop hook", "task"])
def test_an_exit_of_any_part_is_what_the_block_raises(part: str) -> None:
    """SystemExit from a hook, the work or a task stops all services, and is then raised by the block (SV-1.3)."""

    async def main() -> None:
        other, leaving = Recorded("other", grace=2), Raising(part, SystemExit(9), grace=0)

        async def block() -> None:
            async with run_services([other, leaving]) as stopped:
                await settle()
                leaving.stop()
                await stopped

        with pytest.raises(SystemExit, match="9"):
            await block()
        assert other.state is leaving.state is ServiceState.STOPPED

    run(main)


@pytest.mark.parametrize("part", ["stop hook", "task"])
@pytest.mark.parametrize("error", UNUSUAL)
def test_what_a_stop_hook_or_a_task_raises_is_reported(error: Callable[[], BaseException], part: str) -> None:
    """The exception goes to `on_error`, and the service still becomes STOPPED (SV-4.4, SV-5.1)."""
    raised = error()

    async def main() -> Raising:
        service = Raising(part, raised, grace=0)
        await service.start()
        await settle()
        await service.stop()
        return service

    service = run(main)
    assert [type(each) for each in service.errors] == [type(raised)]
    assert service.state is ServiceState.STOPPED


def test_a_task_that_is_cancelled_by_request_is_no_error() -> None:
    """Whoever cancels a service's task knows of it, so nothing is reported (SV-5.1)."""

    async def main() -> list[BaseException]:
        service = Recorded(grace=0)
        await service.start()
        task = service.create_task(asyncio.sleep(100))
        await settle()
        task.cancel()
        await settle()
        await service.stop()
        return service.errors

    assert run(main) == []


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("state", ServiceState)
@pytest.mark.parametrize("error", [Odd, asyncio.CancelledError])
@pytest.mark.parametrize("plain", [True, False])
def test_a_listener_that_raises_holds_no_service_up(
    plain: bool, error: type[BaseException], state: ServiceState, eager: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a listener raises, the service goes on, and the other listeners are told of every state (SV-1.2, SV-1.3)."""

    def listen(now: ServiceState) -> None:
        if now is state:
            raise error

    async def listen_later(now: ServiceState) -> None:
        listen(now)

    async def main() -> list[str]:
        service = Recorded(grace=0)
        service.on_state_change.add_listener(listen if plain else listen_later)
        for _ in range(2):
            await service.start()
            await settle()
            await service.stop()
            await settle()
        return service.log

    log = run(main, eager=eager)
    assert [entry for entry in log if entry.isupper() or "ING" in entry or "PED" in entry] == [
        f"it {each}" for each in ("STARTING", "RUNNING", "STOPPING", "STOPPED") * 2
    ]
    assert len([record for record in caplog.records if "a listener failed" in record.message]) == 2


def test_a_start_for_which_no_task_can_be_made_leaves_nothing_behind() -> None:
    """If the event loop can't make a task, `start()` raises; the service starts once it can again (SV-1.3, SV-2.3)."""

    async def main() -> None:
        service = Recorded(grace=0)
        loop = asyncio.get_running_loop()
        make = loop.create_task
        loop.create_task = refuse  # type: ignore[method-assign,assignment]
        with pytest.raises(MemoryError):
            await service.start()
        assert (service.state, service.log) == (ServiceState.STOPPED, [])
        loop.create_task = make  # type: ignore[method-assign]
        await service.start()
        await service.stop()

    def refuse(coro: Any, **options: Any) -> None:
        coro.close()
        raise MemoryError

    run(main)


@pytest.mark.parametrize("made", range(1, 5))
def test_a_life_for_which_no_more_tasks_can_be_made_ends(made: int) -> None:
    """Wherever in a life the event loop stops making tasks, STOPPED is reached and the error reported (SV-1.3)."""

    async def main() -> None:
        service = Recorded(dependences=[Recorded("other", grace=0)], grace=0)
        loop = asyncio.get_running_loop()
        make = loop.create_task
        tasks: list[Any] = []

        def some(coro: Any, **options: Any) -> Any:
            tasks.append(options.get("name"))
            if len(tasks) > made:
                coro.close()
                raise MemoryError
            return make(coro, **options)

        loop.create_task = some  # type: ignore[method-assign]
        try:
            await service.start()
            await settle()
            await service.stop()
        except MemoryError as error:
            told: list[BaseException] = [error]
        else:
            told = service.errors
        loop.create_task = make  # type: ignore[method-assign]
        await settle()
        assert service.state is ServiceState.STOPPED
        assert told

    run(main)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("part", ["start hook", "work", "stop hook", "task", "listener", "coroutine listener"])
@pytest.mark.parametrize("waits", [True, False])
def test_an_exit_ends_the_process_after_a_graceful_stop(part: str, waits: bool, eager: bool) -> None:
    """SystemExit anywhere in a service stops all services gracefully, and is the process's exit status (SV-1.3)."""
    with Child(
        dedent(f"""
            import asyncio, sys
            from aioservicekit import Service, ServiceState, run_services

            PART, WAITS, EAGER = {part!r}, {waits}, {eager}
            """)
        + dedent("""
            class Other(Service):
                async def __work__(self):
                    await self.stopping
                async def __on_stop__(self):
                    await asyncio.sleep(0.05)
                    print("other stops")

            class Leaving(Service):
                def leave(self, part):
                    if part == PART:
                        sys.exit(7)
                async def __on_start__(self):
                    self.leave("start hook")
                    self.create_task(self.aside())
                async def aside(self):
                    self.leave("task")
                async def __work__(self):
                    self.leave("work")
                    await asyncio.sleep(0.1)
                    self.stop()
                async def __on_stop__(self):
                    self.leave("stop hook")

            def listen(state):
                if PART == "listener" and state is ServiceState.RUNNING:
                    sys.exit(7)

            async def listen_later(state):
                if PART == "coroutine listener" and state is ServiceState.RUNNING:
                    sys.exit(7)

            async def main():
                if EAGER:
                    asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
                leaving, other = Leaving(), Other()
                leaving.on_state_change.add_listener(listen)
                leaving.on_state_change.add_listener(listen_later)
                if WAITS:
                    async with run_services([other, leaving]) as stopped:
                        await stopped
                else:
                    await other.start()
                    if PART != "start hook":
                        await leaving.start()
                    else:
                        asyncio.create_task(leaving.start()).add_done_callback(lambda task: None)
                    await asyncio.Event().wait()

            asyncio.run(main())
        """)
    ) as application:
        status, printed = application.end()
    assert (status, printed) == (7, ["other stops"])


def test_an_exit_in_a_block_that_waits_for_something_else() -> None:
    """A block that would never end is cancelled once the services have stopped, and raises the exit (SV-1.3, SV-6.3)."""

    async def main() -> None:
        ended: list[str] = []

        async def block() -> None:
            async with run_services([Raising("work", SystemExit(3))]):
                try:
                    await asyncio.Event().wait()
                finally:
                    ended.append("block")

        with pytest.raises(SystemExit, match="3"):
            await block()
        assert ended == ["block"]
        await asyncio.sleep(0)  # it is no longer cancelled

    run(main)


def test_an_exit_in_a_group_is_an_exit() -> None:
    """A SystemExit inside an exception group ends the application like a bare one (SV-1.3)."""

    async def main() -> None:
        group = BaseExceptionGroup("several", [Odd(), BaseExceptionGroup("more", [SystemExit(4)])])
        service = Raising("work", group)
        with pytest.raises(SystemExit, match="4"):
            async with run_services([service]) as stopped:
                await stopped
        assert service.errors == [group]
        await Recorded(grace=0).stop()

    run(main)


def test_nothing_starts_while_an_exit_is_carried_out() -> None:
    """From the exit until the end no service starts (SV-6.3)."""

    async def main() -> None:
        other = Recorded("other", grace=2)

        async def block() -> None:
            async with run_services([Raising("work", SystemExit()), other]) as stopped:
                await settle(8)
                with pytest.raises(ServiceStoppedError, match="the application is shutting down"):
                    await Recorded("late").start()
                await stopped

        with pytest.raises(SystemExit):
            await block()
        assert now() == 2

    run(main)


def test_an_exit_of_a_listener_with_no_loop_is_raised() -> None:
    """An event emitted without an event loop has nothing to stop: the exit is raised at once (SV-1.3)."""

    def leave(what: str) -> None:
        sys.exit(5)

    event = Event[[str]]()
    event.add_listener(leave)
    with pytest.raises(SystemExit, match="5"):
        event.notify("a")


def test_an_unusual_error_where_nobody_listens_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that is not an Exception is logged like one (SV-3.2)."""

    class Failing(Service):
        async def __work__(self) -> None:
            raise Odd("for a reason")

    async def main() -> None:
        with pytest.raises(Odd):
            async with run_services([Failing(on_failure="stop")]) as stopped:
                await stopped

    with caplog.at_level(logging.ERROR):
        run(main)
    assert "Odd: for a reason" in caplog.text


def test_a_stop_iteration_fails_a_start_like_others() -> None:
    """A plain start hook may raise StopIteration, which no coroutine and no future can raise (SV-2.3)."""

    class Iterating(Recorded):
        def __on_start__(self) -> None:  # type: ignore[override]
            next(iter(()))

    async def main() -> None:
        with pytest.raises(RuntimeError, match="StopIteration"):
            async with run_services([Iterating()]):
                raise AssertionError

    run(main)


def test_an_exit_where_nobody_waits_is_raised_when_all_have_stopped() -> None:
    """Without a block, the event loop raises the exit after the last service; the first of several counts (SV-1.3)."""
    services: list[Recorded] = []

    class Leaving(Service):
        def __init__(self, seconds: float, status: int) -> None:
            super().__init__(grace=2)
            self.seconds, self.status = seconds, status

        async def __work__(self) -> None:
            await asyncio.sleep(self.seconds)
            sys.exit(self.status)

    async def main() -> None:
        services.append(Recorded("other", grace=3))
        for service in (services[0], Leaving(1, 6), Leaving(2, 7)):
            await service.start()
        await asyncio.Event().wait()

    with pytest.raises(SystemExit, match="6"):
        run(main)
    assert services[0].log[-2:] == ["other stops", "other STOPPED"]


def test_after_two_signals_an_exit_is_raised_at_once() -> None:
    """An exit after two signals is raised at once, as a third signal's KeyboardInterrupt must be (SV-6.3)."""

    class Stuck(Recorded):
        async def __on_stop__(self) -> None:
            await asyncio.sleep(3600)

    def leave(what: str) -> None:
        raise KeyboardInterrupt

    async def main() -> None:
        event = Event[[str]]()
        event.add_listener(leave)
        async with run_services([Stuck(grace=0)]):
            await settle()
            for _ in range(2):
                signal.raise_signal(signal.SIGTERM)
                await settle()
            event.notify("a")

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_a_start_hook_that_cancels_itself_gives_the_start_up() -> None:
    """A cancellation that the hook itself has requested is no failure (SV-2.3)."""

    class Cancelling(Recorded):
        async def __on_start__(self) -> None:
            task = asyncio.current_task()
            assert task
            task.cancel()
            await asyncio.sleep(1)

    async def main() -> None:
        service = Cancelling()
        with pytest.raises(ServiceStoppedError, match="was cancelled"):
            await service.start()
        assert service.failure is None

    run(main)


class Withdrawing(Raising):
    """Its parts fail with a request to cancel that was withdrawn, as `TaskGroup` leaves one on Python 3.12."""

    def raises(self, part: str) -> None:
        if part == self.part:
            task = asyncio.current_task()
            assert task
            task.cancel()
            assert task.uncancel() == 0
            raise self.error


@pytest.mark.parametrize("part", ["work", "stop hook"])
@pytest.mark.parametrize("eager", EAGER)
def test_a_request_to_cancel_that_was_withdrawn_hides_no_error(part: str, eager: bool) -> None:
    """Before Python 3.13, such a request cancels the task when it next waits, or ends. It does not matter here (SV-1.3)."""
    raised = Failed()

    async def main() -> Raising:
        service = Withdrawing(part, raised, grace=0)
        await service.start()
        await asyncio.sleep(0.25)
        await service.stop()
        return service

    service = run(main, eager=eager)
    assert service.errors == [raised] * (2 if part == "work" else 1)


@pytest.mark.parametrize("eager", EAGER)
def test_a_request_to_cancel_that_was_withdrawn_gives_no_start_up(eager: bool) -> None:
    """The start has failed, and the block raises that (SV-2.3)."""

    async def main() -> None:
        with pytest.raises(Failed):
            async with run_services([Withdrawing("start hook", Failed())]):
                raise AssertionError("the block has run")

    run(main, eager=eager)


def test_coroutines_that_are_closed_run_nothing_any_more() -> None:
    """What an abandoned loop leaves of a service can be closed: none of it goes on (SV-1.3)."""

    class Waiting(Recorded):
        async def __on_start__(self) -> None:
            self.create_task(asyncio.sleep(1))

    service = Waiting()
    loop = SteppedLoop()
    loop.start(service.start())
    for _ in range(40):
        loop.step()
    assert service.log[-1] == "it works"
    for task in asyncio.all_tasks(loop):
        coro = task.get_coro()
        assert coro
        coro.close()
    loop.close()
    assert service.log[-1] == "it works"


def test_exceptions_reach_work_wherever_it_waits() -> None:
    """However often work has waited, an exception that is thrown into it reaches the place where it waits (SV-3.1)."""

    class Patient(Recorded):
        async def __work__(self) -> None:
            for number in range(95, 110):
                for _ in range(number):
                    await asyncio.sleep(0)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1):
                        await asyncio.sleep(2)
            self.stop()

    async def main() -> list[BaseException]:
        patient = Patient()
        await patient.start()
        await patient.wait()
        return patient.errors

    assert run(main) == []


class RaisingHandler(logging.Handler):
    """A logging handler that raises at one of its records."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        if len(self.records) == self.at:
            raise LookupError("the handler failed")


@pytest.mark.parametrize("at", range(1, 8))
def test_a_logging_handler_that_raises_holds_nothing_up(at: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Whichever line cannot be logged, all services stop, and the handler's error is printed (SV-1.3)."""

    async def main() -> tuple[Service, Service]:
        failing = Failing(on_failure="stop")
        above = Recorded("above", dependences=[failing])
        with pytest.raises(Failed):
            async with run_services([above]) as stopped:
                await stopped
        return failing, above

    handler, log = RaisingHandler(at), logging.getLogger("aioservicekit")
    before = log.level
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        services = run(main)
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
    assert {service.state for service in services} == {ServiceState.STOPPED}
    assert len(handler.records) >= 8
    assert {record.module for record in handler.records} == {"_lifecycle"}, "lines are those of the code that logs"
    assert "the handler failed" in capsys.readouterr().err
