"""Services and the event loop: eager tasks, nested tasks, deep dependencies, other threads, other loops."""

import asyncio
import sys
import threading
from contextvars import ContextVar
from typing import Any

import pytest
from settling import settle
from stepping import EAGER, EagerLoop, Recorded, now, run

from aioservicekit import Service, ServiceState, run_services
from aioservicekit.services import lifecycle_of
from aioservicekit_conformance.running.loop import SteppedLoop

DEEP = 1200  # deeper than Python's recursion


@pytest.mark.parametrize("eager", EAGER)
def test_a_listener_may_start_the_service_again(eager: bool) -> None:
    """`start()` in a listener that was told of STOPPED returns when the service runs again (SV-2.2)."""

    async def main() -> list[str]:
        service = Recorded(grace=0)
        states: list[str] = []

        async def start_again(state: ServiceState) -> None:
            if state is ServiceState.STOPPED and not states:
                await service.start()
                states.append(service.state.name)

        service.on_state_change.add_listener(start_again)
        await service.start()
        await service.stop()
        await settle()
        await service.stop()
        return states

    assert run(main, eager=eager) == ["RUNNING"]


async def directly(service: Service, what: str) -> None:
    await getattr(service, what)()


async def in_a_gather(service: Service, what: str) -> None:
    await asyncio.gather(getattr(service, what)(), asyncio.sleep(0))


async def in_a_task_group(service: Service, what: str) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(directly(service, what))


async def in_tasks_of_tasks(service: Service, what: str) -> None:
    await asyncio.create_task(in_a_gather(service, what))


NESTED = [directly, in_a_gather, in_a_task_group, in_tasks_of_tasks]


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("grace", [None, 1000])
@pytest.mark.parametrize("nested", NESTED)
@pytest.mark.parametrize("what", ["stop", "restart", "wait"])
@pytest.mark.parametrize("of", ["itself", "a dependency"])
def test_work_that_waits_for_its_own_end_is_ended(
    of: str, what: str, nested: Any, grace: float | None, eager: bool
) -> None:
    """Work that waits for its own end, directly or in a task that it awaits, gets no grace (SV-4.3, SV-5.2)."""

    class Restless(Recorded):
        calls = 0

        async def __work__(self) -> None:
            self.calls += 1
            if self.calls > 1:
                await self.stopping
                return
            target = dependency if of == "a dependency" else self
            if what == "wait":
                target.stop()
            await nested(target, what)

    dependency = Recorded("dependency", grace=0)

    async def main() -> float:
        restless = Restless(dependences=[dependency], grace=grace)
        await restless.start()
        await settle(60)
        time = now()
        assert restless.state.name == ("RUNNING" if what == "restart" else "STOPPED")
        await restless.stop()
        await dependency.stop()
        return time

    assert run(main, eager=eager) == 0


@pytest.mark.parametrize("eager", EAGER)
def test_a_task_of_the_service_may_stop_it(eager: bool) -> None:
    """The work does not wait for a task from `create_task`, and keeps its grace (SV-4.3, SV-5.1)."""

    class Watched(Recorded):
        async def __work__(self) -> None:
            self.create_task(self.watch())
            await asyncio.sleep(3)
            self.log.append("work has ended")

        async def watch(self) -> None:
            await self.stop()

    async def main() -> list[str]:
        watched = Watched()
        await watched.start()
        await watched.wait()
        return watched.log

    assert "work has ended" in run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
def test_a_stop_hook_may_wait_for_the_stop_in_a_nested_task(eager: bool) -> None:
    """In the hook's own tasks, too, waiting for what comes after the hook returns at once (SV-5.2)."""

    class Waiting(Recorded):
        async def __on_stop__(self) -> None:
            await asyncio.gather(self.stop(), self.wait())

    async def main() -> None:
        waiting = Waiting(grace=0)
        await waiting.start()
        await waiting.stop()

    run(main, eager=eager)


def test_hooks_and_work_share_a_context() -> None:
    """The work and the stop hook see the context variable that the start hook sets, and nobody else does."""
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    class Setting(Recorded):
        async def __on_start__(self) -> None:
            variable.set("set by the start hook")

        async def __work__(self) -> None:
            self.log.append(variable.get())
            await asyncio.sleep(3600)

        async def __on_stop__(self) -> None:
            self.log.append(variable.get())

    async def main() -> list[str]:
        setting = Setting(grace=0)
        async with run_services([setting]):
            await settle()
        assert variable.get() == "unset"
        return [entry for entry in setting.log if "set" in entry]

    assert run(main) == ["set by the start hook"] * 2


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("how", ["stop the first", "stop the last", "leave", "restart", "cancel the start", "fail"])
def test_dependencies_may_be_deep(how: str, eager: bool) -> None:
    """A chain of services that is deeper than Python's recursion starts, stops and restarts (SV-4.2)."""

    class Quiet(Service):
        hangs = False

        async def __on_start__(self) -> None:
            if self.hangs:
                await asyncio.sleep(3600)

        async def __work__(self) -> None:
            await self.stopping

    async def main() -> None:
        services = [Quiet()]
        for _ in range(DEEP):
            services.append(Quiet(dependences=[services[-1]], on_failure="stop"))
        first, last = services[0], services[-1]
        if how in ("cancel the start", "fail"):
            first.hangs = True
            start = asyncio.create_task(last.start())
            await settle(12 * DEEP)
            assert last.state is first.state is ServiceState.STARTING
            if how == "fail":
                first.stop()
            else:
                start.cancel()
            await asyncio.wait([start])
        else:
            async with run_services([last]):
                assert all(service.run for service in services)
                if how == "restart":
                    await first.restart()
                    assert all(service.run for service in services)
                elif how == "stop the first":
                    await first.stop()
                elif how == "stop the last":
                    await last.stop()
                    assert first.run
        for _ in range(DEEP):
            if all(service.state is ServiceState.STOPPED for service in services):
                break
            await settle(20)
        assert {service.state for service in services} == {ServiceState.STOPPED}

    loop = asyncio.new_event_loop()
    if eager:
        loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())


class StopsWhenTold(Recorded):
    """Its stop hook takes until `told` is set."""

    def __init__(self) -> None:
        super().__init__(grace=0)
        self.told = threading.Event()

    async def __on_stop__(self) -> None:
        await asyncio.to_thread(self.told.wait, 30)
        await super().__on_stop__()


def test_a_stop_from_another_thread() -> None:
    """`stop()` works in any thread, plain or awaited, and begins when the service's loop learns of it (SV-4.1)."""
    running, service = threading.Event(), StopsWhenTold()
    seen: list[Any] = []

    async def here() -> None:
        async with run_services([service]) as stopped:
            running.set()
            await stopped

    async def elsewhere() -> None:
        stopping = asyncio.ensure_future(service.stop())
        await asyncio.sleep(0)  # it waits by now
        seen.append(stopping.done())
        service.told.set()
        await stopping
        seen.append(service.state)
        await service.wait()
        await service.stop()

    def other_thread() -> None:
        running.wait(30)
        asyncio.run(elsewhere())

    thread = threading.Thread(target=other_thread)
    thread.start()
    asyncio.run(asyncio.wait_for(here(), 30))
    thread.join(30)
    assert seen == [False, ServiceState.STOPPED]
    assert service.log[-3:] == ["it STOPPING", "it stops", "it STOPPED"]


def test_a_wait_in_another_thread_ends_though_the_services_loop_runs_no_more() -> None:
    """Who waits elsewhere hears of the end at once, and needs no further turn of the service's loop (SV-5.2)."""
    loop, service = SteppedLoop(), Recorded(grace=0)

    def step_until(state: ServiceState) -> None:
        while service.state is not state:
            loop.step()

    async def stop() -> None:
        await service.stop()

    async def elsewhere() -> None:
        waiting = asyncio.ensure_future(service.wait())
        await asyncio.sleep(0)
        stopping = loop.start(stop())
        step_until(ServiceState.STOPPED)
        await asyncio.wait_for(waiting, 30)
        assert not stopping.done()  # it would need a turn

    loop.start(service.start())
    step_until(ServiceState.RUNNING)
    asyncio.run(elsewhere())
    loop.close()


def test_a_stop_from_another_thread_that_comes_late_is_none_of_the_next_life() -> None:
    """A request for one life does not affect the next (SV-4.1)."""

    async def main() -> None:
        service = Recorded(grace=0)
        await service.start()
        late = lifecycle_of(service).life
        assert late
        await service.stop()
        async with run_services([service]):
            lifecycle_of(service)._ask_to_stop(late)  # as the loop would have called it
            await settle()
            assert service.run

    run(main)


def test_who_waits_in_another_thread_may_be_cancelled() -> None:
    """Cancelling a waiter in another thread stops nothing, and the service's loop does not notice (SV-5.2)."""
    running, cancelled, service = threading.Event(), threading.Event(), Recorded(grace=0)

    async def here() -> None:
        async with run_services([service]):
            running.set()
            await asyncio.to_thread(cancelled.wait, 30)
            assert service.run

    async def elsewhere() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(service.wait(), 0.01)
        cancelled.set()

    def other_thread() -> None:
        running.wait(30)
        asyncio.run(elsewhere())

    thread = threading.Thread(target=other_thread)
    thread.start()
    asyncio.run(asyncio.wait_for(here(), 30))
    thread.join(30)


@pytest.mark.parametrize("what", ["start", "restart", "create_task", "of a dependent"])
def test_another_loop_is_refused(what: str) -> None:
    """Calls that need the service's own loop raise at once in another one, with its name (SV-2.2)."""
    loop, service = SteppedLoop(), Recorded(grace=0)
    task = loop.start(service.start())
    for _ in range(30):
        loop.step()
    assert task.done()

    async def main() -> None:
        async def call() -> None:
            if what == "create_task":
                service.create_task(asyncio.sleep(1))
            elif what == "of a dependent":
                await Recorded("dependent", dependences=[service]).start()
            else:
                await getattr(service, what)()

        with pytest.raises(RuntimeError, match="<Recorded 'it' RUNNING> was started in another event loop"):
            await call()

    run(main)
    if what == "create_task":
        with pytest.raises(RuntimeError, match="<Recorded 'it' RUNNING> was started in another event loop"):
            service.create_task(asyncio.sleep(1))  # where no loop runs, as in another thread
    stop = loop.start(service.wait())
    service.stop()
    for _ in range(60):
        loop.step()
    assert stop.done()
    loop.close()


@pytest.mark.parametrize("stopping", [True, False])
def test_a_service_that_a_closed_loop_has_left_behind_starts_again(stopping: bool) -> None:
    """A life whose loop is gone is over, and the next start is like the first (SV-1.3, SV-6.3)."""
    service = Recorded(grace=0)
    dependent = Recorded("dependent", dependences=[service], grace=0)

    async def ask() -> None:
        service.stop()

    loop = SteppedLoop()
    task = loop.start(dependent.start())
    for _ in range(60):
        loop.step()
    assert task.done()
    if stopping:
        loop.start(ask())
    loop.close()
    service.stop()
    assert service.state.name == ("STOPPING" if stopping else "RUNNING")

    async def main() -> None:
        await service.wait()
        async with run_services([service]):
            pass
        async with run_services([dependent]):
            pass
        async with run_services([Recorded("new", dependences=[service], grace=0)]):
            await settle()

    run(main)
    assert service.log[-1] == "it STOPPED"
    assert service.log.count("it STOPPING") == 4


def test_only_a_coroutine_makes_a_task() -> None:
    """Anything else is refused at once, by name (SV-5.1)."""

    async def main() -> None:
        service = Recorded(grace=0)
        async with run_services([service]):
            with pytest.raises(TypeError, match="create_task needs a coroutine, not 3"):
                service.create_task(3)  # type: ignore[arg-type]

    run(main)


def test_eager_loops_are_eager() -> None:
    """The stepped loop of these tests runs tasks at once if asked to."""
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks are new in Python 3.12")
    loop, seen = EagerLoop(), []

    async def main() -> None:
        asyncio.create_task(asyncio.sleep(0)).add_done_callback(lambda task: None)
        seen.append(1)

    loop.start(main())
    assert seen == [1]
