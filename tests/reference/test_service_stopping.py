"""Services: working, stopping, tasks and restarting (SV-3, SV-4, SV-5)."""

import asyncio
import logging
from typing import Any

import pytest
from settling import settle
from stepping import Failed, Recorded, now, run

from aioservicekit import Channel, Service, ServiceState, ServiceStoppedError, service


class Working(Recorded):
    """A service that does what its test says; each call of its work takes as many seconds as given."""

    seconds = 1.0

    async def __work__(self) -> None:
        self.log.append(f"work at {now()}")
        await asyncio.sleep(self.seconds)


# Working


def test_work_is_called_again_each_time_that_it_ends() -> None:
    """The work is called again when it has returned, and never twice at once (SV-3.1)."""

    async def main() -> list[str]:
        working = Working(grace=0)
        await working.start()
        await asyncio.sleep(2.5)
        await working.stop()
        return [entry for entry in working.log if "at" in entry]

    assert run(main) == ["work at 0.0", "work at 1.0", "work at 2.0"]


class FailingWork(Recorded):
    """A service whose work fails a given number of times."""

    failures = 5

    async def __work__(self) -> None:
        self.log.append(f"work at {now():.1f}")
        if self.failures:
            self.failures -= 1
            raise Failed
        await asyncio.sleep(100)


def test_work_that_fails_is_called_again_after_a_growing_pause() -> None:
    """The pause is 0.1 s and doubles with each consecutive failure; the exceptions go to `on_error` (SV-3.2)."""

    async def main() -> FailingWork:
        failing = FailingWork(grace=0)
        await failing.start()
        await asyncio.sleep(10)
        await failing.stop()
        return failing

    failing = run(main)
    assert [entry for entry in failing.log if " at " in entry] == [
        f"work at {time}" for time in ("0.0", "0.1", "0.3", "0.7", "1.5", "3.1")
    ]
    assert [type(error) for error in failing.errors] == [Failed] * 5
    assert failing.failure is None


def test_the_pause_ends_at_half_a_minute_and_with_a_success() -> None:
    """The pause grows to at most 30 s; after work that succeeds it is 0.1 s again (SV-3.2)."""

    class Failing(Recorded):
        times: list[float]
        succeeds_at = 0.0

        async def __work__(self) -> None:
            self.times.append(now())
            if now() < self.succeeds_at or len(self.times) < 15:
                raise Failed
            if len(self.times) == 15:
                return
            raise Failed

    async def main() -> list[float]:
        failing = Failing(grace=0)
        failing.times = []
        await failing.start()
        await asyncio.sleep(202)
        await failing.stop()
        return [round(after - before, 1) for before, after in zip(failing.times, failing.times[1:], strict=False)]

    pauses = run(main)
    assert pauses[:14] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30, 30, 30]
    assert pauses[14:17] == [0, 0.1, 0.2]


def test_a_stop_does_not_wait_for_the_pause() -> None:
    """A service whose work has just failed has nothing to end: it stops at once (SV-3.2, SV-4.3)."""

    async def main() -> float:
        failing = FailingWork(grace=None)
        await failing.start()
        await asyncio.sleep(1)
        await failing.stop()
        return now()

    assert run(main) == 1


def test_work_that_fails_may_stop_the_service() -> None:
    """With `on_failure="stop"`, the exception becomes the failure of the service and of its dependents (SV-3.2, SV-4.5)."""

    class Failing(Recorded):
        async def __work__(self) -> None:
            await asyncio.sleep(1)
            raise Failed

    async def main() -> list[Any]:
        failing = Failing(on_failure="stop")
        dependent = Recorded("dependent", failing.log, dependences=[failing], grace=0)
        await dependent.start()
        await dependent.wait()
        await failing.wait()
        return [failing.failure, dependent.failure, failing.errors, failing.log]

    failure, failure_of_dependent, errors, log = run(main)
    assert isinstance(failure, Failed)
    assert failure_of_dependent is failure
    assert errors == [failure]
    assert log[-4:] == ["dependent stops", "dependent STOPPED", "it stops", "it STOPPED"]


def test_where_nobody_listens_errors_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No exception from the work is lost (SV-3.2)."""

    class Failing(Service):
        async def __work__(self) -> None:
            raise Failed("for a reason")

    async def main() -> None:
        failing = Failing(on_failure="stop")
        await failing.start()
        await failing.wait()

    with caplog.at_level(logging.ERROR):
        run(main)
    assert "<Failing 'Failing' RUNNING> failed" in caplog.text
    assert "Failed: for a reason" in caplog.text


def test_a_cancellation_that_nobody_asked_for_is_a_failure_like_others() -> None:
    """Work that raises an unrequested `CancelledError` is called again after a pause (SV-3.2)."""

    class Cancelled(Recorded):
        async def __work__(self) -> None:
            self.log.append(f"work at {now()}")
            raise asyncio.CancelledError

    async def main() -> Cancelled:
        cancelled = Cancelled(grace=0)
        await cancelled.start()
        await asyncio.sleep(0.2)
        await cancelled.stop()
        return cancelled

    cancelled = run(main)
    assert [entry for entry in cancelled.log if " at " in entry] == ["work at 0.0", "work at 0.1"]
    assert [type(error) for error in cancelled.errors] == [asyncio.CancelledError] * 2


def test_work_that_never_suspends_starves_nobody() -> None:
    """Between two calls of work that never suspends, other tasks run (SV-3.3)."""

    class Busy(Recorded):
        calls = 0

        async def __work__(self) -> None:
            self.calls += 1

    async def main() -> int:
        busy = Busy()
        await busy.start()
        await settle(10)
        await busy.stop()
        return busy.calls

    assert 5 <= run(main) <= 15


def test_a_service_whose_work_is_cancelled_from_outside_stops() -> None:
    """Cancelling all tasks of a loop ends its services too, including the stop hook (SV-1.3)."""

    async def main() -> list[str]:
        working = Working(grace=None)
        await working.start()
        await settle()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await working.wait()
        return working.log

    assert run(main)[-3:] == ["it STOPPING", "it stops", "it STOPPED"]


@pytest.mark.parametrize("callbacks", range(12))
def test_a_loop_that_closes_at_any_time_ends_in_stopped(callbacks: int) -> None:
    """Wherever a life is when all tasks are cancelled, it reaches STOPPED, and the stop hook runs if it is due (SV-1.3)."""

    async def main() -> list[str]:
        first = Working("first", grace=None)
        second = Working("second", first.log, dependences=[first], grace=None)
        start = asyncio.create_task(second.start())
        await settle(callbacks)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await settle()
        assert {first.state, second.state} == {ServiceState.STOPPED}
        return first.log

    log = run(main)
    for name in ("first", "second"):
        assert log.count(f"{name} stops") == log.count(f"{name} starts")


# Stopping


def test_stop_is_called_plainly_or_awaited() -> None:
    """`stop()` begins at once; what it returns completes when STOPPED, however often it is awaited (SV-4.1)."""

    async def main() -> None:
        working = Working()
        await working.start()
        stopped = working.stop()
        states = [working.state]
        await stopped
        states.append(working.state)
        assert states == [ServiceState.STOPPING, ServiceState.STOPPED]
        await stopped
        await working.stop()

    run(main)


def test_stopping_what_is_stopped_does_nothing() -> None:
    """On a STOPPED service, `stop()` does nothing, even with no running loop (SV-4.6)."""
    working = Working()
    working.stop()
    assert working.log == []


def test_stopping_what_is_stopped_does_nothing_to_the_next_start() -> None:
    """A stop that changed nothing is forgotten, even if the service is started right after it (SV-4.6)."""

    async def main() -> None:
        working = Working(grace=0)
        await working.start()
        await working.stop()
        working.stop()
        await working.start()
        await settle()
        assert working.run
        await working.stop()

    run(main)


def test_dependents_stop_first_and_wholly() -> None:
    """A dependency's work goes on until its dependents are STOPPED; only then is it asked to end (SV-4.2)."""

    async def main() -> list[str]:
        log: list[str] = []
        first = Working("first", log)
        second = Recorded("second", log, dependences=[first], grace=3)
        third = Recorded("third", log, dependences=[second], grace=2)
        await third.start()
        await settle()
        log.clear()
        await first.stop()
        return [*log, str(now())]

    log = run(main)
    assert log[:3] == ["first STOPPING", "second STOPPING", "third STOPPING"]
    order = ["third stops", "third STOPPED", "second stops", "second STOPPED", "first stops", "first STOPPED"]
    assert [entry for entry in log[3:] if "work" not in entry and entry != "5.0"] == order
    assert log.index("work at 4.0") < log.index("second stops")
    assert log[-1] == "5.0"


def test_a_dependent_that_waits_for_its_dependencies_is_not_waited_for() -> None:
    """A dependent that has not reached its start hook gives up its start, and holds nobody up (SV-4.2)."""

    class NeverUp(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def main() -> float:
        up, never = Recorded("up", grace=0), NeverUp("never")
        waiting = Recorded("waiting", dependences=[up, never])
        start = asyncio.create_task(waiting.start())
        await asyncio.sleep(1)
        await up.stop()
        with pytest.raises(ServiceStoppedError):
            await start
        await never.wait()
        return now()

    assert run(main) == 1


@pytest.mark.parametrize(("grace", "end"), [(5.0, 5.0), (0.5, 0.5), (0, 0.0), (None, 3600.0), (float("inf"), 3600.0)])
def test_work_may_end_by_itself_within_the_grace(grace: float | None, end: float) -> None:
    """After the grace, the work is cancelled; None sets no limit, 0 cancels at once (SV-4.3)."""

    async def main() -> float:
        recorded = Recorded(grace=grace)
        await recorded.start()
        await settle()
        await recorded.stop()
        return now()

    assert run(main) == end


def test_work_that_ends_within_the_grace_is_not_called_again() -> None:
    """When asked to end, the current work finishes, and no other call follows (SV-3.1, SV-4.3)."""

    async def main() -> list[str]:
        working = Working()
        await working.start()
        await asyncio.sleep(0.5)
        await working.stop()
        return [*working.log, str(now())]

    assert run(main)[-5:] == ["work at 0.0", "it STOPPING", "it stops", "it STOPPED", "1.0"]


def test_what_refuses_to_be_cancelled_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Work that goes on after its cancellation is named in the log, and left behind after another grace (SV-4.3)."""

    class Stubborn(Recorded):
        async def __work__(self) -> None:
            while True:
                try:
                    await asyncio.sleep(20)
                    return
                except asyncio.CancelledError:
                    pass

    async def main() -> list[Any]:
        stubborn = Stubborn(grace=2)
        await stubborn.start()
        await settle()
        await stubborn.stop()
        return [now(), stubborn.log]

    with caplog.at_level(logging.ERROR):
        time, log = run(main)
    assert time == 4
    assert log[-2:] == ["it stops", "it STOPPED"]
    assert "<Stubborn 'it' STOPPING> leaves behind a task that refuses to be cancelled: <T" in caplog.text


def test_with_no_grace_what_is_cancelled_may_still_clean_up() -> None:
    """With a grace of 0, cancelled work gets only a few turns of the loop (SV-4.3)."""

    class Tidy(Recorded):
        async def __work__(self) -> None:
            try:
                await asyncio.gather(asyncio.sleep(10), asyncio.sleep(20))
            finally:
                await asyncio.sleep(0)
                self.log.append("tidy")

    async def main() -> list[str]:
        tidy = Tidy(grace=0)
        await tidy.start()
        await settle()
        await tidy.stop()
        return tidy.log

    assert run(main)[-3:] == ["tidy", "it stops", "it STOPPED"]


def test_an_exception_of_the_stop_hook_is_reported() -> None:
    """The exception goes to `on_error`, and the service still becomes STOPPED (SV-1.3, SV-4.4)."""

    class Failing(Recorded):
        async def __on_stop__(self) -> None:
            raise Failed

    async def main() -> Failing:
        failing = Failing(grace=0)
        await failing.start()
        await failing.stop()
        return failing

    failing = run(main)
    assert failing.state is ServiceState.STOPPED
    assert [type(error) for error in failing.errors] == [Failed]
    assert failing.failure is None


def test_a_dependency_that_stops_stops_its_dependents() -> None:
    """Whatever makes a dependency stop, its dependents stop with it, and not the other way round (SV-4.5)."""

    async def main() -> list[str]:
        first = Recorded("first", grace=0)
        second = Recorded("second", dependences=[first], grace=0)
        third = Recorded("third", dependences=[second], grace=0)
        await third.start()
        await second.stop()
        states = [each.state.name for each in (first, second, third)]
        await first.stop()
        return states

    assert run(main) == ["RUNNING", "STOPPED", "STOPPED"]


def test_a_stop_while_starting_gives_the_start_up() -> None:
    """The hook is cancelled, its callers get `ServiceStoppedError`, and no stop hook runs (SV-4.6, SV-2.3)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def main() -> list[str]:
        slow = Slow()
        start = asyncio.create_task(slow.start())
        await asyncio.sleep(1)
        await slow.stop()
        assert now() == 1
        with pytest.raises(ServiceStoppedError, match="<Slow 'it' STARTING> was stopped"):
            await start
        return slow.log

    assert run(main) == ["it STARTING", "it STOPPING", "it STOPPED"]


def test_a_start_hook_that_refuses_to_be_cancelled_is_left_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Giving up a start ends in STOPPED even if the hook does not end (SV-1.3, SV-4.3)."""

    class Stubborn(Recorded):
        async def __on_start__(self) -> None:
            while now() < 100:
                try:
                    await asyncio.sleep(100)
                except asyncio.CancelledError:
                    pass

    async def main() -> float:
        stubborn = Stubborn(grace=2)
        start = asyncio.create_task(stubborn.start())
        await settle()
        await stubborn.stop()
        with pytest.raises(ServiceStoppedError):
            await start
        return now()

    assert run(main) == 2
    assert "refuses to be cancelled" in caplog.text


@pytest.mark.parametrize("grace", [None, 1000])
@pytest.mark.parametrize("what", ["own", "of its dependency"])
def test_work_that_waits_for_its_own_end_is_ended(grace: float | None, what: str) -> None:
    """Work that awaits the stop of its service, or of a dependency, could never end: it gets no grace (SV-4.2, SV-4.3)."""

    class Suicidal(Recorded):
        async def __work__(self) -> None:
            await (dependency if what == "of its dependency" else self).stop()

    dependency = Recorded("dependency", grace=0)

    async def main() -> float:
        suicidal = Suicidal(grace=grace, dependences=[dependency])
        await suicidal.start()
        await suicidal.wait()
        await dependency.stop()
        return now()

    assert run(main) == 0


def test_work_that_has_stopped_waiting_has_its_grace_again() -> None:
    """Work that has stopped waiting for a dependency's end keeps its grace (SV-4.3)."""

    class Patient(Recorded):
        async def __work__(self) -> None:
            async with asyncio.timeout(1):
                await dependency.wait()

    dependency = Recorded("dependency", grace=0)

    async def main() -> float:
        patient = Patient(dependences=[dependency])
        await patient.start()
        await asyncio.sleep(1.05)
        assert [type(error) for error in patient.errors] == [TimeoutError]
        patient.__class__.__work__ = Recorded.__work__  # type: ignore[method-assign]
        await asyncio.sleep(1)
        await patient.stop()
        await dependency.stop()
        return round(now(), 2)

    assert run(main) == 7.05


def test_hooks_may_await_the_stop_of_their_own_service() -> None:
    """In the service's own hooks, which must end first, waiting for the service returns at once (SV-5.2)."""

    class Waiting(Recorded):
        async def __on_start__(self) -> None:
            self.stop()
            await self.wait()

        async def __on_stop__(self) -> None:
            await self.stop()
            await super().__on_stop__()

    async def main() -> list[str]:
        waiting = Waiting()
        with pytest.raises(ServiceStoppedError):
            await waiting.start()
        return waiting.log

    assert run(main) == ["it STARTING", "it STOPPING", "it stops", "it STOPPED"]


def test_nothing_that_was_sent_before_the_stop_is_lost() -> None:
    """A producer that depends on its consumers closes its publisher, and they drain the channel, then stop (SV-4.2)."""
    channel = Channel[int](buffer_size=5)

    class Producer(Service):
        sent = 0

        async def __on_start__(self) -> None:
            self.publisher = await channel.connect()

        async def __work__(self) -> None:
            await self.publisher.send(self.sent + 1)
            self.sent += 1

        async def __on_stop__(self) -> None:
            await self.publisher.close()

    class Consumer(Service):
        async def __on_start__(self) -> None:
            self.handled: list[int] = []
            self.subscriber = await channel.subscribe()

        async def __work__(self) -> None:
            async for message in self.subscriber:
                await asyncio.sleep(self.seconds)
                self.handled.append(message)

        seconds = 0.1

    class Slow(Consumer):
        seconds = 0.7

    async def main() -> None:
        consumers = [Consumer(), Slow(), Consumer()]
        producer = Producer(dependences=consumers)
        await producer.start()
        await asyncio.sleep(30)
        await asyncio.gather(*(consumer.stop() for consumer in consumers))
        assert producer.state is ServiceState.STOPPED
        assert producer.sent > 40
        for consumer in consumers:
            assert consumer.handled == list(range(1, producer.sent + 1))

    run(main)


def test_a_consumer_that_waits_while_another_publisher_lives_is_ended_after_its_grace() -> None:
    """`async for` over a channel that stays open elsewhere does not keep a service from stopping (SV-4.3)."""
    channel = Channel[int]()

    class Consumer(Service):
        async def __on_start__(self) -> None:
            self.subscriber = await channel.subscribe()

        async def __work__(self) -> None:
            async for _ in self.subscriber:
                raise AssertionError

        async def __on_stop__(self) -> None:
            await self.subscriber.close()

    async def main() -> float:
        async with await channel.connect():
            consumer = Consumer()
            await consumer.start()
            await consumer.stop()
            return now()

    assert run(main) == 5


# Tasks, waiting, restarting, factories


def test_tasks_belong_to_the_service() -> None:
    """Tasks of a service are cancelled after its work, are gone when it is STOPPED, and report to `on_error` (SV-5.1)."""

    class Busy(Recorded):
        async def __on_start__(self) -> None:
            self.create_task(asyncio.sleep(3600), name="long")
            self.create_task(self.fail())

        async def fail(self) -> None:
            raise Failed

        async def __on_stop__(self) -> None:
            self.log.append(f"tasks: {len(asyncio.all_tasks())}")
            self.late = self.create_task(asyncio.sleep(3600))

    async def main() -> Busy:
        busy = Busy(grace=1)
        before = len(asyncio.all_tasks())
        await busy.start()
        await settle()
        await busy.stop()
        assert busy.late.cancelled()
        assert len(asyncio.all_tasks()) == before
        return busy

    busy = run(main)
    assert [type(error) for error in busy.errors] == [Failed]
    assert busy.log[-2:] == ["tasks: 3", "it STOPPED"]


def test_a_stopped_service_runs_no_tasks() -> None:
    """`create_task` on a STOPPED service is refused, and leaves no coroutine unawaited (SV-5.1)."""

    async def main() -> None:
        recorded = Recorded(grace=0)
        with pytest.raises(RuntimeError, match="<Recorded 'it' STOPPED> is STOPPED: it runs no tasks"):
            recorded.create_task(asyncio.sleep(1))
        await recorded.start()
        await recorded.stop()
        with pytest.raises(RuntimeError):
            recorded.create_task(asyncio.sleep(1))

    run(main)


def test_waiting_for_a_stopped_service_returns_at_once() -> None:
    """`wait()` returns at once on a STOPPED service, including a new one (SV-5.2)."""

    async def main() -> None:
        recorded = Recorded(grace=0)
        await recorded.wait()
        await recorded.start()
        await recorded.stop()
        await recorded.wait()
        assert now() == 0

    run(main)


def test_names_default_to_the_class() -> None:
    """A service without a name gets its class's name (SV-5.2)."""

    class Plain(Service):
        async def __work__(self) -> None:
            raise AssertionError

    assert Plain().name == "Plain"


@pytest.mark.parametrize("when", ["running", "stopping", "stopped", "starting"])
def test_restart_brings_up_what_it_took_down(when: str) -> None:
    """In every state, `restart()` stops, starts, and starts again the dependents that the stop took down (SV-5.2)."""

    async def main() -> list[str]:
        first = Recorded("first", grace=1)
        second = Recorded("second", dependences=[first], grace=1)
        third = Recorded("third", dependences=[second], grace=1)
        services = [first, second, third]
        start = asyncio.create_task(third.start())
        if when != "starting":
            await start
            await settle()
        if when == "stopping":
            first.stop()
            await asyncio.sleep(0.5)
        if when == "stopped":
            await first.stop()
        await first.restart()
        await asyncio.gather(start, return_exceptions=True)
        states = [each.state.name for each in services]
        await asyncio.gather(*(each.stop() for each in services))
        return states

    assert run(main) == (["RUNNING", "STOPPED", "STOPPED"] if when == "stopped" else ["RUNNING"] * 3)


@pytest.mark.parametrize("turns", range(6))
def test_a_stop_ends_the_restart_that_has_started_the_service(turns: int) -> None:
    """Once it has started the service a restart is not carried on after a stop: it would start the service anew (SV-5.2)."""

    async def main() -> list[str]:
        first = Recorded("first", grace=0)
        second = Recorded("second", dependences=[first], grace=0)
        await second.start()
        restart = asyncio.create_task(first.restart())
        runs_again = asyncio.Event()
        first.on_state_change.add_listener(lambda state: runs_again.set() if state is ServiceState.RUNNING else None)
        await runs_again.wait()
        for _ in range(turns):
            await asyncio.sleep(0)
        await first.stop()
        await settle()
        assert isinstance((await asyncio.gather(restart, return_exceptions=True))[0], ServiceStoppedError)
        assert first.log.count("first RUNNING") == 2
        return [first.state.name, second.state.name]

    assert run(main) == ["STOPPED", "STOPPED"]


def test_work_may_restart_its_own_service() -> None:
    """A restart is completed even if the work that asked for it has to end for it (SV-5.2)."""

    class Restless(Recorded):
        async def __work__(self) -> None:
            if self.log.count("it RUNNING") < 3:
                await self.restart()
            await asyncio.sleep(3600)

    async def main() -> list[str]:
        restless = Restless(grace=0)
        await restless.start()
        await asyncio.sleep(1)
        await restless.stop()
        return restless.log

    log = run(main)
    assert log.count("it RUNNING") == log.count("it STOPPED") == 3


def test_a_stop_hook_may_restart_its_own_service() -> None:
    """In a hook, `restart()` returns at once: the hook has to end first (SV-5.2)."""

    class Phoenix(Recorded):
        async def __on_stop__(self) -> None:
            if self.log.count("it RUNNING") == 1:
                await self.restart()

    async def main() -> list[str]:
        phoenix = Phoenix(grace=0)
        await phoenix.start()
        await phoenix.stop()
        await asyncio.sleep(1)
        await phoenix.stop()
        return phoenix.log

    log = run(main)
    assert log.count("it RUNNING") == log.count("it STOPPED") == 2


def test_a_restart_that_fails_raises() -> None:
    """A restart raises the failure of the service's or a dependent's start; a second call shares the first (SV-5.2)."""

    class Once(Recorded):
        async def __on_start__(self) -> None:
            if "it RUNNING" in self.log or "dependent RUNNING" in self.log:
                raise Failed

    async def main() -> None:
        once, fine = Once(grace=0), Recorded("fine", grace=0)
        dependent = Once("dependent", dependences=[fine], grace=0)
        await once.start()
        outcomes = await asyncio.gather(once.restart(), once.restart(), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Failed, Failed]
        await dependent.start()
        with pytest.raises(Failed):
            await fine.restart()
        assert [each.state.name for each in (fine, dependent)] == ["RUNNING", "STOPPED"]
        await fine.stop()

    run(main)


def test_a_service_from_a_function() -> None:
    """`@service` makes a factory: every call of the work gets its arguments, and the name is the function's (SV-5.3)."""
    calls: list[Any] = []

    @service(grace=0)
    async def greet(name: str, *, times: int) -> None:
        """Say hello."""
        calls.append((name, times))
        await asyncio.sleep(1)

    async def main() -> None:
        named = service(name="other", dependences=[])(greet.__wrapped__)("you", times=1)  # type: ignore[attr-defined]
        assert named.name == "other"
        greeting = greet("world", times=3)
        assert greeting.name == "greet"
        await greeting.start()
        await asyncio.sleep(1.5)
        await greeting.stop()

    assert greet.__doc__ == "Say hello."
    run(main)
    assert calls == [("world", 3)] * 2


def test_a_factory_needs_a_coroutine_function() -> None:
    """`@service` on anything else is refused at once (SV-5.3)."""
    with pytest.raises(TypeError, match="@service decorates a coroutine function, not 3"):
        service()(3)  # type: ignore[arg-type]
