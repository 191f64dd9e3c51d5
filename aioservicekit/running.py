"""Run an application: its services, and a main function that waits for the tasks that it has started."""

import asyncio
import functools
import inspect
from collections.abc import Callable, Collection, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, ParamSpec, TypeVar

from ._arguments import checked_choice, checked_instances, checked_seconds
from ._block import Block
from .services import Service

__all__ = ["main", "run", "run_services"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
OnFailure = Literal["continue", "stop"]


def run_services(
    services: Collection[Service],
    *,
    signals: bool = True,
    on_failure: OnFailure = "continue",
    timeout: float | None = None,
) -> "AbstractAsyncContextManager[asyncio.Future[None]]":
    """Start services for the duration of an `async with` block (SV-6.1, SV-6.2).

    Dependencies start first, and independent services side by side. The block gets a future that completes when all `services`
    have stopped. It raises the failure of a service that failed, or an `ExceptionGroup` of several failures. It may be awaited
    any number of times, and cancelling a task that awaits it stops nothing. (On Python 3.11, `asyncio.wait_for` cancels the
    future itself, which can still be awaited. `asyncio.timeout` does not.)

    Leaving the block stops all services that entering it had started, including dependencies that nobody listed, dependents
    first. It returns when they are STOPPED, even if it is cancelled meanwhile. If a shutdown signal comes before all services
    are RUNNING, their starts are given up, and the block runs while its services stop. If a service fails while a dependent is
    starting, and its restart is to start both again, entering waits for that.

    Each change of state and each signal is logged to "aioservicekit" at level INFO. If NOTIFY_SOCKET is set, as by systemd, its
    owner gets READY=1 when the services run, and STOPPING=1 when they begin to stop.

    A block that does not await the future learns of a signal in another way. When its services have stopped, its task is
    cancelled. When the task has ended, the signal has the effect that it would have had without services. If the program had
    set its own signal handler, that handler is called, and neither happens (SV-6.3).

    Args:
        services: the services to run.
        signals: whether signals stop the services. If False, signal handlers are left alone, and the services stop when the
            block is left or `stop()` is called, as by an ASGI server or a test (SV-6.5).
        on_failure: "stop" stops all services when one fails, and leaving the block raises the failure. An exception from the
            work is such a failure, unless its service sets its own `on_failure`. With "continue", the default, the other
            services go on (SV-6.6).
        timeout: seconds, 0 or more, that the whole shutdown may take, from the signal or the end of the block. Then whatever
            still runs is cancelled, and the log names it. None, the default, sets no limit (SV-6.6).

    Raises:
        TypeError: at the call: `services` is not a collection of services, or another argument has the wrong type.
        ValueError: at the call: `timeout` is negative, or `on_failure` is unknown.
        RuntimeError: on entering: the block has been entered before.
        Exception: on entering: a start failed. Several failures are an `ExceptionGroup`. All services that had started are
            STOPPED by then.
    """
    listed = checked_instances(services, Service, "services")
    if not isinstance(signals, bool):
        raise TypeError(f"signals must be True or False, not {signals!r}")
    checked_choice(on_failure, "on_failure", "continue", "stop")
    return Block(listed, signals, on_failure == "stop", checked_seconds(timeout, "timeout"))


def run(
    *services: Service,
    signals: bool = True,
    on_failure: OnFailure = "continue",
    timeout: float | None = None,
    debug: bool | None = None,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> None:
    """Run services in a new event loop until all have stopped, as `asyncio.run` with `run_services` would (SV-6.1).

    It returns after a signal. It raises the failure of a service, so that an uncaught failure ends the program with status 1.

    Args:
        services: the services to run.
        signals, on_failure, timeout: as in `run_services`.
        debug, loop_factory: as in `asyncio.Runner`.

    Raises:
        TypeError, ValueError: as in `run_services`, at the call.
        RuntimeError: called in a running event loop: use `run_services` there.
        Exception: the failure of a service, or an `ExceptionGroup` of several failures.
    """
    block = run_services(services, signals=signals, on_failure=on_failure, timeout=timeout)

    async def until_all_have_stopped() -> None:
        async with block as stopped:
            await stopped

    with asyncio.Runner(debug=debug, loop_factory=loop_factory) as runner:
        runner.run(until_all_have_stopped())


def main(function: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Make a coroutine function return only after every other task of the loop has ended (SV-6.4).

    An exception passes through at once. If cancelled, the function waits no longer, and leaves the other tasks alone.

    Raises:
        TypeError: at decoration: the decorated object is not a coroutine function.
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
