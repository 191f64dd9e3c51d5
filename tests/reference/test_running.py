"""Running an application: `run_services` and `main` (SV-6)."""

import asyncio
from typing import Any

import pytest
from settling import settle
from stepping import Failed, Recorded, now, run

from aioservicekit import ServiceState, main, run_services


class FailingStart(Recorded):
    """A service whose start fails after a second."""

    async def __on_start__(self) -> None:
        await asyncio.sleep(1)
        raise Failed(self.name)


class FailingWork(Recorded):
    """A service that stops when it fails."""

    def __init__(self, name: str = "it", **options: Any) -> None:
        super().__init__(name, on_failure="stop", grace=0, **options)

    async def __work__(self) -> None:
        await asyncio.sleep(1)
        raise Failed(self.name)


def states(*services: Recorded) -> list[str]:
    return [service.state.name for service in services]


def test_all_services_run_in_the_block_and_are_stopped_after_it() -> None:
    """Dependencies that nobody listed are started and stopped too, dependents first (SV-6.1, SV-6.2)."""

    async def application() -> list[str]:
        log: list[str] = []
        hidden = Recorded("hidden", log, grace=0)
        listed = [Recorded("first", log, dependences=[hidden], grace=0), Recorded("second", log, grace=0)]
        async with run_services(listed):
            assert states(hidden, *listed) == ["RUNNING"] * 3
            log.clear()
        assert states(hidden, *listed) == ["STOPPED"] * 3
        return log

    log = run(application)
    assert log.index("first STOPPED") < log.index("hidden stops")


def test_what_ran_before_the_block_runs_after_it() -> None:
    """Leaving the block stops what entering it had started, and nothing else (SV-6.2)."""

    async def application() -> None:
        before = Recorded("before", grace=0)
        service = Recorded(dependences=[before], grace=0)
        await before.start()
        async with run_services([service]):
            pass
        assert states(before, service) == ["RUNNING", "STOPPED"]
        await before.stop()

    run(application)


def test_the_block_s_exception_goes_through_after_the_stop() -> None:
    """An exception in the block is raised once all services are STOPPED (SV-6.2)."""

    async def application() -> None:
        service = Recorded(grace=2)

        async def block() -> None:
            async with run_services([service]):
                await settle()
                raise Failed

        with pytest.raises(Failed):
            await block()
        assert states(service) == ["STOPPED"]
        assert now() == 2

    run(application)


def test_leaving_the_block_is_not_cut_short_by_a_cancellation() -> None:
    """If cancelled while it stops the services, the block ends when they are STOPPED, and is cancelled then (SV-6.2)."""

    async def application() -> None:
        service = Recorded(grace=5)

        async def block() -> None:
            async with run_services([service]):
                await settle()

        task = asyncio.create_task(block())
        for _ in range(2):
            await asyncio.sleep(1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert states(service) == ["STOPPED"]
        assert now() == 5

    run(application)


def test_whoever_cancels_the_waiter_itself_stops_nothing() -> None:
    """The services go on, and who awaits the future hears of the end as ever (SV-6.1)."""

    async def application() -> None:
        service = FailingWork()
        async with run_services([service]) as waiter:
            await settle()
            waiter.cancel()
            await settle()
            assert states(service) == ["RUNNING"]
            with pytest.raises(Failed):
                await waiter
        assert now() == 1

    run(application)


def test_the_waiter_completes_when_all_have_stopped() -> None:
    """The future may be awaited several times, by several tasks, and cancelling one of them stops nothing (SV-6.1)."""

    async def application() -> None:
        first, second = Recorded("first", grace=0), Recorded("second", grace=0)
        async with run_services([first, second]) as waiter:

            async def wait() -> float:
                await waiter
                return now()

            waiting = [asyncio.create_task(wait()) for _ in range(3)]
            await asyncio.sleep(1)
            waiting[0].cancel()
            await settle()
            assert states(first, second) == ["RUNNING", "RUNNING"]
            first.stop()
            await asyncio.sleep(1)
            second.stop()
            assert await asyncio.gather(*waiting[1:]) == [2, 2]
            await waiter

    run(application)


def test_the_waiter_waits_for_a_restart() -> None:
    """A service that restarts, or that a restart takes down and starts again, has not stopped (SV-5.2, SV-6.1)."""

    async def application() -> None:
        first = Recorded("first", grace=0)
        second = Recorded("second", dependences=[first], grace=0)
        async with run_services([second]) as waiter:
            waiting = asyncio.ensure_future(waiter)
            await settle()
            await first.restart()
            await settle()
            assert states(first, second) == ["RUNNING", "RUNNING"]
            assert not waiting.done()
            second.stop()
            await waiting

    run(application)


def test_leaving_the_block_ends_a_restart() -> None:
    """A restart that is in progress when the block is left leaves nothing running (SV-6.2)."""

    async def application() -> None:
        first = Recorded("first", grace=0)
        second = Recorded("second", dependences=[first], grace=0)
        async with run_services([second]):
            await settle()
            restart = asyncio.create_task(first.restart())
            await asyncio.sleep(0)
        assert states(first, second) == ["STOPPED", "STOPPED"]
        await asyncio.gather(restart, return_exceptions=True)

    run(application)


def test_the_waiter_raises_the_failure_of_a_service() -> None:
    """A single failure is raised as it is, even if it took other services down (SV-6.1)."""

    async def application() -> None:
        failing = FailingWork()
        dependent = Recorded("dependent", dependences=[failing], grace=0)
        with pytest.raises(Failed):
            async with run_services([failing, dependent]) as waiter:
                await waiter
        assert failing.failure is dependent.failure

    run(application)


def test_the_waiter_raises_a_group_of_several_failures() -> None:
    """Several failures are raised as an `ExceptionGroup` (SV-6.1)."""

    async def application() -> list[str]:
        with pytest.raises(ExceptionGroup, match="several services failed") as raised:
            async with run_services([FailingWork("one"), FailingWork("two")]) as waiter:
                await waiter
        return [str(error) for error in raised.value.exceptions]

    assert run(application) == ["one", "two"]


def test_a_start_that_fails_stops_what_has_started() -> None:
    """The failure is raised once everything that had started is STOPPED, including what was still starting (SV-6.2)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def application() -> None:
        quick, slow, failing = Recorded("quick", grace=0), Slow("slow"), FailingStart("failing")
        dependent = Recorded("dependent", dependences=[failing])
        with pytest.raises(Failed, match="failing") as raised:
            async with run_services([quick, slow, dependent, failing]):
                raise AssertionError("the block has run")
        assert raised.value is failing.failure
        assert raised.value.__context__ is None
        assert states(quick, slow, failing, dependent) == ["STOPPED"] * 4
        assert now() == 1

    run(application)


def test_cancelling_a_block_that_gives_its_starts_up() -> None:
    """One start has failed, and another takes its time to end: it is asked once, and waited for (SV-6.2)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

        async def start(self) -> None:
            try:
                await super().start()
            finally:
                await asyncio.sleep(1)
                self.log.append("slow has tidied up")

    class Unlucky(Recorded):
        async def __on_start__(self) -> None:
            raise Failed

    async def main() -> None:
        slow = Slow("slow")

        async def block() -> None:
            async with run_services([slow, Unlucky("unlucky")]):
                raise AssertionError("the block has run")

        entering = asyncio.create_task(block())
        await asyncio.sleep(0.5)
        assert slow.state is ServiceState.STOPPED
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert slow.state is ServiceState.STOPPED
        assert "slow has tidied up" in slow.log

    run(main)


def test_several_starts_that_fail_at_once() -> None:
    """If further starts fail before the first failure is noticed, an `ExceptionGroup` is raised (SV-6.2)."""

    class Failing(Recorded):
        async def __on_start__(self) -> None:
            raise Failed(self.name)

    async def application() -> list[str]:
        with pytest.raises(ExceptionGroup) as raised:
            async with run_services([Failing("one"), Failing("two")]):
                raise AssertionError("the block has run")
        return sorted(str(error) for error in raised.value.exceptions)

    assert run(application) == ["one", "two"]


def test_a_start_that_is_given_up_is_no_failure() -> None:
    """A service that is stopped while it starts is no failure: the block runs with the others (SV-6.2, SV-6.3)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def application() -> None:
        slow, other = Slow("slow"), Recorded("other", grace=0)
        asyncio.get_running_loop().call_later(1, slow.stop)
        async with run_services([slow, other]):
            assert states(slow, other) == ["STOPPED", "RUNNING"]

    run(application)


def test_cancelling_the_start_stops_what_has_started() -> None:
    """When entering the block is cancelled, nothing is left running (SV-6.2)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def application() -> None:
        slow, other = Slow("slow"), Recorded("other", grace=0)

        async def block() -> None:
            async with run_services([slow, other]):
                raise AssertionError("the block has run")

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(block(), 1)
        assert states(slow, other) == ["STOPPED", "STOPPED"]

    run(application)


@pytest.mark.parametrize(
    ("services", "named"), [(3, "3"), ([3], "3"), ("a", "'a'"), ([Recorded], "class"), ([[]], r"\[\]")]
)
def test_what_is_no_service_is_refused_at_the_call(services: Any, named: str) -> None:
    """Any other argument to `run_services` is a clear error at once (SV-6.1)."""
    with pytest.raises(TypeError, match=named):
        run_services(services)


def test_no_services_at_all() -> None:
    """With no services, the block runs, and the future completes at once (SV-6.1)."""

    async def application() -> None:
        async with run_services([]) as waiter:
            await waiter

    run(application)


def test_main_waits_for_every_other_task() -> None:
    """The result comes when every other task has ended, including tasks that these have made (SV-6.4)."""
    ended: list[float] = []

    @main
    async def program(result: str) -> str:
        """Run."""

        async def first() -> None:
            await asyncio.sleep(1)
            tasks.append(asyncio.create_task(second()))

        async def second() -> None:
            await asyncio.sleep(2)
            ended.append(now())

        tasks = [asyncio.create_task(first())]
        return result

    assert program.__doc__ == "Run."
    assert run(lambda: program("result")) == "result"
    assert ended == [3]


def test_main_raises_at_once() -> None:
    """An exception passes through without waiting for other tasks (SV-6.4)."""

    @main
    async def program() -> None:
        task = asyncio.create_task(asyncio.sleep(3600))
        tasks.append(task)
        raise Failed

    tasks: list[asyncio.Task[None]] = []

    async def application() -> float:
        with pytest.raises(Failed):
            await program()
        tasks[0].cancel()
        return now()

    assert run(application) == 0


def test_main_decorates_a_coroutine_function() -> None:
    """Anything else is refused at once (SV-6.4)."""
    with pytest.raises(TypeError, match="@main decorates a coroutine function, not 3"):
        main(3)  # type: ignore[arg-type]
