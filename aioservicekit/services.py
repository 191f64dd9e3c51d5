"""Services: units of work with a lifecycle, dependencies and a graceful stop.

                      start fails, or is given up
              ┌────────────────────────────────────────┐
              │                                        v
    STOPPED ──┴─> STARTING ───────> RUNNING ───────> STOPPING ───────> STOPPED
       start()       │ dependencies    │ __work__,      │ dependents stop first; then __work__ may end by itself
                     │ start first,    │ again and      │ within `grace`, and is cancelled after it; then the tasks
                     │ then            │ again          │ are; then __on_stop__
                     │ __on_start__                     │

This module has what users subclass and call. `_lifecycle` has what lies behind it, `_life` has the way from STARTING to STOPPED,
and `_work` calls `__work__` again and again. `factories` makes services from functions. The rules, SV-1.1 to SV-6.6, are in
specs/service.md.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Collection, Coroutine, Generator
from contextvars import Context
from typing import Any, Literal, Never, Self, TypeVar, cast

from . import shutdown
from ._arguments import (
    check_coroutine_function,
    check_hook,
    checked_choice,
    checked_count,
    checked_instances,
    checked_name,
    checked_seconds,
)
from ._life import Life
from ._lifecycle import Lifecycle
from ._tasks import create_task
from .events import Event
from .states import ServiceCancelledError, ServiceState, ServiceStoppedError

__all__ = ["Service", "ServiceCancelledError", "ServiceState", "ServiceStoppedError", "Stopping"]

_T = TypeVar("_T")

OnFailure = Literal["retry", "stop", "restart"]


class Service(ABC):
    """A unit of work that is started, works until it is stopped, and stops gracefully.

    Subclasses define `__work__`, a coroutine function that is called again whenever it returns. They may define `__on_start__`
    and `__on_stop__`, which are plain functions or coroutine functions. Work that has finished for good says so with
    `self.stop()` (SV-3.4). A service may be built with no running event loop (SV-1.1). Its methods belong to the loop and the
    thread in which it is started, except `stop` and `wait`, which may be called from anywhere.

    A subclass may use any name that is not documented here: everything else lives behind one attribute, whose name no subclass
    can take.

    Args:
        name: for logs and for people; the class's name by default (SV-5.2).
        dependences, dependencies: services that run before this one starts and until it has stopped. These are two spellings
            of one argument; use only one of them (SV-2.4).
        grace: seconds, 0 or more, that the current work may take to end by itself when the service is stopped. Then it is
            cancelled. None sets no limit (SV-4.3).
        on_failure: what happens after an exception from `__work__`. "retry" calls it again after a pause. "stop" stops the
            service. "restart" stops the service and, after a pause, starts it again, including hooks and dependents (SV-3.2).
            The default is what `run_services` says, or else "retry".
        max_restarts: the number of consecutive restarts that "restart" makes. After that, a failure stops the service for
            good. Work that ends well resets the count. None, the default, sets no limit.
        start_timeout: seconds, 0 or more, that `__on_start__` may take. Then it is cancelled, and the start fails with a
            TimeoutError. None, the default, sets no limit (SV-2.1).
        stop_timeout: seconds, 0 or more, that `__on_stop__` may take. Then it is cancelled, and reported. None, the default,
            sets no limit (SV-4.4).
        others: arguments for the `__init__` of the next class, passed on by `super().__init__`.

    Raises:
        TypeError: an argument has the wrong type, both spellings are used, a dependency is not a service, `__work__` is not a
            coroutine function, or a hook contains a `yield`.
        ValueError: a number is negative, or `on_failure` is unknown.
    """

    def __new__(cls, *args: Any, **options: Any) -> Self:
        made = super().__new__(cls)
        check_coroutine_function(cls.__work__, f"{cls.__name__}.__work__")
        check_hook(cls.__on_start__, f"{cls.__name__}.__on_start__")
        check_hook(cls.__on_stop__, f"{cls.__name__}.__on_stop__")
        # Not in `__init__`, which a subclass may forget to call; not through `__setattr__`, which a frozen dataclass forbids.
        object.__setattr__(made, "_Service__lifecycle", Lifecycle(made))
        return made

    def __init__(
        self,
        *,
        name: str | None = None,
        dependences: "Collection[Service] | None" = None,
        dependencies: "Collection[Service] | None" = None,
        grace: float | None = 5.0,
        on_failure: OnFailure | None = None,
        max_restarts: int | None = None,
        start_timeout: float | None = None,
        stop_timeout: float | None = None,
        **others: Never,
    ) -> None:
        if on_failure is not None:
            checked_choice(on_failure, "on_failure", "retry", "stop", "restart")
        if dependences is not None and dependencies is not None:
            raise TypeError("dependences and dependencies are two spellings of one argument: give one of them")
        given = dependences if dependences is not None else dependencies if dependencies is not None else ()
        lifecycle = lifecycle_of(self)
        lifecycle.name = checked_name(name) or lifecycle.name
        lifecycle.dependencies = tuple(map(lifecycle_of, checked_instances(given, Service, "dependencies")))
        lifecycle.grace = checked_seconds(grace, "grace")
        lifecycle.failures.policy = on_failure
        lifecycle.failures.max_restarts = checked_count(max_restarts, "max_restarts")
        lifecycle.start_timeout = checked_seconds(start_timeout, "start_timeout")
        lifecycle.stop_timeout = checked_seconds(stop_timeout, "stop_timeout")
        classes = type(self).__mro__
        if others and not any("__init__" in vars(each) for each in classes[classes.index(Service) + 1 : -1]):
            raise TypeError(f"{classes[0].__name__} got unexpected arguments: {', '.join(others)}")
        super().__init__(**others)

    # Users define these

    def __on_start__(self) -> Awaitable[None] | None:  # noqa: B027, the hook is optional
        """Prepare for work; a plain function or a coroutine function. The dependencies are RUNNING (SV-2.1)."""

    @abstractmethod
    async def __work__(self) -> None:
        """Do one piece of work; called again whenever it returns, until the service is stopped (SV-3.1, SV-3.4)."""

    def __on_stop__(self) -> Awaitable[None] | None:  # noqa: B027
        """Clean up, once, if `__on_start__` had completed; a plain function or a coroutine function (SV-2.3, SV-4.3)."""

    # Users read these

    @property
    def name(self) -> str:
        """The service's name (SV-5.2)."""
        return lifecycle_of(self).name

    @property
    def state(self) -> ServiceState:
        """The service's state now (SV-1)."""
        return lifecycle_of(self).state

    @property
    def run(self) -> bool:
        """Whether the service is RUNNING."""
        return lifecycle_of(self).state is ServiceState.RUNNING

    @property
    def failure(self) -> BaseException | None:
        """The exception that took the service down, or None (SV-1.3)."""
        return lifecycle_of(self).failure

    @property
    def on_state_change(self) -> Event[[ServiceState]]:
        """Emitted with each new state, in order; listeners never hold the service up (SV-1.2)."""
        return lifecycle_of(self).on_state_change

    @property
    def on_error(self) -> Event[[BaseException]]:
        """Emitted with each exception from the work, the tasks and the stop hook. Without listeners, they go to the log
        (SV-3.2, SV-4.4, SV-5.1)."""
        return lifecycle_of(self).failures.on_error

    @property
    def stopping(self) -> "Stopping":
        """Tells work that it should end, as in `await self.stopping` or `while not self.stopping` (SV-3.4)."""
        return Stopping(lifecycle_of(self))

    def __repr__(self) -> str:
        return repr(lifecycle_of(self))

    # Users call these

    async def start(self) -> None:
        """Start the dependencies, then the service; return when it is RUNNING (SV-2.1, SV-2.2).

        If the service is RUNNING, this returns at once. If it is STARTING, this shares that start. If it is STOPPING, this
        starts it after the stop. If the caller is cancelled, the start goes on for its other callers. If there are none, the
        start is given up, and `CancelledError` is raised when the service is STOPPED.

        Raises:
            Exception: the exception from `__on_start__` or from a dependency that made the start fail (SV-2.3).
            ServiceCancelledError: `__on_start__` raised a CancelledError that nobody had requested.
            ServiceStoppedError: the start was given up, or a shutdown had already begun (SV-4.6, SV-6.3).
            RuntimeError: the service's own hook called this, and would wait for itself; or the service or a dependency
                was started in another event loop.
        """
        lifecycle = lifecycle_of(self)
        if lifecycle.life and lifecycle.life.parts.is_in_own_hook():
            raise RuntimeError(f"{lifecycle!r} can't be started by its own hook")
        try:
            await lifecycle.bring_up(shutdown.shutdowns())
        except BaseException:
            await lifecycle.let_the_others_exit()
            raise

    def stop(self) -> Awaitable[None]:
        """Begin to stop at once. If the service is STOPPING or STOPPED, do nothing more (SV-4.1, SV-4.6).

        Signal handlers and other threads may call this. Then the stop begins as soon as the service's loop learns of it.

        Returns:
            An awaitable that may be awaited, or not, in any event loop. It completes when the service is STOPPED, and never
            raises. Cancelling the caller that awaits it changes nothing.
        """
        lifecycle = lifecycle_of(self)
        lifecycle.ask_to_stop()
        return Stopped(lifecycle)

    async def wait(self) -> None:
        """Return when the service is STOPPED. In its own hooks, which must end first, return at once (SV-5.2).

        It may be awaited in any event loop.
        """
        await lifecycle_of(self).wait()

    async def restart(self) -> None:
        """Stop, then start, and start again the dependents that this took down; return when they run (SV-5.2).

        Once begun, a restart is completed even if the caller is cancelled: the caller may be the work that has to end for
        it. In the service's own hooks, this returns at once.

        Raises:
            Exception: as in `start()`, for the service or for a dependent.
        """
        await lifecycle_of(self).start_again()

    def create_task(
        self, coro: Coroutine[Any, Any, _T], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[_T]":
        """Run a coroutine in a task of the service (SV-5.1).

        The task is gone when the service is STOPPED. Its exception goes to `on_error`.

        Raises:
            TypeError: `coro` is not a coroutine.
            RuntimeError: the service is STOPPED, or was started in another event loop.
        """
        return create_task(lifecycle_of(self), coro, name, context)


def lifecycle_of(service: Service) -> Lifecycle:
    """What the library knows about a service."""
    return cast(Lifecycle, service._Service__lifecycle)  # type: ignore[attr-defined]


class Stopped:
    """What `Service.stop` returns."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    def __await__(self) -> Generator[Any, None, None]:
        return self._lifecycle.wait().__await__()


class Stopping:
    """Whether a service's work should end: a stop was requested, and the dependents have stopped (SV-3.4, SV-4.2).

    It is true from then until the next start, and can be awaited.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle
        self._life = lifecycle.life

    @property
    def _watched(self) -> Life | None:
        """The life in which it was asked for; if it was before the first, as in `__init__`, the current one."""
        return self._life or self._lifecycle.life

    def is_set(self) -> bool:
        """Whether the work should end."""
        life = self._watched
        return life is not None and life.work_may_end.done()

    def __bool__(self) -> bool:
        return self.is_set()

    async def wait(self) -> None:
        """Return when the work should end. Cancelling the caller changes nothing."""
        if life := self._watched:
            await asyncio.wait([life.work_may_end])

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()
