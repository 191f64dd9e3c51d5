"""What subclasses of `Service` may do: use any name, and the usual ways of writing classes (SV-2.4)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from settling import settle
from stepping import Recorded, run

from aioservicekit import Service, ServiceState, run_services

OF_0_6_0 = {"_work", "_start", "_call", "_report", "_state", "_release", "_retries", "_life", "_name", "_task", "_live"}


def test_a_service_has_one_private_name() -> None:
    """Beside its documented names, a service has one attribute, which is mangled and so can't clash with a subclass's."""
    private = {name for name in {*dir(Recorded()), *vars(Service)} - {*dir(object())} if not name.startswith("__")}
    documented = {"create_task", "failure", "name", "on_error", "on_state_change", "restart", "run", "start", "state"}
    own = {"log", "errors"}
    assert private - documented - own - {"stop", "stopping", "wait", "_abc_impl"} == {"_Service__lifecycle"}


def test_a_subclass_may_use_any_name() -> None:
    """Names that start with an underscore mean nothing to the base class."""

    class Own(Recorded):
        def __init__(self) -> None:
            super().__init__(grace=0)
            for name in OF_0_6_0:
                setattr(self, name, None)

    async def main() -> list[str]:
        service = Own()
        async with run_services([service]):
            await settle()
            await service.restart()
        return service.log

    log = run(main)
    assert [log.count(f"it {state.name}") for state in ServiceState] == [2, 2, 2, 2]


def test_a_subclass_may_forget_to_call_the_constructor() -> None:
    """Without `super().__init__()` a service has the defaults."""

    class Forgetful(Service):
        def __init__(self) -> None:
            self.works = 0

        async def __work__(self) -> None:
            self.works += 1
            await self.stopping

    async def main() -> None:
        service = Forgetful()
        assert (service.name, repr(service)) == ("Forgetful", "<Forgetful 'Forgetful' STOPPED>")
        async with run_services([service]):
            await settle()
        assert service.works == 1

    run(main)


def test_dataclasses() -> None:
    """A service may be a dataclass, even one that is unhashable, frozen, or equal to another."""

    @dataclass
    class Plain(Service):
        calls: list[str] = field(default_factory=list)

        async def __work__(self) -> None:
            self.calls.append("works")
            await self.stopping

    @dataclass(frozen=True)
    class Frozen(Service):
        calls: list[str] = field(default_factory=list)

        async def __work__(self) -> None:
            self.calls.append("works")
            await self.stopping

    async def main() -> None:
        services: list[Any] = [Plain(), Plain(), Frozen(), Frozen()]
        dependent = Recorded("dependent", dependences=services, grace=0)
        async with run_services([*services, dependent]) as stopped:
            await settle()
            await services[0].restart()
            assert dependent.run
            for service in services:
                service.stop()
            await stopped
        assert [len(service.calls) for service in services] == [2, 1, 1, 1]

    run(main)


def test_the_constructor_of_the_next_class_is_called() -> None:
    """`super().__init__` calls a mixin's `__init__`, and passes on its arguments; unknown ones are refused by name."""

    class Mixin:
        def __init__(self, *, colour: str = "none") -> None:
            self.colour = colour

    class Mixed(Recorded, Mixin):
        pass

    assert Mixed().colour == "none"
    assert Mixed(colour="red", grace=0).colour == "red"
    with pytest.raises(TypeError, match="Recorded got unexpected arguments: colour"):
        Recorded(colour="red")


@pytest.mark.parametrize("hook", ["__on_start__", "__on_stop__"])
@pytest.mark.parametrize("is_async", [True, False])
def test_a_hook_with_a_yield_is_refused(hook: str, is_async: bool) -> None:
    """A generator would do nothing when called: it is refused when the service is built."""

    async def generate_async(self: Service) -> AsyncIterator[None]:
        yield

    def generate(self: Service) -> Iterator[None]:
        yield

    generator = type("Generator", (Recorded,), {hook: generate_async if is_async else generate})
    with pytest.raises(
        TypeError, match=rf"Generator\.{hook} must be a function or a coroutine function without a yield"
    ):
        generator()


def test_work_with_a_yield_is_refused() -> None:
    """Work that is an async generator is refused too (SV-3.1)."""

    class Generator(Service):
        async def __work__(self) -> AsyncIterator[None]:  # type: ignore[override]
            yield

    with pytest.raises(TypeError, match=r"Generator\.__work__ must be a coroutine function"):
        Generator()


class Overriding(Recorded):
    """A service with its own `start` and `stop`."""

    async def start(self) -> None:
        self.log.append("own start")
        await super().start()
        self.log.append("started")

    async def stop(self) -> None:
        self.log.append("own stop")
        await asyncio.sleep(1)
        await super().stop()
        self.log.append("stopped")


def test_start_and_stop_may_be_overridden() -> None:
    """Coroutine functions that call `super()` may replace `start` and `stop`, for `run_services` too (SV-6.2)."""

    async def main() -> list[str]:
        below = Recorded("below", grace=0)
        service = Overriding(dependences=[below], grace=0)
        async with run_services([below, service]):
            await settle()
        assert below.state is ServiceState.STOPPED
        return service.log

    log = run(main)
    assert [entry for entry in log if not entry.startswith("it ")] == ["own start", "started", "own stop", "stopped"]
    assert log.index("own stop") < log.index("it STOPPING")


def test_a_stop_of_a_subclass_that_fails_or_does_nothing_holds_nobody_up() -> None:
    """Leaving the block stops a service whose own `stop` does not (SV-6.2)."""

    class Failing(Recorded):
        async def stop(self) -> None:
            raise KeyError

    class Idle(Recorded):
        async def stop(self) -> None:
            pass

    async def main() -> None:
        failing, idle = Failing(grace=0), Idle(grace=0)
        async with run_services([failing, idle]):
            await settle()
        assert failing.state is idle.state is ServiceState.STOPPED
        assert [type(error) for error in failing.errors] == [KeyError]

    run(main)


def test_a_repr_that_raises_is_never_asked() -> None:
    """A subclass's `repr` is never called by the base class."""

    class Unprintable(Recorded):
        def __repr__(self) -> str:
            raise AssertionError

    async def main() -> None:
        service = Unprintable(grace=0)
        async with run_services([service]) as stopped:
            service.stop()
            await stopped

    run(main)
