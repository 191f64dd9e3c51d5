"""Running an application: its services, and a main function that waits for what it has started."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Generator, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ParamSpec, TypeVar

from .services import Service, ServiceState, ServiceStoppedError, checked_services

__all__ = ["main", "run_services"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def run_services(services: Collection[Service]) -> AbstractAsyncContextManager[Awaitable[None]]:
    """Start services for the duration of an `async with` block (SV-6.1, SV-6.2).

    Dependencies start first, independent services side by side. The block gets an awaitable that completes when all
    `services` have stopped, and then raises the failure of the one that failed, or an `ExceptionGroup` of several
    failures; it may be awaited any number of times, and to cancel who awaits it stops nothing.

    Leaving the block stops all services that entering it had started, the dependencies that nobody listed too, dependents
    first, and returns when they are STOPPED, also when it is cancelled meanwhile. A shutdown signal that comes before all
    are RUNNING gives the starts up, and the block runs with services that stop.

    Raises:
        TypeError: at the call, `services` is not a collection of services.
        Exception: on entering, that of a start that failed, or an `ExceptionGroup` of several; what had started is
            STOPPED by then.
    """
    return _run(checked_services(services, "services"))


@asynccontextmanager
async def _run(listed: tuple[Service, ...]) -> AsyncIterator[Awaitable[None]]:
    needed = dict.fromkeys(each for service in listed for each in service._with_dependencies)
    started = [service for service in needed if service.state is not ServiceState.RUNNING]
    try:
        await _start(listed)
        yield _AllStopped(listed)
    finally:
        await _stop(started)


async def _start(services: Iterable[Service]) -> None:
    failures: tuple[BaseException, ...] = ()
    try:
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(_start_unless_stopped(service))
    except BaseExceptionGroup as errors:
        failures = errors.exceptions
    _raise(failures)


async def _start_unless_stopped(service: Service) -> None:
    try:
        await service.start()
    except ServiceStoppedError:
        pass  # somebody, or a signal, has stopped it meanwhile: nothing has failed


async def _stop(services: Collection[Service]) -> None:
    cancelled: asyncio.CancelledError | None = None
    while pending := _pending(services):
        for service in services:
            service.stop()
        try:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        raise cancelled


class _AllStopped:
    """What the block of `run_services` gets."""

    def __init__(self, services: Collection[Service]) -> None:
        self._services = services

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        while pending := _pending(self._services):
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        _raise(service.failure for service in self._services if service.failure)


def _pending(services: Iterable[Service]) -> list["asyncio.Future[None]"]:
    return [future for service in services if (future := service._pending)]


def _raise(failures: Iterable[BaseException]) -> None:
    """Raise what there is to raise; dependents fail with the very exception of their dependency, which counts once."""
    different = list({id(failure): failure for failure in failures}.values())
    if len(different) == 1:
        raise different[0]
    if different:
        raise BaseExceptionGroup("several services failed", different)


def main(function: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Make a coroutine function give its result only after every other task of the loop has ended (SV-6.4).

    An exception goes through at once. Cancelled, it waits no longer, and leaves the other tasks alone.

    Raises:
        TypeError: at decoration, what is decorated is not a coroutine function.
    """
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"@main decorates a coroutine function, not {function!r}")

    @functools.wraps(function)
    async def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        result = await function(*args, **kwargs)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
        return result

    return run
