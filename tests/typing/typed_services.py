"""What users of services write, and what must be a type error; type checkers read this file, and nothing runs it.

If an error disappears, its `type: ignore` is unused, which mypy and pyright report.
"""

import asyncio
import signal
from collections.abc import Awaitable
from typing import assert_type

from aioservicekit import Event, Service, ServiceState, main, on_shutdown, run_services, service

# Services from functions (SV-5.3)


@service(name="clock", dependences=[], grace=None, on_failure="stop")
async def clock(seconds: float, *, loud: bool = False) -> None: ...


@service(dependencies=(clock(1),))
async def returns_something() -> int:
    return 3


assert_type(clock(0.1, loud=True), Service)
assert_type(returns_something(), Service)

clock()  # type: ignore[call-arg]
clock("fast")  # type: ignore[arg-type]
clock(1, quiet=True)  # type: ignore[call-arg]
service(name=3)  # type: ignore[arg-type]
service(dependences=[clock])  # type: ignore[list-item]
service(dependences=clock(1))  # type: ignore[arg-type]
service(on_failure="ignore")  # type: ignore[arg-type]
service(grace="5 s")  # type: ignore[arg-type]


@service  # type: ignore[call-arg, arg-type]
async def without_parentheses() -> None: ...


@service()  # type: ignore[arg-type]
def no_coroutine_function() -> None: ...


# Services that are classes (SV-2.1, SV-3.1)


class Plain(Service):
    """Hooks are plain functions."""

    def __on_start__(self) -> None: ...
    async def __work__(self) -> None: ...
    def __on_stop__(self) -> None: ...


class Asynchronous(Service):
    """Hooks are coroutine functions, and the constructor passes on unused arguments."""

    def __init__(self, address: str, *, name: str | None = None, grace: float | None = 5.0) -> None:
        super().__init__(name=name, dependences=[Plain()], grace=grace)
        self.address = address

    async def __on_start__(self) -> None: ...
    async def __work__(self) -> None: ...
    async def __on_stop__(self) -> None: ...


class WithoutWork(Service):
    """This class can't be instantiated."""


class Wrong(Service):
    """Hooks take nothing, and work is a coroutine function."""

    def __on_start__(self, address: str) -> None: ...  # type: ignore[override]
    def __work__(self) -> None: ...  # type: ignore[override]

    def __on_stop__(self) -> int:  # type: ignore[override]
        return 3


Service()  # type: ignore[abstract]
WithoutWork()  # type: ignore[abstract]
Plain("name")  # type: ignore[call-arg]
Plain(dependences=[Plain])  # type: ignore[list-item]


async def number() -> int:
    return 3


async def uses_a_service(it: Asynchronous) -> None:
    assert_type(await it.start(), None)
    assert_type(it.stop(), Awaitable[None])
    await it.stop()
    assert_type(it.name, str)
    assert_type(it.state, ServiceState)
    assert_type(it.run, bool)
    assert_type(it.failure, BaseException | None)
    task = it.create_task(number(), name="number")
    assert_type(await task, int)

    it.state = ServiceState.STOPPED  # type: ignore[misc]
    it.create_task(number)  # type: ignore[arg-type]


# Running them (SV-6.1, SV-6.4)


@main
async def application(path: str, *, retries: int = 0) -> float:
    async with run_services([Plain(), Asynchronous("here"), clock(1)]) as stopped:
        assert_type(stopped, asyncio.Future[None])
        assert_type(await stopped, None)
    return 0.5


assert_type(asyncio.run(application("path", retries=3)), float)

asyncio.run(application(3))  # type: ignore[arg-type]
asyncio.run(application)  # type: ignore[arg-type]
run_services(Plain())  # type: ignore[arg-type]
run_services([clock])  # type: ignore[list-item]


@main  # type: ignore[arg-type]
def not_a_coroutine_function() -> None: ...


async def without_async() -> None:
    with run_services([Plain()]):  # type: ignore[attr-defined]
        pass


# Events (SV-1.2, SV-3.2, SV-6.3)


def hears_of_states(state: ServiceState) -> None: ...


async def hears_of_errors(error: BaseException) -> None: ...


def hears_of_nothing() -> None: ...


async def uses_events(it: Service) -> None:
    it.on_state_change.add_listener(hears_of_states)
    it.on_error.add_listener(hears_of_errors)
    it.on_error.remove_listener(hears_of_errors)
    on_shutdown().add_listener(print)
    await on_shutdown().emit(signal.SIGTERM)

    it.on_state_change.add_listener(hears_of_errors)  # type: ignore[arg-type]
    it.on_state_change.add_listener(hears_of_nothing)  # type: ignore[arg-type]
    await on_shutdown().emit()  # type: ignore[call-arg]
    await on_shutdown().emit(15)  # type: ignore[arg-type]

    moved: Event[[int, str]] = Event()
    moved.add_listener(lambda x, to: None)
    await moved.emit(3, "left")
    assert_type(moved.is_closed, bool)

    await moved.emit("left", 3)  # type: ignore[arg-type]
    await moved.emit(3)  # type: ignore[call-arg]
