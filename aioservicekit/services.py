"""Services: units of work with a lifecycle, dependencies and a graceful stop.

                      start fails, or is given up
              ┌────────────────────────────────────────┐
              │                                        v
    STOPPED ──┴─> STARTING ───────> RUNNING ───────> STOPPING ───────> STOPPED
       start()       │ dependencies    │ __work__,      │ dependents stop first; then __work__ may end by itself
                     │ start first,    │ again and      │ within `grace`, and is cancelled after it; then the tasks
                     │ then            │ again          │ are; then __on_stop__
                     │ __on_start__                     │

From STARTING to STOPPED a service has a *life*: one task (`Service._live`) that walks through it, and others that do the
user's part: the start, the work, the stop hook. Calls only ask: `stop()` resolves the future `asked` of a life, and its
task does the rest. So there is one place at which a service reaches STOPPED, whatever the user's part does.

The rules, SV-1.1 to SV-6.4, are in specs/service.md.
"""

import asyncio
import functools
import inspect
import logging
import math
import signal
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Coroutine, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from enum import IntEnum
from typing import Any, Literal, ParamSpec, TypeVar

from . import shutdown
from .events import Event

__all__ = ["Service", "ServiceState", "ServiceStoppedError", "service"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_logger = logging.getLogger("aioservicekit")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0  # seconds, after work that failed (SV-3.2)
_TURNS = 10  # of the loop, for what is cancelled to end in, also with no grace: nested tasks take one each

_at_work: ContextVar["Service | None"] = ContextVar("_at_work", default=None)  # the service whose work this is


class ServiceState(IntEnum):
    """A service's states; STOPING and STOPED are older spellings of the same members (SV-1.1)."""

    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4
    STOPING = 3
    STOPED = 4


class ServiceStoppedError(Exception):
    """A start was given up: the service or one of its dependencies was stopped, or the application shuts down."""


class _Life:
    """What there is of a service from STARTING to STOPPED."""

    def __init__(self) -> None:
        self.loop = loop = asyncio.get_running_loop()
        self.settled: asyncio.Future[None] = loop.create_future()  # RUNNING, or never going to be
        self.asked: asyncio.Future[None] = loop.create_future()  # to stop
        self.released: asyncio.Future[None] = loop.create_future()  # by its dependents: the work may end
        self.hurried: asyncio.Future[None] = loop.create_future()  # there is no grace any more
        self.over: asyncio.Future[None] = loop.create_future()  # STOPPED
        self.entered = False  # `__on_start__` has begun: the dependencies are in use
        self.hooked = False  # `__on_start__` has completed: `__on_stop__` is due
        self.ran = False  # it was RUNNING
        self.hook: asyncio.Task[Any] | None = None  # the task in which a hook runs, or has run
        self.why: BaseException | None = None  # it was asked to stop
        self.users: set[Service | None] = set()  # dependents that have still to stop before the work may end
        self.signals = 0
        self.start: asyncio.Task[None]
        self.task: asyncio.Task[None]
        self.work: asyncio.Task[None] | None = None
        self.tasks: set[asyncio.Task[Any]] = set()


class Service(ABC):
    """A unit of work that is started, works until it is stopped, and stops gracefully.

    Subclasses define `__work__`, a coroutine function that is called again each time that it ends, and may define
    `__on_start__` and `__on_stop__`, plain functions or coroutine functions. A service may be built with no running event
    loop (SV-1.1); its methods belong to the loop, and the thread, in which it is started.

    Args:
        name: for logs and for people; the class's name by default (SV-5.2).
        dependences, dependencies: services that run before this one starts and until it has stopped; two spellings, of
            which one may be used (SV-2.4).
        grace: seconds, 0 or more, that the current work may take to end by itself when the service is stopped; after
            them it is cancelled. None sets no limit (SV-4.3).
        on_failure: what follows an exception from `__work__`: "retry" calls it again after a pause, "stop" stops the
            service (SV-3.2).

    Raises:
        TypeError: an argument of the wrong type, both spellings at once, a dependency that is no service, or a
            `__work__` that is not a coroutine function.
        ValueError: a negative `grace`, or an unknown `on_failure`.

    Attributes:
        on_state_change: emitted with each new state, in order; listeners never hold the service up (SV-1.2).
        on_error: emitted with each exception of the work, the tasks and the stop hook; where nobody listens they go to
            the log (SV-3.2, SV-4.4, SV-5.1).
        failure: the exception that took the service down, or None (SV-1.3).
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        dependences: "Collection[Service] | None" = None,
        dependencies: "Collection[Service] | None" = None,
        grace: float | None = 5.0,
        on_failure: Literal["retry", "stop"] = "retry",
    ) -> None:
        if not (name is None or isinstance(name, str)):
            raise TypeError(f"name must be a str or None, not {name!r}")
        if not inspect.iscoroutinefunction(self.__work__):
            raise TypeError(f"{type(self).__name__}.__work__ must be a coroutine function, not {type(self).__work__!r}")
        self._name = name or type(self).__name__
        self._dependencies = _checked_dependencies(dependences, dependencies)
        needed = [each for dependency in self._dependencies for each in dependency._with_dependencies]
        self._with_dependencies: tuple[Service, ...] = tuple(
            dict.fromkeys((*needed, self))
        )  # in an order in which they may start
        self._grace = _checked_grace(grace)
        if on_failure not in ("retry", "stop"):
            raise ValueError(f'on_failure must be "retry" or "stop", not {on_failure!r}')
        self._retries = on_failure == "retry"
        self._state = ServiceState.STOPPED
        self._life: _Life | None = None  # the current one, or the last one
        self._callers = 0  # who wait for a start
        self._dependents: dict[Service, None] = {}  # those that are not STOPPED
        self._taken_down: tuple[Service, ...] = ()  # what the last stop has stopped with it, directly or not
        self._restarting: asyncio.Task[None] | None = None
        self._changes: list[ServiceState] = []  # that listeners have still to hear of
        self.failure: BaseException | None = None
        self.on_state_change: Event[[ServiceState]] = Event()
        self.on_error: Event[[BaseException]] = Event()

    # What users define

    def __on_start__(self) -> Awaitable[None] | None:  # noqa: B027, a hook that need not be defined
        """Prepare for work; a plain function or a coroutine function. The dependencies are RUNNING (SV-2.1)."""

    @abstractmethod
    async def __work__(self) -> None:
        """Do one piece of work; called again each time that it ends (SV-3.1)."""

    def __on_stop__(self) -> Awaitable[None] | None:  # noqa: B027
        """Clean up, once, if `__on_start__` had completed; a plain function or a coroutine function (SV-2.3, SV-4.3)."""

    # What users see

    @property
    def name(self) -> str:
        """The service's name (SV-5.2)."""
        return self._name

    @property
    def state(self) -> ServiceState:
        """The service's state now (SV-1)."""
        return self._state

    @property
    def run(self) -> bool:
        """Whether the service is RUNNING."""
        return self._state is ServiceState.RUNNING

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name!r} {self._state.name}>"

    # What users call

    async def start(self) -> None:
        """Start the dependencies, then the service; return when it is RUNNING (SV-2.1, SV-2.2).

        On a RUNNING service it returns at once; on a STARTING one it shares that start; on a STOPPING one it starts after
        the stop. When the caller is cancelled the start goes on for the others that wait in it; without any it is given
        up, and `CancelledError` is raised when the service is STOPPED.

        Raises:
            Exception: the one with which the start failed: of `__on_start__`, or of a dependency (SV-2.3).
            ServiceStoppedError: the start was given up, or a shutdown signal came before it (SV-4.6, SV-6.3).
            RuntimeError: called by the service's own hook, which would wait for itself.
        """
        if self._in_a_hook():
            raise RuntimeError(f"{self!r} can't be started by its own hook")
        await self._bring_up(shutdown.shutdowns())

    def stop(self) -> Awaitable[None]:
        """Begin to stop, at once; on a service that is STOPPING or STOPPED, do nothing more (SV-4.1, SV-4.6).

        Returns:
            What may be awaited, or not: it completes when the service is STOPPED, and never raises. To cancel who awaits
            it changes nothing.
        """
        self._ask(ServiceStoppedError(f"{self!r} was stopped"))
        return _Stopped(self)

    async def wait(self) -> None:
        """Return when the service is STOPPED; in its own hooks, which come before that, at once (SV-5.2)."""
        if self._life and not self._in_a_hook():
            with self._outlasting_its_caller():
                await asyncio.wait([self._life.over])

    async def restart(self) -> None:
        """Stop, then start, and start again those dependents that this took down; return when they run (SV-5.2).

        Once begun it is carried out, also when the caller is cancelled: that may be the work that has to end for it. In the
        service's own hooks it returns at once.

        Raises:
            Exception: as `start()`, of the service or of a dependent.
        """
        if self._restarting is None or self.run:
            self._refuse_in_a_shutdown(shutdown.shutdowns())
            was_up = self._state is not ServiceState.STOPPED
            self._ask(ServiceStoppedError(f"{self!r} was stopped, to start again"))
            again = self._taken_down if was_up else ()
            task = asyncio.create_task(
                self._restart(self._life, again, shutdown.shutdowns()), name=f"{self._name}-restart"
            )
            for concerned in (self, *again):
                concerned._restarting = task
                task.add_done_callback(concerned._restarted)
        assert self._restarting is not None
        if not self._in_a_hook():
            with self._outlasting_its_caller():
                await asyncio.shield(self._restarting)

    def create_task(
        self, coro: Coroutine[Any, Any, _T], *, name: str | None = None, context: Context | None = None
    ) -> "asyncio.Task[_T]":
        """Run a coroutine in a task of the service: gone when it is STOPPED, its exception goes to `on_error` (SV-5.1).

        Raises:
            RuntimeError: the service is STOPPED.
        """
        if self._life is None or self._life.over.done():
            coro.close()
            raise RuntimeError(f"{self!r} is STOPPED, and runs no tasks")
        task = asyncio.create_task(coro, name=name, context=context)
        self._life.tasks.add(task)
        task.add_done_callback(self._life.tasks.discard)
        task.add_done_callback(self._report_failed)
        return task

    # From STARTING to STOPPED

    async def _bring_up(self, shutdowns: int, dependent: _Life | None = None) -> None:
        """Start, when `shutdowns` is how many there had been when this was asked for, by a dependent perhaps."""
        self._refuse_in_a_shutdown(shutdowns)
        given_up = False
        self._callers += 1
        try:
            try:
                life = await self._settled(shutdowns, dependent)
            finally:
                self._callers -= 1
                given_up = self._give_up_unless_wanted()
        except asyncio.CancelledError:
            if given_up and not dependent and self._life:
                await asyncio.wait([self._life.over])
            raise
        if life and life.why and not life.ran:
            raise life.why

    async def _settled(self, shutdowns: int, dependent: _Life | None) -> _Life | None:
        """The life that is shared with all who want this start, once it is RUNNING, or is STOPPED without having been."""
        life = self._life
        if self._state is ServiceState.STOPPING and life:
            await asyncio.wait([life.over])
            self._refuse_in_a_shutdown(shutdowns)
        if dependent and dependent.asked.done():
            return None
        if life is self._life and (life is None or life.over.done()):
            self._begin()
        life = self._life
        assert life is not None
        await asyncio.wait([life.settled])
        return life

    def _begin(self) -> None:
        self._life = life = _Life()
        self._taken_down = ()
        self.failure = None
        for dependency in self._dependencies:
            dependency._dependents[self] = None
        shutdown.begin(self._on_shutdown)
        self._enter(ServiceState.STARTING)
        life.start = asyncio.create_task(self._start(life), name=f"{self._name}-start")
        life.task = asyncio.create_task(self._live(life), name=self._name)
        life.task.add_done_callback(self._end)

    def _give_up_unless_wanted(self) -> bool:
        life = self._life
        wanted = self._callers or not all(dependent._stopping for dependent in self._dependents)
        if wanted or life is None or life.settled.done() or life.asked.done():
            return False
        self._ask(ServiceStoppedError(f"nobody waits any more for the start of {self!r}"))
        return True

    def _refuse_in_a_shutdown(self, shutdowns: int) -> None:
        if shutdown.shutting_down() or shutdown.shutdowns() != shutdowns:
            raise ServiceStoppedError(f"{self!r} can't start: the application shuts down")

    async def _start(self, life: _Life) -> None:
        await asyncio.sleep(0)  # the life is complete before a hook may ask it to stop, with eager tasks too
        try:
            async with asyncio.TaskGroup() as group:
                for dependency in self._dependencies:
                    group.create_task(dependency._bring_up(shutdown.shutdowns(), life))
        except BaseExceptionGroup as refusals:  # in a shutdown; a dependency that fails asks its dependents itself
            raise refusals.exceptions[0] from None
        life.entered = True
        await self._call(life, self.__on_start__)
        life.hooked = True

    async def _live(self, life: _Life) -> None:
        await self._until(life, [life.start], unless=life.asked)
        if life.hooked and not life.asked.done():
            life.ran = True
            self._enter(ServiceState.RUNNING)
            _resolve(life.settled)
            life.work = asyncio.create_task(self._work(life), name=f"{self._name}-work")
            await self._until(life, [life.work], unless=life.asked)
        self._ask(_exception(life.work or life.start) or ServiceStoppedError(f"{self!r} was cancelled"))
        await self._until(life, [life.released])
        await self._cancel(life, [life.start])
        if (error := _exception(life.start)) and error is not life.why and not isinstance(error, ServiceStoppedError):
            self._report(error)  # of a start that was given up: no caller gets it
        if life.work:
            await self._until(life, [life.work], self._grace, unless=life.hurried)
            await self._cancel(life, [life.work])
        await self._cancel(life, life.tasks)
        if life.hooked:
            stop = asyncio.create_task(self._call(life, self.__on_stop__), name=f"{self._name}-stop")
            stop.add_done_callback(self._report_failed)
            await self._until(life, [stop])
            await self._cancel(life, life.tasks)

    def _end(self, task: "asyncio.Task[None]") -> None:
        life = self._life
        assert life is not None
        self._report_failed(task)
        self._ask(ServiceStoppedError(f"{self!r} was cancelled"))  # in case that its task was, before it began
        for dependency in self._dependencies:
            dependency._dependents.pop(self, None)
            dependency._release(self)
        shutdown.end(self._on_shutdown)
        self._enter(ServiceState.STOPPED)
        _resolve(life.over)
        _resolve(life.settled)

    def _ask(self, why: BaseException) -> None:
        """Ask for the stop, here and of all dependents (SV-4.5); the first one to ask gives the reason."""
        life = self._life
        if life is None or life.asked.done() or life.loop.is_closed():
            return
        life.why = why
        if not isinstance(why, ServiceStoppedError):
            self.failure = why
        _resolve(life.asked)
        life.start.cancel()
        self._enter(ServiceState.STOPPING)
        taken_down: dict[Service, None] = {}
        for dependent in tuple(self._dependents):
            if not dependent._stopping:
                taken_down[dependent] = None
            if dependent._life and dependent._life.entered:
                life.users.add(dependent)
            dependent._ask(self.failure or ServiceStoppedError(f"{dependent!r} was stopped: {self!r} has stopped"))
            taken_down.update(dict.fromkeys(dependent._taken_down if dependent in taken_down else ()))
        self._taken_down = tuple(taken_down)
        for dependency in self._dependencies:
            dependency._give_up_unless_wanted()
        self._release()

    def _release(self, user: "Service | None" = None) -> None:
        """The work may end, once no dependent uses it any more (SV-4.2)."""
        life = self._life
        if life and life.asked.done():
            life.users.discard(user)
            if not life.users:
                _resolve(life.released)

    async def _restart(self, life: _Life | None, again: "Collection[Service]", shutdowns: int) -> None:
        if life:
            await asyncio.wait([life.over])
        await self._bring_up(shutdowns)
        started = await asyncio.gather(*(dependent._bring_up(shutdowns) for dependent in again), return_exceptions=True)
        for error in started:
            if error:
                raise error

    def _restarted(self, task: "asyncio.Task[None]") -> None:
        if self._restarting is task:
            self._restarting = None

    def _on_shutdown(self, number: signal.Signals) -> None:
        assert self._life is not None
        self._life.loop.call_soon_threadsafe(self._shut_down, self._life)

    def _shut_down(self, life: _Life) -> None:
        life.signals += 1
        self._ask(ServiceStoppedError(f"{self!r} was stopped: the application shuts down"))
        if life.signals > 1:
            _resolve(life.hurried)

    # Working

    async def _work(self, life: _Life) -> None:
        _at_work.set(self)
        pause = _FIRST_PAUSE
        while not life.released.done():
            try:
                await self.__work__()
            except (Exception, asyncio.CancelledError) as error:
                task = asyncio.current_task()
                if isinstance(error, asyncio.CancelledError) and task and task.cancelling():
                    raise
                self._report(error)
                if not self._retries:
                    self._ask(error)
                    return
                await asyncio.wait([life.released], timeout=pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                pause = _FIRST_PAUSE
                await asyncio.sleep(0)  # it need not have suspended itself (SV-3.3)

    def _report(self, error: BaseException) -> None:
        if self.on_error.has_listeners:
            self.on_error.notify(error)
        else:
            _logger.error("%r failed", self, exc_info=error)

    def _report_failed(self, task: "asyncio.Task[Any]") -> None:
        if error := _exception(task):
            self._report(error)

    # Waiting

    async def _until(
        self,
        life: _Life,
        futures: Collection["asyncio.Future[Any]"],
        seconds: float | None = None,
        *,
        unless: "asyncio.Future[Any] | None" = None,
    ) -> None:
        """Wait until all are done, at most so long, or until `unless` is.

        A life that is cancelled, as all tasks are when their loop closes, goes on, and stops in a hurry.
        """
        end = None if seconds is None else life.loop.time() + seconds
        while waiting := [future for future in futures if not future.done()]:
            left = None if end is None else end - life.loop.time()
            if (unless and unless.done()) or (left is not None and left <= 0):
                return
            try:
                await asyncio.wait(
                    [*waiting, unless] if unless else waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
            except asyncio.CancelledError:
                self._ask(ServiceStoppedError(f"{self!r} was cancelled"))
                _resolve(life.hurried)

    async def _cancel(self, life: _Life, tasks: Collection["asyncio.Task[Any]"]) -> None:
        """Cancel, once, what has not ended, and wait for it as long as the grace; what refuses is left behind (SV-4.3)."""
        cancelled = [task for task in tasks if not task.done()]
        for task in cancelled:
            if not task.cancelling():
                task.cancel()
        if self._grace == 0:
            await self._until(life, cancelled, unless=asyncio.create_task(_some_turns()))
        else:
            await self._until(life, cancelled, self._grace)
        for task in cancelled:
            if not task.done():
                _logger.error("%r leaves behind a task that refuses to be cancelled: %r", self, task)

    @contextmanager
    def _outlasting_its_caller(self) -> Iterator[None]:
        """Work that waits for the end of its own service, or of one that waits for it, gets no grace: it could not end."""
        worker = _at_work.get()
        life = worker._life if worker and self in worker._with_dependencies else None
        if life is None or life.work is not asyncio.current_task():
            yield
            return
        _resolve(life.hurried)
        try:
            yield
        finally:
            life.hurried = life.hurried if life.asked.done() else life.loop.create_future()

    def _in_a_hook(self) -> bool:
        life = self._life
        return life is not None and life.hook is not None and life.hook is asyncio.current_task()

    async def _call(self, life: _Life, hook: Callable[[], Awaitable[None] | None]) -> None:
        life.hook = asyncio.current_task()
        result = hook()
        if inspect.isawaitable(result):
            await result

    # The state

    @property
    def _pending(self) -> "asyncio.Future[None] | None":
        """What completes before the service is STOPPED for good: a restart brings it up again."""
        if self._restarting is None and self._life and not self._life.over.done():
            return self._life.over
        return self._restarting

    @property
    def _stopping(self) -> bool:
        return self._life is not None and self._life.asked.done()

    def _enter(self, state: ServiceState) -> None:
        self._state = state
        self._changes.append(state)
        if len(self._changes) == 1:  # or else a listener brought it about: all have to hear of the one before first
            while self._changes:
                self.on_state_change.notify(self._changes[0])
                del self._changes[0]


class _Stopped:
    """What `Service.stop` returns."""

    def __init__(self, stopping: Service) -> None:
        self._service = stopping

    def __await__(self) -> Generator[Any, None, None]:
        return self._service.wait().__await__()


class _FunctionService(Service):
    """A service whose work is a coroutine function, called with the same arguments each time."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> None:
        self._function = work
        super().__init__(**options)

    async def __work__(self) -> None:
        await self._function()


def service(
    *,
    name: str | None = None,
    dependences: Collection[Service] | None = None,
    dependencies: Collection[Service] | None = None,
    grace: float | None = 5.0,
    on_failure: Literal["retry", "stop"] = "retry",
) -> Callable[[Callable[_P, Coroutine[Any, Any, Any]]], Callable[_P, Service]]:
    """Make a service factory from a coroutine function, which is the work (SV-5.3).

    The factory takes the function's arguments, with which each call of the work is made. The service's name is the
    function's by default; the other arguments are those of `Service`.

    Raises:
        TypeError: what is decorated is not a coroutine function.
    """

    def decorate(function: Callable[_P, Coroutine[Any, Any, Any]]) -> Callable[_P, Service]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"@service decorates a coroutine function, not {function!r}")

        @functools.wraps(function)
        def factory(*args: _P.args, **kwargs: _P.kwargs) -> Service:
            return _FunctionService(
                functools.partial(function, *args, **kwargs),
                name=name or function.__name__,
                dependences=dependences,
                dependencies=dependencies,
                grace=grace,
                on_failure=on_failure,
            )

        return factory

    return decorate


def _checked_dependencies(dependences: object, dependencies: object) -> tuple[Service, ...]:
    if dependences is not None and dependencies is not None:
        raise TypeError("dependences and dependencies are two spellings of one argument: give one of them")
    given = dependences if dependences is not None else dependencies if dependencies is not None else ()
    return checked_services(given, "dependencies")


def checked_services(given: object, called: str) -> tuple[Service, ...]:
    """The services that an argument holds, each once.

    Raises:
        TypeError: it is no collection, or holds something else.
    """
    if not isinstance(given, Iterable):
        raise TypeError(f"{called} must be a collection of services, not {given!r}")
    checked = tuple(given)
    for each in checked:
        if not isinstance(each, Service):
            raise TypeError(f"{called} must hold services alone, not {each!r}")
    return tuple(dict.fromkeys(checked))


def _checked_grace(grace: object) -> float | None:
    if grace is None:
        return None
    if isinstance(grace, bool) or not isinstance(grace, int | float):
        raise TypeError(f"grace must be a number of seconds or None, not {grace!r}")
    if math.isnan(grace) or grace < 0:
        raise ValueError(f"grace must be 0 seconds or more, or None for no limit, not {grace!r}")
    return grace


async def _some_turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def _exception(task: "asyncio.Task[Any]") -> BaseException | None:
    return None if not task.done() or task.cancelled() else task.exception()
