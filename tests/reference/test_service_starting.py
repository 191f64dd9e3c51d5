"""Services: their states, and starting (SV-1, SV-2)."""

import asyncio
import sys
from typing import Any

import pytest
from settling import settle
from stepping import Failed, Recorded, now, run

from aioservicekit import Service, ServiceState, ServiceStoppedError


def test_a_new_service_is_stopped() -> None:
    """A service is built with no running event loop, and is STOPPED; the older spellings are the same members (SV-1.1)."""
    service = Recorded()
    assert (service.state, service.name, service.failure, service.run) == (ServiceState.STOPPED, "it", None, False)
    assert ServiceState["STOPING"] is ServiceState.STOPPING
    assert ServiceState["STOPED"] is ServiceState.STOPPED
    assert repr(service) == "<Recorded 'it' STOPPED>"


def test_states_come_in_order() -> None:
    """Listeners see each state once, in the order of the transitions, hooks in between (SV-1.2, SV-2.1)."""

    async def main() -> list[str]:
        service = Recorded()
        await service.start()
        await settle()
        assert service.run
        await service.stop()
        return service.log

    assert run(main) == ["it STARTING", "it starts", "it RUNNING", "it works", "it STOPPING", "it stops", "it STOPPED"]


def test_a_listener_that_stops_the_service_does_not_turn_the_order() -> None:
    """A state change that a listener causes is announced after the one that it was told of, to all listeners (SV-1.2)."""

    async def main() -> tuple[list[ServiceState], list[ServiceState]]:
        service, first, second = Recorded(), list[ServiceState](), list[ServiceState]()

        def stop(state: ServiceState) -> None:
            first.append(state)
            if state is ServiceState.RUNNING:
                service.stop()

        service.on_state_change.add_listener(stop)
        service.on_state_change.add_listener(second.append)
        await service.start()
        await service.wait()
        return first, second

    first, second = run(main)
    assert first == second == [ServiceState(number) for number in (1, 2, 3, 4)]


def test_a_listener_that_waits_for_the_service_holds_nothing_up() -> None:
    """A listener may wait for its own service: the stop goes on (SV-1.2)."""

    async def main() -> tuple[list[str], float]:
        service = Recorded()
        heard = []

        async def wait(state: ServiceState) -> None:
            await service.wait()
            heard.append(f"{state.name}, then {service.state.name}")

        service.on_state_change.add_listener(wait)
        await service.start()
        await service.stop()
        await settle()
        return heard, now()

    heard, time = run(main)
    assert heard == [f"{state}, then STOPPED" for state in ("STARTING", "RUNNING", "STOPPING", "STOPPED")]
    assert time == 5


def test_hooks_may_be_plain_functions() -> None:
    """`__on_start__` and `__on_stop__` need not be coroutine functions (SV-2.1)."""

    class Plain(Recorded):
        def __on_start__(self) -> None:  # type: ignore[override]
            self.log.append("plain start")

        def __on_stop__(self) -> None:  # type: ignore[override]
            self.log.append("plain stop")

    async def main() -> list[str]:
        service = Plain(grace=0)
        await service.start()
        await service.stop()
        return [entry for entry in service.log if "plain" in entry]

    assert run(main) == ["plain start", "plain stop"]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are new in Python 3.12")
def test_eager_tasks_change_nothing() -> None:
    """With a task factory that runs tasks at once, states, hooks and work come in the same order (SV-1.2, SV-2.1)."""

    class Hooked(Recorded):
        async def __on_stop__(self) -> None:
            await self.stop()
            await super().__on_stop__()

    async def main() -> list[str]:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined, unused-ignore]
        first = Hooked("first", grace=0)
        second = Hooked("second", first.log, dependences=[first], grace=0)
        await second.start()
        await settle()
        await first.stop()
        return first.log

    states = ["STARTING", "starts", "RUNNING", "works", "STOPPING", "stops", "STOPPED"]
    log = asyncio.run(main())
    for name in ("first", "second"):
        assert [entry for entry in log if entry.startswith(name)] == [f"{name} {state}" for state in states]


def test_dependencies_start_first_and_side_by_side() -> None:
    """Two dependencies of three seconds each are up after three seconds, and only then the hook runs (SV-2.1)."""

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3)
            self.log.append(f"{self.name} is up at {now()}")

    async def main() -> list[str]:
        log: list[str] = []
        first, second = Slow("first", log), Slow("second", log)
        third = Slow("third", log, dependences=[first, second])
        await third.start()
        await asyncio.gather(first.stop(), second.stop(), third.stop())
        return [entry for entry in log if "up" in entry]

    assert run(main) == ["first is up at 3.0", "second is up at 3.0", "third is up at 6.0"]


class SlowStart(Recorded):
    """A service that takes three seconds to start."""

    async def __on_start__(self) -> None:
        self.log.append("start")
        await asyncio.sleep(3)


def test_a_start_is_shared() -> None:
    """A second `start()` waits for the first one to end, and on a RUNNING service it returns at once (SV-2.2)."""

    async def main() -> tuple[list[str], float]:
        service = SlowStart(grace=0)
        first = asyncio.create_task(service.start())
        await asyncio.sleep(1)
        await service.start()
        assert service.run
        await first
        await service.start()
        time = now()
        await service.stop()
        return service.log, time

    log, time = run(main)
    assert log.count("start") == 1
    assert time == 3


def test_a_failed_start_is_shared() -> None:
    """All callers get the hook's exception (SV-2.2, SV-2.3)."""
    failure = Failed()

    class Failing(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(1)
            raise failure

    async def main() -> list[Any]:
        service = Failing()
        return [*await asyncio.gather(service.start(), service.start(), return_exceptions=True), service]

    *outcomes, service = run(main)
    assert outcomes == [failure, failure]
    assert (service.state, service.failure, service.errors) == (ServiceState.STOPPED, failure, [])
    assert "it stops" not in service.log


def test_a_start_on_a_stopping_service_comes_after_the_stop() -> None:
    """A `start()` while the service is STOPPING waits for the stop, and then starts it (SV-2.2)."""

    async def main() -> list[str]:
        service = Recorded(grace=2)
        await service.start()
        await settle()
        service.stop()
        await service.start()
        assert now() == 2
        await service.stop()
        return service.log

    log = run(main)
    assert log[: log.index("it STOPPED") + 2][-2:] == ["it STOPPED", "it STARTING"]
    assert log.count("it RUNNING") == 2


def test_cancelling_one_of_several_callers_leaves_the_start_alone() -> None:
    """The start goes on as long as one caller waits for it (SV-2.2)."""

    async def main() -> None:
        service = SlowStart(grace=0)
        callers = [asyncio.create_task(service.start()) for _ in range(2)]
        await asyncio.sleep(1)
        callers[0].cancel()
        await settle()
        assert callers[0].cancelled()
        await callers[1]
        assert service.run
        await service.stop()

    run(main)


def test_cancelling_the_last_caller_gives_the_start_up() -> None:
    """When nobody waits for it any more, the start ends in STOPPED before the caller's `CancelledError` (SV-2.2, SV-2.3)."""

    async def main() -> Recorded:
        service = SlowStart()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.start(), 1)
        assert service.state is ServiceState.STOPPED
        assert now() == 1
        return service

    service = run(main)
    assert service.failure is None
    assert "it RUNNING" not in service.log
    assert "it stops" not in service.log


def test_cancelling_a_start_gives_up_the_dependencies_that_it_alone_wanted() -> None:
    """A dependency that starts for nobody else is given up as well (SV-2.2)."""

    async def main() -> list[str]:
        wanted, unwanted = SlowStart("wanted"), SlowStart("unwanted", grace=0)
        service = Recorded(dependences=[wanted, unwanted])
        other = asyncio.create_task(wanted.start())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.start(), 1)
        await settle()
        states = [each.state.name for each in (service, wanted, unwanted)]
        await other
        await wanted.stop()
        return states

    assert run(main) == ["STOPPED", "STARTING", "STOPPED"]


def test_a_dependency_is_not_started_again_for_who_was_stopped_meanwhile() -> None:
    """A dependent that waits for its dependency's stop, and is stopped at that instant, does not start it again (SV-4.6)."""

    async def main() -> list[str]:
        dependency = Recorded("dependency", grace=1)
        dependent = Recorded("dependent", dependences=[dependency])
        await dependency.start()
        await settle()
        dependency.stop()

        async def stop_at_that_instant() -> None:
            await dependency.wait()
            dependent.stop()

        stopping = asyncio.create_task(stop_at_that_instant())
        await asyncio.sleep(0)
        with pytest.raises(ServiceStoppedError):
            await dependent.start()
        await stopping
        await settle()
        return dependency.log

    assert run(main).count("dependency STARTING") == 1


def test_a_start_that_only_a_stopped_dependent_wanted_is_given_up() -> None:
    """A dependent that is stopped before it has asked for its dependency leaves it alone (SV-2.2)."""

    async def main() -> list[str]:
        dependency = SlowStart("dependency")
        dependent = Recorded("dependent", dependences=[dependency])
        starts = [asyncio.create_task(service.start()) for service in (dependent, dependency)]
        await asyncio.sleep(0)
        starts[1].cancel()
        await asyncio.sleep(0)
        assert [service.state.name for service in (dependency, dependent)] == ["STARTING", "STARTING"]
        dependent.stop()
        await asyncio.gather(*starts, return_exceptions=True)
        await settle()
        assert now() == 0
        return [service.state.name for service in (dependency, dependent)]

    assert run(main) == ["STOPPED", "STOPPED"]


def test_a_hook_that_is_cancelled_does_not_leave_the_service_starting() -> None:
    """A hook that raises an unrequested `CancelledError` ends the start in STOPPED (SV-1.3, SV-2.3)."""

    class Cancelled(Recorded):
        async def __on_start__(self) -> None:
            raise asyncio.CancelledError

    async def main() -> ServiceState:
        service = Cancelled()
        with pytest.raises(ServiceStoppedError):
            await service.start()
        return service.state

    assert run(main) is ServiceState.STOPPED


def test_a_hook_that_completes_though_given_up_is_followed_by_the_stop_hook() -> None:
    """`__on_stop__` runs exactly once if `__on_start__` had completed, even if the start was given up (SV-2.3)."""

    class Unmoved(Recorded):
        async def __on_start__(self) -> None:
            try:
                await asyncio.sleep(3)
            except asyncio.CancelledError:
                self.log.append("ready all the same")

    async def main() -> list[str]:
        service = Unmoved()
        start = asyncio.create_task(service.start())
        await asyncio.sleep(1)
        await service.stop()
        with pytest.raises(ServiceStoppedError):
            await start
        return service.log

    assert run(main) == ["it STARTING", "it STOPPING", "ready all the same", "it stops", "it STOPPED"]


def test_what_a_hook_raises_when_it_is_given_up_is_reported() -> None:
    """If the start was already given up, its exception reaches no caller and goes to `on_error` (SV-2.3)."""
    failure = Failed()

    class Failing(Recorded):
        async def __on_start__(self) -> None:
            try:
                await asyncio.sleep(3)
            finally:
                raise failure

    async def main() -> list[BaseException]:
        service = Failing()
        start = asyncio.create_task(service.start())
        await settle()
        await service.stop()
        with pytest.raises(ServiceStoppedError):
            await start
        return service.errors

    assert run(main) == [failure]


def test_a_dependency_that_fails_to_start_fails_its_dependents() -> None:
    """Dependents raise the same exception, run no start hook, and are STOPPED; healthy dependencies stay up (SV-2.3)."""
    failure = Failed()
    failure.__cause__ = KeyError("cause")

    class Failing(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(1)
            raise failure

    async def main() -> list[Any]:
        log: list[str] = []
        good, bad = Recorded("good", log, grace=0), Failing("bad", log)
        middle = Recorded("middle", log, dependences=[good, bad])
        last = Recorded("last", log, dependences=[middle])
        with pytest.raises(Failed) as raised:
            await last.start()
        states = [each.state.name for each in (good, bad, middle, last)]
        await good.stop()
        return [raised.value, states, log, last.failure]

    raised, states, log, failed = run(main)
    assert raised is failed is failure
    assert isinstance(raised.__cause__, KeyError)
    assert states == ["RUNNING", "STOPPED", "STOPPED", "STOPPED"]
    assert not {"middle starts", "last starts", "middle stops", "last stops"} & set(log)


def test_a_dependency_that_falls_gives_the_start_up() -> None:
    """If a dependency stops while another one is still starting, the dependent's start fails (SV-2.3, SV-4.5)."""

    async def main() -> None:
        quick, slow = Recorded("quick", grace=0), SlowStart("slow", grace=0)
        service = Recorded(dependences=[quick, slow])
        start = asyncio.create_task(service.start())
        await asyncio.sleep(1)
        quick.stop()
        with pytest.raises(ServiceStoppedError, match=r"'it' .* was stopped: <Recorded 'quick' STOPPING> has stopped"):
            await start
        assert "it starts" not in service.log
        await slow.stop()

    run(main)


def test_a_service_can_be_started_again() -> None:
    """A failed service starts like a new one, and its failure is forgotten (SV-1.2, SV-1.3)."""

    class Once(Recorded):
        async def __on_start__(self) -> None:
            if "failed" not in self.log:
                self.log.append("failed")
                raise Failed

    async def main() -> None:
        service = Once(grace=0)
        with pytest.raises(Failed):
            await service.start()
        assert isinstance(service.failure, Failed)
        await service.start()
        assert service.failure is None
        assert service.run
        await service.stop()

    run(main)


def test_a_hook_can_not_start_its_own_service() -> None:
    """A hook that awaited `start()` would wait for itself: it gets a RuntimeError (SV-2.2)."""

    class Selfish(Recorded):
        async def __on_start__(self) -> None:
            await self.start()

    async def main() -> None:
        with pytest.raises(RuntimeError, match="<Selfish 'it' STARTING> can't be started by its own hook"):
            await Selfish().start()

    run(main)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dependences": [1]}, TypeError, "dependencies must hold only services, not 1"),
        ({"dependencies": "ab"}, TypeError, "dependencies must hold only services, not 'a'"),
        ({"dependences": [[]]}, TypeError, r"dependencies must hold only services, not \[\]"),
        ({"dependences": 3}, TypeError, "dependencies must be a collection of services, not 3"),
        ({"dependences": [], "dependencies": []}, TypeError, "two spellings of one argument"),
        ({"grace": -1}, ValueError, "0 seconds or more, or None for no limit, not -1"),
        ({"grace": float("nan")}, ValueError, "not nan"),
        ({"grace": True}, TypeError, "a number of seconds or None, not True"),
        ({"grace": "1"}, TypeError, "a number of seconds or None, not '1'"),
        ({"on_failure": "again"}, ValueError, 'must be "retry", "stop" or "restart", not \'again\''),
        ({"name": 1}, TypeError, "name must be a str or None, not 1"),
    ],
)
def test_bad_arguments_are_refused_at_once(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """The constructor's errors name the value and what was expected (SV-2.4)."""

    class Plain(Service):
        async def __work__(self) -> None:
            raise AssertionError

    with pytest.raises(error, match=message):
        Plain(**options)


def test_work_must_be_a_coroutine_function() -> None:
    """An invalid `__work__` is refused when the service is built (SV-2.4, SV-3.1)."""

    class Wrong(Service):
        def __work__(self) -> None:  # type: ignore[override]
            raise AssertionError

    with pytest.raises(TypeError, match=r"Wrong\.__work__ must be a coroutine function"):
        Wrong()


def test_both_spellings_of_dependencies() -> None:
    """`dependences=` and `dependencies=` mean the same; a dependency that is given twice counts once (SV-2.4)."""

    async def main() -> None:
        first = Recorded("first", grace=0)
        for options in ({"dependences": [first, first]}, {"dependencies": (first,)}):
            second = Recorded("second", **options)
            await second.start()
            assert first.run
            await first.stop()
            assert second.state is ServiceState.STOPPED

    run(main)
