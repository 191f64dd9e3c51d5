"""Services that start again after failures: pauses, limits, dependents, and what ends a restart (SV-3.2)."""

import asyncio
import signal
from typing import Any

import pytest
from settling import settle
from stepping import EAGER, Failed, Failing, Recorded, now, run

from aioservicekit import Service, ServiceState, run_services


def test_a_service_starts_again_after_a_failure() -> None:
    """With `on_failure="restart"`, the service restarts, including hooks and dependents, after growing pauses (SV-3.2)."""

    async def main() -> None:
        failing = Failing(times=3, on_failure="restart", grace=0)
        dependent = Recorded("dependent", dependences=[failing], grace=0)
        async with run_services([dependent]) as stopped:
            waiting = asyncio.ensure_future(stopped)
            await asyncio.sleep(10)
            assert failing.started == [0.0, 1.1, 2.3, 3.7]
            assert not waiting.done()
            assert failing.run
            assert dependent.run
            assert failing.failure is dependent.failure is None
            dependent.stop()
            await waiting
        assert failing.log.count("failing stops") == failing.log.count("failing STOPPED") == 4
        assert [type(error) for error in failing.errors] == [Failed] * 3

    run(main)


def test_restarts_have_a_limit() -> None:
    """After `max_restarts` in a row, the failure stops the service for good, and the block learns of it then (SV-3.2)."""

    async def main() -> None:
        failing = Failing(on_failure="restart", max_restarts=2, grace=0)
        with pytest.raises(Failed):
            async with run_services([failing]) as stopped:
                await stopped
        assert failing.started == [0.0, 1.1, 2.3]
        assert round(now(), 1) == 3.3
        assert isinstance(failing.failure, Failed)

    run(main)


def test_a_start_that_fails_after_a_failure_is_tried_again() -> None:
    """The start hook may fail too: this counts, is reported, and makes the next pause longer (SV-3.2)."""

    class Unlucky(Failing):
        async def __on_start__(self) -> None:
            await super().__on_start__()
            if 1 < len(self.started) < 4:
                raise Failed

    async def main() -> None:
        unlucky = Unlucky(times=1, on_failure="restart", grace=0)
        dependent = Recorded("dependent", dependences=[unlucky], grace=0)
        async with run_services([dependent]):
            await asyncio.sleep(10)
            assert unlucky.started == [0.0, 1.1, 1.3, 1.7]
            assert [type(error) for error in unlucky.errors] == [Failed] * 3
            assert dependent.run

    run(main)


def test_a_dependent_that_fails_to_start_again_is_reported() -> None:
    """Nobody waits for a restart after a failure, so its failures go to `on_error` (SV-1.3, SV-3.2)."""

    class Once(Recorded):
        async def __on_start__(self) -> None:
            if "dependent RUNNING" in self.log:
                raise Failed

    async def main() -> None:
        failing = Failing(times=1, on_failure="restart", grace=0)
        dependent = Once("dependent", dependences=[failing], grace=0)
        async with run_services([dependent, failing]):
            await asyncio.sleep(10)
            assert failing.run
            assert [type(error) for error in dependent.errors] == [Failed]

    run(main)


@pytest.mark.parametrize("how", ["stop", "signal", "leave", "restart"])
def test_the_pause_before_a_restart_can_be_ended(how: str) -> None:
    """A stop, a signal or the block's end during the pause leaves no failure; `restart()` shares the restart (SV-3.2)."""

    async def main() -> None:
        failing = Failing(times=1, on_failure="restart", grace=0)
        async with run_services([failing]) as stopped:
            await asyncio.sleep(1.05)
            assert failing.state is ServiceState.STOPPED
            if how == "restart":
                await failing.restart()
                assert failing.started == [0.0, 1.1]
                return
            if how == "stop":
                failing.stop()
            elif how == "signal":
                signal.raise_signal(signal.SIGTERM)
            if how != "leave":
                assert how == "signal" or failing.failure is None
                await stopped
        assert failing.failure is None
        assert failing.started == [0.0]
        assert now() == 1.05

    run(main)


def test_work_that_ends_well_resets_the_count_of_restarts() -> None:
    """The limit is on consecutive restarts (SV-3.2)."""

    class Alternating(Failing):
        calls = 0

        async def __work__(self) -> None:
            self.calls += 1
            await asyncio.sleep(0.1)
            if self.calls % 2 == 0:
                raise Failed

    async def main() -> None:
        alternating = Alternating(on_failure="restart", max_restarts=1, grace=0)
        async with run_services([alternating]):
            await asyncio.sleep(5)
            assert alternating.run or alternating.started[-1] > 4

    run(main)


class Crashing(Recorded):
    """A service whose work fails at once, a given number of times, and again when it is told."""

    def __init__(self, name: str = "crashing", times: int = 0, **options: Any) -> None:
        super().__init__(name, on_failure="restart", grace=0, **options)
        self.times = times
        self.told = asyncio.Event()

    async def __work__(self) -> None:
        if self.times:
            self.times -= 1
            raise Failed
        await self.told.wait()


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("depth", [1, 2])
def test_what_a_first_failure_took_down_comes_back_after_the_last(depth: int, eager: bool) -> None:
    """Work that fails before its dependents have started again takes nothing from them (SV-3.2)."""

    async def main() -> None:
        crashing = Crashing()
        services: list[Service] = [crashing]
        for number in range(depth):
            services.append(Recorded(f"dependent {number}", dependences=[services[-1]], grace=0))
        async with run_services(services):
            crashing.times = 3
            crashing.told.set()
            crashing.told.clear()
            await asyncio.sleep(60)
            assert [service.state.name for service in services] == ["RUNNING"] * len(services)

    run(main, eager=eager)


def test_a_stopped_dependent_does_not_start_again() -> None:
    """A stop during the pause concerns the dependent alone: what has failed starts again, and so do the others (SV-3.2)."""

    async def main() -> None:
        failing = Failing(times=1, on_failure="restart", grace=0)
        stopped = Recorded("stopped", dependences=[failing], grace=0)
        other = Recorded("other", dependences=[failing], grace=0)
        async with run_services([failing, stopped, other]):
            await asyncio.sleep(1.05)
            await stopped.stop()
            await asyncio.sleep(10)
            assert failing.run
            assert other.run
            assert stopped.log.count("stopped RUNNING") == 1

    run(main)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("when", [0.5, 1.02, 1.05])
def test_a_stopped_dependency_stays_stopped(when: float, eager: bool) -> None:
    """The stop of a dependency stops its dependents, also one that is about to start again (SV-3.2, SV-4.5)."""

    class Slow(Failing):
        async def __on_stop__(self) -> None:
            await asyncio.sleep(0.03)

    async def main() -> None:
        dependency = Recorded("dependency", grace=0)
        failing = Slow(times=1, on_failure="restart", dependences=[dependency], grace=0)
        async with run_services([dependency, failing]) as stopped:
            await asyncio.sleep(when)
            await dependency.stop()
            await asyncio.wait([stopped])
        assert dependency.log.count("dependency RUNNING") == 1
        assert now() < 2

    run(main, eager=eager)


def test_a_restart_waits_for_that_of_a_dependency() -> None:
    """If both fail, each has its own pause, and the dependent comes last (SV-2.1, SV-3.2)."""

    async def main() -> None:
        dependency = Failing("dependency", times=1, on_failure="restart", grace=0)
        failing = Failing(times=1, on_failure="restart", dependences=[dependency], grace=0)
        async with run_services([dependency, failing]):
            await asyncio.sleep(20)
            assert dependency.run
            assert failing.run

    run(main)


@pytest.mark.parametrize("how", ["stop", "leave"])
def test_a_restart_that_waits_for_another_can_be_ended(how: str) -> None:
    """A stop ends it, and the restart of the dependency goes on (SV-3.2)."""

    class Late(Failing):
        async def __work__(self) -> None:
            await asyncio.sleep(0.05)
            await super().__work__()

    async def main() -> None:
        dependency = Late("dependency", times=5, on_failure="restart", grace=0)
        failing = Failing(times=1, on_failure="restart", dependences=[dependency], grace=0)
        async with run_services([dependency, failing]):
            await asyncio.sleep(1.12)  # the dependency fails during the dependent's pause
            assert dependency.state is failing.state is ServiceState.STOPPED
            if how == "stop":
                await failing.stop()
                await asyncio.sleep(5)
                assert len(dependency.started) > 2
        assert failing.started == [0.0]

    run(main)


class Scripted(Recorded):
    """A service whose work fails at the given times."""

    def __init__(self, name: str, *fails_at: float, takes: float = 0, **options: Any) -> None:
        super().__init__(name, on_failure="restart", grace=0, **options)
        self.fails_at = list(fails_at)
        self.takes = takes

    async def __on_start__(self) -> None:
        await super().__on_start__()
        await asyncio.sleep(self.takes)

    async def __work__(self) -> None:
        while self.fails_at:
            await asyncio.sleep(max(0, self.fails_at[0] - now()))
            raise Failed(f"{self.name} at {self.fails_at.pop(0)}")
        await self.stopping

    @property
    def starts(self) -> int:
        return self.log.count(f"{self.name} starts")


@pytest.mark.parametrize("eager", EAGER)
def test_services_that_fail_in_the_same_turn_all_come_back(eager: bool) -> None:
    """Whether one depends on the other or not, each starts again, and so do the dependents of both (SV-3.2)."""

    async def main() -> None:
        one, two = Scripted("one", 1), Scripted("two", 1)
        both = Scripted("both", 1, dependences=[one, two])
        last = Recorded("last", dependences=[both], grace=0)
        async with run_services([last], on_failure="stop"):
            await asyncio.sleep(10)
            assert all(each.run for each in (one, two, both, last))

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("second", [1.05, 1.12])
def test_a_restart_waits_for_all_dependencies_that_restart(second: float, eager: bool) -> None:
    """A dependency may fail while the restart waits for another one: it waits for that one too (SV-3.2)."""

    async def main() -> None:
        one, two = Scripted("one", second), Scripted("two", 1.05)
        both = Scripted("both", 1, dependences=[one, two])
        async with run_services([both]):
            await asyncio.sleep(10)
            assert all(each.run for each in (one, two, both))

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("failures", [1, 3])
def test_a_block_is_entered_although_a_service_fails_below_one_that_starts(failures: int, eager: bool) -> None:
    """Whether it fails just before or just after the last start makes no difference: it starts again (SV-3.2, SV-6.2)."""

    async def main() -> None:
        failing = Scripted("failing", *[1.0] * failures)
        slow = Scripted("slow", takes=2, dependences=[failing])
        top = Recorded("top", dependences=[slow], grace=0)
        async with run_services([slow, top]):
            assert all(each.run for each in (failing, slow, top))
            assert (failing.starts, slow.starts, top.log.count("top starts")) == (failures + 1, 2, 1)

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("failures", [[1], [1, 1.06]])
def test_what_still_starts_for_a_dependent_that_follows_goes_on(failures: list[float], eager: bool) -> None:
    """The restart wants its start: otherwise it would be given up, and keep the dependent down (SV-2.2, SV-6.2)."""

    async def main() -> None:
        failing, slow = Scripted("failing", *failures), Scripted("slow", takes=2)
        both = Recorded("both", dependences=[failing, slow], grace=0)
        entering = asyncio.create_task(both.start())
        await asyncio.sleep(1.05)
        await failing.start()  # during the pause; if it fails again, the next restart takes over from the first
        await asyncio.sleep(10)
        assert isinstance(entering.exception(), Failed)
        assert all(each.run for each in (failing, slow, both))
        assert slow.starts == 1
        await asyncio.gather(failing.stop(), slow.stop())

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("how", ["stop", "stop the dependency", "signal"])
def test_what_starts_for_a_dependent_that_stays_down_is_given_up(how: str, eager: bool) -> None:
    """When the restart is not going to start the dependent any more, nobody wants that start (SV-2.2)."""

    async def main() -> None:
        failing, slow = Scripted("failing", 1), Scripted("slow", takes=10)
        both = Recorded("both", dependences=[failing, slow], grace=0)
        entering = asyncio.create_task(both.start())
        await asyncio.sleep(1.05)
        assert slow.state is ServiceState.STARTING
        if how == "signal":
            signal.raise_signal(signal.SIGTERM)
        else:
            (both if how == "stop" else failing).stop()
        await settle(60)
        assert slow.state is both.state is ServiceState.STOPPED
        assert isinstance(entering.exception(), Failed)

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("which", ["its dependency", "itself"])
def test_entering_a_block_fails_when_no_restart_is_left(which: str, eager: bool) -> None:
    """The failure that keeps a service down is raised when it is known to do so (SV-6.2)."""

    class Unlucky(Scripted):
        async def __on_start__(self) -> None:
            await super().__on_start__()
            if which == "itself" and self.starts == 2:
                raise Failed("slow at its start")

    async def main() -> None:
        failing = Scripted("failing", *[1, 1.5][: 2 if which == "its dependency" else 1], max_restarts=1)
        slow = Unlucky("slow", takes=1.2, dependences=[failing])
        with pytest.raises(Failed, match="failing at 1.5" if which == "its dependency" else "slow at its start"):
            async with run_services([slow]):
                raise AssertionError("the block has run")
        assert failing.state is slow.state is ServiceState.STOPPED

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("how", ["stop", "stop the dependency", "signal", "cancel"])
def test_entering_a_block_can_be_ended_while_it_waits_for_a_restart(how: str, eager: bool) -> None:
    """Whoever stops a service meanwhile keeps it down, and the block is entered without it (SV-3.2, SV-6.2)."""

    async def main() -> None:
        failing = Scripted("failing", 1)
        slow = Scripted("slow", takes=2, dependences=[failing])
        entered = False

        async def block() -> None:
            nonlocal entered
            async with run_services([failing, slow]):
                entered = True

        entering = asyncio.create_task(block())
        await asyncio.sleep(1.05)
        assert slow.state is ServiceState.STOPPED
        assert not entering.done()
        if how == "cancel":
            entering.cancel()
        elif how == "signal":
            signal.raise_signal(signal.SIGTERM)
        else:
            await (slow if how == "stop" else failing).stop()
        await asyncio.wait([entering])
        assert entered == (how != "cancel") == (not entering.cancelled())
        assert slow.starts == 1
        assert slow.failure is None
        assert failing.state is slow.state is ServiceState.STOPPED

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
def test_a_dependent_survives_the_failures_of_two_services_below(eager: bool) -> None:
    """A service that starts again is taken down by its dependency, and fails twice: its own dependent comes back (SV-3.2)."""

    async def main() -> None:
        bottom = Scripted("bottom", 1.12)
        middle = Scripted("middle", 1, 1.2, 1.2, takes=0.05, dependences=[bottom])
        top = Recorded("top", dependences=[middle], grace=0)
        async with run_services([top]):
            await asyncio.sleep(10)
            assert all(each.run for each in (bottom, middle, top))

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("which", ["another dependency", "a dependent between"])
def test_a_stopped_service_stays_stopped_for_the_sake_of_nobody(which: str, eager: bool) -> None:
    """No dependent that a failure took down starts a service that was stopped meanwhile (SV-3.2)."""

    async def main() -> None:
        failing = Scripted("failing", 1)
        between = which == "a dependent between"
        stopped = Recorded("stopped", dependences=[failing] if between else [], grace=0)
        top = Recorded("top", dependences=[failing, stopped], grace=0)
        async with run_services([top]):
            await asyncio.sleep(1.05)
            await stopped.stop()
            await asyncio.sleep(10)
            assert failing.run
            assert stopped.state is top.state is ServiceState.STOPPED

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
def test_a_dependent_that_follows_cuts_no_pause_short(eager: bool) -> None:
    """It waits for the restart of its other dependency, whose restarts stay limited (SV-3.2)."""

    async def main() -> None:
        one = Scripted("one", *[1.0] * 10, max_restarts=2)
        two = Scripted("two", *[1.05] * 10, max_restarts=2)
        both = Recorded("both", dependences=[one, two], grace=0)
        with pytest.raises(ExceptionGroup):
            async with run_services([one, two, both]) as stopped:
                await stopped
        assert (one.starts, two.starts) == (3, 3)
        assert now() == pytest.approx(1.35)

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("which", ["itself", "its dependency"])
def test_what_does_not_start_again_has_the_last_failure(which: str, eager: bool) -> None:
    """A restart ends with the failure that keeps its service down, and the dependents share it (SV-3.2, SV-4.5)."""

    class Unlucky(Scripted):
        async def __on_start__(self) -> None:
            if self.log.count("failing starts") and which == "itself":
                raise Failed("again")
            await super().__on_start__()

    async def main() -> None:
        dependency = Scripted("dependency", 1.05, max_restarts=0) if which == "its dependency" else Recorded(grace=0)
        failing = Unlucky("failing", 1, dependences=[dependency], max_restarts=1)
        middle = Recorded("middle", dependences=[failing], grace=0)
        top = Recorded("top", dependences=[middle], grace=0)
        last = "again" if which == "itself" else "dependency at 1.05"
        with pytest.raises(Failed, match=last) as raised:
            async with run_services([top, middle, failing]) as stopped:
                await stopped
        assert failing.failure is middle.failure is top.failure is raised.value

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
def test_a_start_after_the_last_failure_brings_back_no_dependent(eager: bool) -> None:
    """The restart has ended with that failure, even if somebody starts its service at once (SV-3.2)."""

    class Unlucky(Failing):
        async def __on_start__(self) -> None:
            await super().__on_start__()
            if len(self.started) == 2:
                raise Failed

    async def main() -> None:
        unlucky = Unlucky(times=1, on_failure="restart", max_restarts=1, grace=0)
        dependent = Recorded("dependent", dependences=[unlucky], grace=0)
        async with run_services([unlucky, dependent]):
            await asyncio.sleep(1.05)
            starts: list[asyncio.Task[None]] = []

            def start_again(state: ServiceState) -> None:
                if state is ServiceState.STOPPED and not starts:
                    starts.append(asyncio.create_task(unlucky.start()))

            unlucky.on_state_change.add_listener(start_again)
            await asyncio.sleep(10)
            assert unlucky.run
            assert unlucky.started == [0.0, 1.1, 1.1]
            assert dependent.state is ServiceState.STOPPED

    run(main, eager=eager)


def test_following_does_not_reset_the_count() -> None:
    """The restarts of a dependent are counted although the restart of its dependency starts it again too (SV-3.2)."""

    async def main() -> None:
        dependency = Scripted("dependency", 1.2)
        failing = Scripted("failing", 1, *[1.3] * 10, dependences=[dependency], max_restarts=2)
        async with run_services([dependency, failing]) as stopped:
            await asyncio.sleep(20)
            assert dependency.run
            assert failing.state is ServiceState.STOPPED
            assert not stopped.done()
        assert failing.starts == 4

    run(main)


def test_a_start_on_request_begins_a_new_row() -> None:
    """Restarts are counted from the last start that somebody asked for (SV-3.2)."""

    async def main() -> None:
        failing = Failing(on_failure="restart", max_restarts=1, grace=0)
        for _ in range(2):
            failing.started.clear()
            time = now()
            await failing.start()
            await asyncio.sleep(20)
            assert [round(started - time, 1) for started in failing.started] == [0.0, 1.1]
            assert failing.state is ServiceState.STOPPED

    run(main)


def test_a_start_during_the_pause_is_shared() -> None:
    """The restart does not start it once more, nor cut the pause after the next failure short (SV-2.2, SV-3.2)."""

    async def main() -> None:
        failing = Failing(on_failure="restart", grace=0)
        async with run_services([failing]):
            await asyncio.sleep(1.05)
            await failing.start()
            await asyncio.sleep(0.9)
            assert failing.run
            await asyncio.sleep(0.15)
            assert failing.state is ServiceState.STOPPED
            await asyncio.sleep(0.1)
            assert failing.log.count("failing RUNNING") == 3

    run(main)


def test_a_failure_during_the_pause_begins_it_anew() -> None:
    """What was started on request during the pause, and fails before its end, waits for a whole pause (SV-3.2)."""

    async def main() -> None:
        crashing = Crashing(times=2)
        async with run_services([crashing]):
            await asyncio.sleep(0.09)
            time = now()
            await crashing.start()
            await settle(60)
            assert crashing.state is ServiceState.STOPPED
            await asyncio.sleep(0.09)
            assert crashing.state is ServiceState.STOPPED
            await asyncio.sleep(0.05)
            assert crashing.run
            assert now() - time < 0.2

    run(main)


@pytest.mark.parametrize("eager", EAGER)
def test_a_restart_on_request_shares_none_that_a_stop_has_ended(eager: bool) -> None:
    """The stop has ended the restart after a failure, whose start is still being given up; `restart()` starts (SV-5.2)."""

    class Slow(Scripted):
        async def __on_start__(self) -> None:
            try:
                await super().__on_start__()
            finally:
                await asyncio.sleep(0.1)

    async def main() -> None:
        failing = Slow("failing", 1, takes=0.5)
        top = Recorded("top", dependences=[failing], grace=0)
        async with run_services([failing]):
            await top.start()
            await asyncio.sleep(1.3 - now())
            failing.stop()
            assert failing.state is ServiceState.STOPPING
            await failing.restart()
            assert failing.run
            assert failing.starts == 3
            assert top.state is ServiceState.STOPPED

    run(main, eager=eager)
