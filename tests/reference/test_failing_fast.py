"""Blocks of `run_services` that fail fast: when they fail, what they stop, and what they raise (SV-6.6)."""

import asyncio

import pytest
from settling import settle
from stepping import EAGER, Failed, Failing, Recorded, now, run

from aioservicekit import ServiceState, ServiceStoppedError, run_services


@pytest.mark.parametrize("eager", EAGER)
def test_a_failure_stops_the_others_at_once(eager: bool) -> None:
    """They don't wait for what has failed to clean up."""

    class Slow(Failing):
        async def __on_stop__(self) -> None:
            await asyncio.sleep(60)

    async def main() -> None:
        other = Recorded("other", grace=0)
        with pytest.raises(Failed):  # noqa: PT012
            async with run_services([Slow(), other], on_failure="stop") as stopped:
                await other.wait()
                assert now() == 1
                await stopped

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
def test_a_failure_ends_the_entering(eager: bool) -> None:
    """A start that takes for ever can't keep the block from failing."""

    class Endless(Recorded):
        async def __on_start__(self) -> None:
            await asyncio.sleep(3600)

    async def main() -> None:
        with pytest.raises(Failed):
            async with run_services([Failing(), Endless("endless")], on_failure="stop") as stopped:
                await stopped
        assert now() < 10

    run(main, eager=eager)


def test_nothing_starts_again_in_a_block_that_has_failed() -> None:
    """Whoever asks is refused, and the failure is raised all the same."""

    async def main() -> None:
        failing, other = Failing(grace=0), Recorded("other", grace=0)
        with pytest.raises(Failed):  # noqa: PT012
            async with run_services([failing, other], on_failure="stop") as stopped:
                await asyncio.wait([stopped])
                for service in (failing, other):
                    with pytest.raises(ServiceStoppedError, match="its block of run_services is ending"):
                        await service.start()
        await other.start()
        await other.stop()

    run(main)


def test_a_failure_of_an_earlier_run_is_forgotten() -> None:
    """A block judges only what happens in it."""

    async def main() -> None:
        failing = Failing(grace=0, on_failure="stop")
        await failing.start()
        await failing.wait()
        assert isinstance(failing.failure, Failed)
        async with run_services([failing], on_failure="stop"):
            await asyncio.sleep(0.5)

    run(main)


def test_a_restart_is_no_failure_of_the_block_until_none_is_left() -> None:
    """A service with a policy of its own fails the block when it stops for good; its dependents may come back before."""

    async def main() -> None:
        failing = Failing(grace=0, on_failure="restart", max_restarts=1)
        dependent, other = Recorded("dependent", dependences=[failing], grace=0), Recorded("other", grace=0)
        with pytest.raises(Failed):  # noqa: PT012
            async with run_services([failing, dependent, other], on_failure="stop") as stopped:
                await asyncio.sleep(1.5)
                assert other.run
                assert dependent.run
                await stopped
        assert 2 < now() < 2.5
        assert dependent.log.count("dependent RUNNING") == 2

    run(main)


@pytest.mark.parametrize("eager", EAGER)
def test_a_dependent_that_does_not_come_back_fails_the_block(eager: bool) -> None:
    """Its start fails in a restart after a failure, and nothing starts it once more: others that still start don't matter."""

    class Once(Recorded):
        async def __on_start__(self) -> None:
            if "once RUNNING" in self.log:
                raise Failed

    class Slow(Recorded):
        async def __on_start__(self) -> None:
            if "slow RUNNING" in self.log:
                await asyncio.sleep(3600)

    async def main() -> None:
        failing = Failing(grace=0, on_failure="restart")
        once = Once("once", dependences=[failing], grace=0)
        slow = Slow("slow", dependences=[failing], grace=0)
        with pytest.raises(Failed):
            async with run_services([once, slow], on_failure="stop") as stopped:
                await stopped
        assert now() < 3

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize("which", ["failing", "dependent", "dependency"])
def test_a_stop_before_the_restart_is_no_failure_of_the_block(which: str, eager: bool) -> None:
    """A restart was to come, and a stop by hand has ended it, or keeps a dependent or a dependency down (SV-3.2)."""

    async def main() -> None:
        dependency = Recorded("dependency", grace=0)
        failing = Failing(times=1, dependences=[dependency], grace=0, on_failure="restart")
        dependent = Recorded("dependent", dependences=[failing], grace=0)
        services = {each.name: each for each in (dependency, failing, dependent, Recorded("other", grace=0))}
        async with run_services(list(services.values()), on_failure="stop") as stopped:
            await asyncio.sleep(1.05)
            assert isinstance(failing.failure, Failed)
            await services[which].stop()
            assert services[which].failure is None
            await asyncio.sleep(10)
            assert services["other"].run
            assert failing.run is (which == "dependent")
            assert failing.failure is dependent.failure is None
            services["other"].stop()
            await (failing.stop() if which == "dependent" else asyncio.sleep(0))
            await dependency.stop()
            await stopped

    run(main, eager=eager)


@pytest.mark.parametrize("eager", EAGER)
def test_the_last_failure_is_raised_alone_and_at_once(eager: bool) -> None:
    """The start fails, and no restart is left: the others don't wait for its tasks (SV-6.6)."""

    class Unlucky(Failing):
        async def __on_start__(self) -> None:
            if self.started:
                self.create_task(refuse())
                await asyncio.sleep(0)
                raise Failed("again")
            await super().__on_start__()

    async def refuse() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(4)

    async def main() -> None:
        unlucky = Unlucky(on_failure="restart", max_restarts=1)
        dependent, other = Recorded("dependent", dependences=[unlucky], grace=0), Recorded("other", grace=0)
        with pytest.raises(Failed, match="again"):  # noqa: PT012
            async with run_services([unlucky, dependent, other], on_failure="stop") as stopped:
                await other.wait()
                assert round(now(), 1) == 1.1
                await stopped

    run(main, eager=eager)


def test_a_plain_block_does_not_fail_fast() -> None:
    """Without `on_failure="stop"`, the others go on."""

    async def main() -> None:
        other = Recorded("other", grace=0)
        async with run_services([Failing(grace=0, on_failure="stop"), other]):
            await asyncio.sleep(2)
            await settle()
            assert other.state is ServiceState.RUNNING

    run(main)
