"""Running an application: failing fast, limits, restarts after failures, and what supervisors see (SV-3, SV-6)."""

import asyncio
import logging
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from settling import settle
from stepping import Failed, Failing, Recorded, now, run

import aioservicekit
from aioservicekit import Service, ServiceState, ServiceStoppedError, on_shutdown, run_services

# Failing fast


@pytest.mark.parametrize("waits", ["for all", "for something else", "for nothing"])
def test_the_failure_of_one_stops_all_and_is_raised(waits: str) -> None:
    """With `on_failure="stop"`, the first failure ends the block, whatever it waits for (SV-6.6)."""

    async def main() -> list[Any]:
        failing, other = Failing(grace=0), Recorded("other", grace=2)

        async def block() -> None:
            async with run_services([failing, other], on_failure="stop") as stopped:
                if waits == "for all":
                    await stopped
                elif waits == "for something else":
                    await asyncio.Event().wait()
                else:
                    await asyncio.sleep(1.5)

        with pytest.raises(Failed) as raised:
            await block()
        assert raised.value is failing.failure
        assert other.failure is None
        await asyncio.sleep(0)  # the task that was cancelled for it is no longer cancelled
        return [failing.state.name, other.state.name, failing.errors == [failing.failure]]

    assert run(main) == ["STOPPED", "STOPPED", True]


def test_a_service_may_retry_all_the_same() -> None:
    """A service's own `on_failure="retry"` holds, whatever the block says (SV-3.2, SV-6.6)."""

    async def main() -> None:
        failing = Failing(times=2, on_failure="retry", grace=0)
        async with run_services([failing], on_failure="stop"):
            await asyncio.sleep(10)
            assert failing.run
        assert len(failing.errors) == 2

    run(main)


def test_without_it_the_others_go_on() -> None:
    """By default, a failure is raised when the other services have stopped too (SV-6.1)."""

    async def main() -> None:
        failing, other = Failing(on_failure="stop"), Recorded("other", grace=0)
        async with run_services([failing, other]) as stopped:
            await asyncio.sleep(10)
            assert other.run
            other.stop()
            with pytest.raises(Failed):
                await stopped

    run(main)


def test_the_failure_of_what_nobody_listed() -> None:
    """A dependency that fails takes its dependents down, and so fails the block (SV-4.5, SV-6.6)."""

    async def main() -> None:
        dependent = Recorded("dependent", dependences=[Failing(grace=0)], grace=0)
        with pytest.raises(Failed):
            async with run_services([dependent], on_failure="stop"):
                await asyncio.sleep(3)

    run(main)


# Limits


class Slow(Recorded):
    """A service whose hooks and work take as long as the test says."""

    def __init__(self, name: str, start: float = 0, work: float = 3600, stop: float = 0, **options: Any) -> None:
        super().__init__(name, **options)
        self.seconds = start, work, stop

    async def __on_start__(self) -> None:
        await asyncio.sleep(self.seconds[0])

    async def __work__(self) -> None:
        await asyncio.sleep(self.seconds[1])

    async def __on_stop__(self) -> None:
        self.log.append(f"{self.name} stops")
        await asyncio.sleep(self.seconds[2])


@pytest.mark.parametrize("how", ["leave", "signal", "stop"])
def test_the_whole_shutdown_has_a_limit(how: str, caplog: pytest.LogCaptureFixture) -> None:
    """After `timeout` seconds everything is cancelled, in stopping order, and the log names what was cut short (SV-6.6)."""

    async def main() -> list[str]:
        log: list[str] = []
        first = Slow("first", log=log, grace=5)
        second = Slow("second", log=log, dependences=[first], grace=5, stop=100)
        third = Slow("third", log=log, dependences=[second], grace=5)
        async with run_services([third], timeout=8) as stopped:
            await settle()
            if how == "signal":
                signal.raise_signal(signal.SIGTERM)
                await stopped
        assert now() == 8
        return [entry for entry in log if "stops" in entry or "STOPPED" in entry]

    order = ["third stops", "third STOPPED", "second stops", "second STOPPED", "first stops", "first STOPPED"]
    assert run(main) == order
    assert "<Slow 'second' STOPPING> is cut short: the shutdown has taken more than 8 s" in caplog.text
    assert "<Slow 'first' STOPPING> is cut short" in caplog.text
    assert "<Slow 'third'" not in caplog.text


def test_the_limit_ends_stop_hooks_and_starts_too(caplog: pytest.LogCaptureFixture) -> None:
    """At the limit, a stop hook that hangs and work that refuses to be cancelled are left behind (SV-6.6)."""

    class Stubborn(Recorded):
        async def __work__(self) -> None:
            while now() < 100:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    pass

        async def stop(self) -> None:
            await super().stop()

    async def main() -> None:
        hanging, stubborn = Slow("hanging", stop=1e6, grace=None), Stubborn("stubborn", grace=None)
        async with run_services([hanging, stubborn], timeout=3):
            await settle()
        assert now() == 3
        assert hanging.state is stubborn.state is ServiceState.STOPPED

    run(main)
    assert "<Stubborn 'stubborn' STOPPING> leaves behind a task that refuses to be cancelled" in caplog.text


def test_the_limit_comes_while_a_stop_hook_runs() -> None:
    """The hook is cancelled then, though its service had begun to clean up long before (SV-6.6)."""

    async def main() -> None:
        hanging = Slow("hanging", stop=1e6, grace=0)
        async with run_services([hanging], timeout=3):
            await settle()
        assert now() == 3
        assert hanging.log[-3:] == ["hanging STOPPING", "hanging stops", "hanging STOPPED"]

    run(main)


def test_the_limit_ends_a_stop_of_a_subclass() -> None:
    """A `stop` that does other things first, and hangs, is cancelled, and its service is stopped (SV-6.6)."""

    class Careful(Recorded):
        async def stop(self) -> None:
            await asyncio.sleep(1e6)
            raise AssertionError("it was not cancelled")

    async def main() -> None:
        careful = Careful(grace=0)
        async with run_services([careful], timeout=3):
            await settle()
        assert now() == 3
        assert careful.state is ServiceState.STOPPED

    run(main)


def test_after_a_block_that_fails_fast_its_services_retry_again() -> None:
    """How a block takes failures is over with it (SV-3.2, SV-6.6)."""

    async def main() -> None:
        failing = Failing(times=1, grace=0)
        async with run_services([failing], on_failure="stop"):
            await settle()
        await failing.start()
        await asyncio.sleep(5)
        assert failing.run
        assert [type(error) for error in failing.errors] == [Failed]
        await failing.stop()

    run(main)


def test_nothing_starts_while_a_block_is_left() -> None:
    """A start on request is refused, though its service is STOPPED already (SV-6.2)."""

    async def main() -> None:
        quick, slow = Recorded("quick", grace=0), Slow("slow", stop=5, grace=0)

        async def start_again() -> None:
            await asyncio.sleep(2)
            assert quick.state is ServiceState.STOPPED
            with pytest.raises(ServiceStoppedError, match="its block of run_services is ending"):
                await quick.start()

        async with run_services([quick, slow]):
            starting = asyncio.create_task(start_again())
        assert now() == 5
        await starting

    run(main)


def test_a_shutdown_within_the_limit_is_not_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    """The limit covers the whole shutdown: it does not delay a quick one, and nothing outlasts it (SV-6.6)."""

    async def main() -> None:
        async with run_services([Slow("slow", grace=2)], timeout=3):
            await settle()
        assert now() == 2
        await asyncio.sleep(5)

    run(main)
    assert "cut short" not in caplog.text


def test_a_start_has_a_limit() -> None:
    """A start hook that takes longer than `start_timeout` is cancelled, and the start fails (SV-2.3)."""

    async def main() -> None:
        slow = Slow("slow", start=10, start_timeout=3)
        dependent = Recorded("dependent", dependences=[slow])
        with pytest.raises(TimeoutError, match="<Slow 'slow' STARTING> did not start within 3 s"):
            await dependent.start()
        assert now() == 3
        assert slow.failure is dependent.failure
        quick = Slow("quick", start=2, start_timeout=3, dependences=[Slow("other", start=2, grace=0)], grace=0)
        async with run_services([quick]):
            pass

    run(main)


def test_a_stop_hook_has_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    """A stop hook that takes longer than `stop_timeout` is cancelled, and named in the log (SV-4.4)."""

    async def main() -> None:
        slow = Slow("slow", stop=10, stop_timeout=3, grace=0)
        await slow.start()
        await slow.stop()
        assert now() == 3

    run(main)
    assert "<Slow 'slow' STOPPING>: its stop hook has taken more than 3 s, and is cancelled" in caplog.text


def test_hooks_with_no_time_may_end_at_once() -> None:
    """A limit of 0 leaves no time to wait, but is enough for a hook that waits for nothing (SV-2.3, SV-4.4)."""

    async def main() -> list[str]:
        quick = Recorded("quick", start_timeout=0, stop_timeout=0, grace=0)
        async with run_services([quick]):
            await settle()
        slow = Slow("slow", start=1, start_timeout=0)
        with pytest.raises(TimeoutError):
            await slow.start()
        assert now() == 0
        return quick.log

    assert run(main)[-2:] == ["quick stops", "quick STOPPED"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"timeout": -1}, ValueError, "timeout must be 0 seconds or more, or None for no limit, not -1"),
        ({"timeout": "1"}, TypeError, "timeout must be a number of seconds or None, not '1'"),
        ({"on_failure": "retry"}, ValueError, 'on_failure must be "continue" or "stop", not \'retry\''),
        ({"signals": 1}, TypeError, "signals must be True or False, not 1"),
    ],
)
def test_bad_arguments_of_a_block(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Invalid arguments are refused at the call, with the value and what was expected (SV-6.6)."""
    with pytest.raises(error, match=message):
        run_services([], **options)
    with pytest.raises(error, match=message):
        aioservicekit.run(**options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"max_restarts": -1}, ValueError, "max_restarts must be 0 or more, or None for no limit, not -1"),
        ({"max_restarts": 1.5}, TypeError, "max_restarts must be an int or None, not 1.5"),
        ({"max_restarts": True}, TypeError, "max_restarts must be an int or None, not True"),
        ({"start_timeout": -1}, ValueError, "start_timeout must be 0 seconds or more"),
        ({"stop_timeout": "1"}, TypeError, "stop_timeout must be a number of seconds or None, not '1'"),
        ({"on_failure": ""}, ValueError, "not ''"),
    ],
)
def test_bad_arguments_of_a_service(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """Invalid arguments of a service are refused too (SV-2.4)."""
    with pytest.raises(error, match=message):
        Recorded(**options)


def test_a_restart_by_hand_that_nobody_waits_for_is_reported() -> None:
    """A stop hook may ask for a restart, but can't wait for it: its failure goes to `on_error` (SV-1.3, SV-5.2)."""

    class Phoenix(Recorded):
        async def __on_start__(self) -> None:
            if "it RUNNING" in self.log:
                raise Failed

        async def __on_stop__(self) -> None:
            await self.restart()

    async def main() -> None:
        phoenix = Phoenix(grace=0)
        await phoenix.start()
        await phoenix.stop()
        await settle()
        assert [type(error) for error in phoenix.errors] == [Failed]

    run(main)


# Shutdowns and starts


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("how", ["signal", "leave", "emit"])
def test_a_listener_that_starts_the_service_again_does_not_undo_a_shutdown(how: str, plain: bool) -> None:
    """After a shutdown has begun, nothing starts until the block has ended, whoever asks (SV-6.3)."""
    refused: list[str] = []

    async def main() -> None:
        service = Recorded(grace=0)
        tasks: set[Any] = set()

        async def start_again(state: ServiceState) -> None:
            if state is ServiceState.STOPPED and len(refused) < 10:
                try:
                    await service.start()
                except ServiceStoppedError as error:
                    refused.append(str(error))

        def start_again_later(state: ServiceState) -> None:
            task = asyncio.ensure_future(start_again(state))
            tasks.add(task)

        service.on_state_change.add_listener(start_again_later if plain else start_again)
        async with run_services([service]) as stopped:
            await settle()
            if how == "signal":
                signal.raise_signal(signal.SIGTERM)
            elif how == "emit":
                await on_shutdown().emit(signal.SIGTERM)
            if how != "leave":
                await stopped
                await asyncio.sleep(10)
                assert service.state is ServiceState.STOPPED
                with pytest.raises(ServiceStoppedError):
                    await service.start()
        assert service.state is ServiceState.STOPPED
        async with run_services([service]):
            assert service.run

    run(main)
    assert refused


def test_without_a_block_the_last_stop_ends_the_shutdown() -> None:
    """A listener that is told of the last STOPPED can start nothing, but a later caller can (SV-6.3)."""

    async def main() -> None:
        service = Recorded(grace=0)
        outcomes: list[Any] = []

        async def start_again(state: ServiceState) -> None:
            if state is ServiceState.STOPPED:
                await asyncio.sleep(0.1)
                outcomes.extend(await asyncio.gather(service.start(), return_exceptions=True))

        service.on_state_change.add_listener(start_again)
        await service.start()
        signal.raise_signal(signal.SIGTERM)
        await service.wait()
        await asyncio.sleep(1)
        assert [type(outcome) for outcome in outcomes] == [ServiceStoppedError]
        service.on_state_change.remove_listener(start_again)
        await service.start()
        await service.stop()

    run(main)


def test_services_that_leave_signals_alone() -> None:
    """With `signals=False`, no handler is set, and neither signals nor the event stop anything (SV-6.5)."""

    async def main() -> None:
        before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        service, heeding = Recorded(grace=0), Recorded("heeding", grace=0)
        async with run_services([service], signals=False):
            assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
            await settle()
            await heeding.start()
            signal.raise_signal(signal.SIGTERM)
            await heeding.wait()
            await on_shutdown().emit(signal.SIGTERM)
            await settle()
            assert service.run
            await service.restart()
            assert service.run

    run(main)


# What others see


def test_the_block_gets_a_future() -> None:
    """The block's future has callbacks. Cancelling it stops nothing, and it can still be awaited (SV-6.1)."""

    async def main() -> None:
        service = Recorded(grace=0)
        called: list[object] = []
        async with run_services([service]) as stopped:
            assert isinstance(stopped, asyncio.Future)
            _, pending = await asyncio.wait({stopped}, timeout=1)
            assert pending == {stopped}
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(stopped, 1)
            assert service.run
            stopped.add_done_callback(called.append)
            waiting = asyncio.ensure_future(asyncio.wait({asyncio.shield(stopped)}))
            service.stop()
            await stopped
            await waiting
            await settle()
        assert called == [stopped]
        assert stopped.done()

    run(main)


def test_a_failure_that_nobody_waits_for_is_no_complaint_of_the_future() -> None:
    """A failure of which the block was told, but which nobody awaited, is not reported by asyncio too (SV-6.1)."""

    async def main() -> None:
        failing = Failing(on_failure="stop")
        async with run_services([failing]) as stopped:
            await asyncio.sleep(2)
        assert isinstance(stopped.exception(), Failed)

    run(main)


def test_states_and_signals_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each change of state and each signal is logged at level INFO (SV-6.1)."""

    async def main() -> None:
        async with run_services([Recorded("worker", grace=0)]) as stopped:
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await stopped

    with caplog.at_level(logging.INFO, "aioservicekit"):
        run(main)
    assert [record.getMessage() for record in caplog.records] == [
        "worker: STARTING",
        "worker: RUNNING",
        "SIGTERM: stopping the services",
        "worker: STOPPING",
        "worker: STOPPED",
    ]


@pytest.mark.parametrize("abstract", [True, False])
def test_a_supervisor_is_told(abstract: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner of NOTIFY_SOCKET is told when the services run and when they stop, once each (SV-6.1)."""
    address = f"@aioservicekit-{tmp_path.name}-{id(tmp_path)}" if abstract else str(tmp_path / "socket")
    monkeypatch.setenv("NOTIFY_SOCKET", address)

    async def main() -> None:
        async with run_services([Recorded(grace=0)]) as stopped:
            assert supervisor.recv(100) == b"READY=1"
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await stopped

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(address.replace("@", "\0", 1) if abstract else address)
        run(main)
        assert supervisor.recv(100) == b"STOPPING=1"
        supervisor.setblocking(False)
        with pytest.raises(BlockingIOError):
            supervisor.recv(100)


def test_a_supervisor_hears_of_the_outer_block_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A nested block is not the application. If the shutdown comes before the start, only the shutdown is reported."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "socket"))

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            signal.raise_signal(signal.SIGTERM)
            await asyncio.sleep(100)

    async def main() -> None:
        async with run_services([Recorded(grace=0)]):
            assert supervisor.recv(100) == b"READY=1"
            async with run_services([Recorded("inner", grace=0)]):
                pass
        assert supervisor.recv(100) == b"STOPPING=1"
        async with run_services([Slow()]) as stopped:
            await stopped

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
        supervisor.bind(str(tmp_path / "socket"))
        run(main)
        assert supervisor.recv(100) == b"STOPPING=1"
        supervisor.setblocking(False)
        with pytest.raises(BlockingIOError):
            supervisor.recv(100)


def test_a_block_is_entered_once() -> None:
    """Each block needs its own call (SV-6.1)."""

    async def main() -> None:
        block = run_services([Recorded(grace=0)])
        async with block:
            await settle()
        with pytest.raises(RuntimeError, match="has been entered before"):
            await block.__aenter__()

    run(main)


def test_a_limit_is_none_of_a_signal_that_is_left_alone() -> None:
    """The limit of a block with `signals=False` does not begin with a signal (SV-6.5, SV-6.6)."""

    async def main() -> None:
        service, heeding = Recorded(grace=0), Recorded("heeding", grace=0)
        async with run_services([service], signals=False, timeout=3), run_services([heeding]) as stopped:
            await settle()
            signal.raise_signal(signal.SIGTERM)
            await stopped
            await asyncio.sleep(10)
            assert service.run

    run(main)


def test_a_supervisor_that_is_not_there_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A NOTIFY_SOCKET without a listener is reported in the log (SV-6.1)."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "socket"))

    async def main() -> None:
        async with run_services([]):
            pass

    run(main)
    assert "could not send READY=1 to NOTIFY_SOCKET" in caplog.text


def test_run_is_one_line() -> None:
    """`run` runs services in a new event loop, and raises a service's failure (SV-6.1)."""

    class Short(Service):
        def __init__(self, fails: bool) -> None:
            super().__init__(on_failure="stop")
            self.fails = fails

        async def __work__(self) -> None:
            if self.fails:
                raise Failed
            self.stop()

    aioservicekit.run(Short(False), Short(False))
    with pytest.raises(Failed):
        aioservicekit.run(Short(False), Short(True))
    with pytest.raises(TypeError, match="services must hold only services, not 3"):
        aioservicekit.run(3)  # type: ignore[arg-type]


# Work that has finished


class Spinning(Recorded):
    """A service whose work has nothing to do and nothing to wait for."""

    calls = 0

    lets_others_run = False

    async def __work__(self) -> None:
        self.calls += 1
        if self.calls == 3000:
            self.stop()
        if self.lets_others_run:
            await asyncio.sleep(0)


@pytest.mark.parametrize("lets_others_run", [False, True])
@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_work_that_waits_for_nothing_is_named_once(
    seconds: float, lets_others_run: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that returns again and again without waiting is logged once, with advice, and is still called (SV-3.4).

    A burst that takes no time, such as that of a consumer which takes what is buffered, is none.
    """
    monkeypatch.setattr("aioservicekit._work._SPINNING_SECONDS", seconds)

    async def main() -> None:
        spinning = Spinning(name="spinning")
        spinning.lets_others_run = lets_others_run  # by `sleep(0)`, which waits for nothing
        await spinning.start()
        await spinning.wait()
        assert spinning.calls == 3000

    run(main)
    if seconds:
        assert caplog.records == []
        return
    assert len(caplog.records) == 1
    assert "<Spinning 'spinning' RUNNING>: its work has returned 1000 times in a row" in caplog.text
    assert "self.stop()" in caplog.text


def test_work_that_waits_now_and_then_is_not_named(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work that takes what is there, and waits if there is nothing, does useful work (SV-3.4)."""
    monkeypatch.setattr("aioservicekit._work._SPINNING_SECONDS", 0)

    class Taking(Spinning):
        async def __work__(self) -> None:
            await super().__work__()
            if self.calls % 900 == 0:
                await asyncio.sleep(0.001)

    async def main() -> None:
        taking = Taking()
        await taking.start()
        await taking.wait()

    run(main)
    assert caplog.records == []


def test_work_may_keep_what_tells_it_of_the_stop() -> None:
    """`stopping` that was read before the first start, as in a constructor, tells of whichever life there is (SV-3.4)."""

    class Keeping(Recorded):
        def __init__(self) -> None:
            super().__init__(grace=None)
            self.told = self.stopping

        async def __work__(self) -> None:
            self.log.append("works")
            assert not self.told
            await self.told
            assert self.told

    async def main() -> None:
        keeping = Keeping()
        await keeping.start()
        await settle()
        await keeping.restart()
        await settle()
        await keeping.stop()
        assert keeping.log.count("works") == 2

    run(main)


def test_work_hears_of_the_stop() -> None:
    """`stopping` is set after the dependents have stopped, when the work should end; work that awaits it ends (SV-3.4)."""

    class Listening(Recorded):
        async def __on_start__(self) -> None:
            assert not self.stopping

        async def __work__(self) -> None:
            self.log.append(f"{self.name} works")
            async with asyncio.TaskGroup() as group:
                group.create_task(self.stopping.wait())
                await self.stopping
            assert self.stopping
            assert self.stopping.is_set()
            self.log.append(f"{self.name} ends at {now()}")

    async def main() -> list[str]:
        listening = Listening(grace=None)
        assert not listening.stopping
        await listening.stopping
        dependent = Recorded("dependent", dependences=[listening], grace=3)
        await dependent.start()
        await settle()
        await listening.stop()
        assert listening.stopping
        return listening.log

    log = run(main)
    assert log.count("it works") == 1
    assert "it ends at 3.0" in log


def test_work_that_ends_as_the_signal_comes_is_not_called_again() -> None:
    """A stop counts from the signal, even if nobody has been told of it yet (SV-3.4)."""

    class Raising(Recorded):
        async def __work__(self) -> None:
            self.log.append("works")
            await asyncio.sleep(1)
            signal.raise_signal(signal.SIGTERM)

    async def main() -> list[str]:
        raising = Raising()
        async with run_services([raising]) as stopped:
            await stopped
        return raising.log

    assert run(main).count("works") == 1


@pytest.mark.parametrize("name", ["Task", "task", "TaskGroup", "on_signal"])
def test_what_0_6_0_had_says_what_to_use(name: str) -> None:
    """Importing what only the other project's 0.6.0 had raises an ImportError with advice."""
    with pytest.raises(ImportError, match=f"no {name}, unlike 0.6.0 on PyPI: use "):
        exec(f"from aioservicekit import {name}")
    assert not hasattr(aioservicekit, "Other")


def test_the_limit_passes_over_what_has_never_started(caplog: pytest.LogCaptureFixture) -> None:
    """A service whose own `start` does nothing has nothing to cut short (SV-6.6)."""

    class Idle(Recorded):
        async def start(self) -> None:
            pass

    async def main() -> None:
        async with run_services([Idle(), Slow("slow", grace=None)], timeout=2):
            await settle()
        assert now() == 2

    run(main)
    assert caplog.text.count("is cut short") == 1


def test_a_diamond_starts_and_stops_in_order() -> None:
    """A service that is needed twice is started once, first, and stopped last (SV-2.1, SV-4.2)."""

    async def main() -> list[str]:
        log: list[str] = []
        below = Recorded("below", log, grace=0)
        sides = [Recorded(name, log, dependences=[below], grace=0) for name in ("left", "right")]
        async with run_services([Recorded("above", log, dependences=sides, grace=0)]):
            await settle()
        return [entry for entry in log if entry.endswith(("starts", "stops"))]

    log = run(main)
    assert (log[0], log[3], log[4], log[-1]) == ("below starts", "above starts", "above stops", "below stops")
