"""The life of a service, from STARTING to STOPPED.

One task, `Life._live`, goes through the phases of a life. Other tasks run the user's parts: the start hook, the work, the stop
hook (`_parts`). Calls only ask: a stop resolves `stop_requested`, and that one task does the rest. So a service reaches STOPPED in
one place, whatever the user's parts do.
"""

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from . import shutdown
from ._application import Application, application
from ._futures import after_turns, resolve
from ._log import logger
from ._outcome import outcome_of
from ._parts import Part, Parts, made_task, part
from ._work import call_again_and_again
from .states import ServiceState, ServiceStoppedError, is_given_up

if TYPE_CHECKING:
    from ._lifecycle import Lifecycle

__all__ = ["Life"]


_TURNS = 10  # turns of the loop for a cancelled task to end in, even with no grace: nested tasks take one turn each


class Life:
    """A service from STARTING to STOPPED.

    Attributes:
        settled: the service is RUNNING, or never will be.
        stop_requested: somebody asked for the stop; `why` has the reason.
        work_may_end: no dependent uses the service any more (SV-4.2).
        grace_over: the work is cancelled at once.
        time_over: everything that runs is cancelled at once: the shutdown takes too long (SV-6.6).
        stopped: the service is STOPPED.
        ended: the same, for other threads; the loop need not run any more.
    """

    def __init__(self, owner: "Lifecycle") -> None:
        self.owner = owner
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        loop = self.loop
        self.thread: int = threading.get_ident()
        self.application: Application = application()
        self.heeds_signals: bool = owner.heeds_signals
        self.settled: asyncio.Future[None] = loop.create_future()
        self.stop_requested: asyncio.Future[None] = loop.create_future()
        self.work_may_end: asyncio.Future[None] = loop.create_future()
        self.grace_over: asyncio.Future[None] = loop.create_future()
        self.time_over: asyncio.Future[None] = loop.create_future()
        self.stopped: asyncio.Future[None] = loop.create_future()
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.ended.set_running_or_notify_cancel()  # so that cancelling one who waits for it does not cancel it for all
        self.end: asyncio.Future[Any] = self.stopped
        self.why: BaseException | None = None
        self.stop_announced: bool = False  # a signal or another thread is about to request the stop
        self.shutdowns: int = 0  # how many it has been told of
        self.uses_dependencies: bool = False  # `__on_start__` has begun
        self.prepared: bool = False  # `__on_start__` has completed: `__on_stop__` is due
        self.ran: bool = False  # it was RUNNING
        self.users: dict[Lifecycle, None] = {}  # dependents that must stop before the work may end
        self.taken_down: tuple[Life, ...] = ()  # those of the dependents that its stop has stopped
        self.left_behind: tuple[Lifecycle, ...] = ()  # those that were to follow it in a restart
        self.tasks: set[asyncio.Task[Any]] = set()  # the user's, from `create_task`
        self.start: Part | None = None
        self.work: Part | None = None
        self.parts: Parts = Parts(self)
        self._was_given_up = False
        self._waiting_for_itself = 0
        # Last: if no task can be made, nothing has begun.
        self._task = made_task(loop, self._live(), owner.name, None)
        self._task.add_done_callback(self._end)

    # Requests

    def shut_down(self) -> None:
        self.shutdowns += 1
        self.owner.stop(ServiceStoppedError(f"{self.owner!r} was stopped: the application is shutting down"))
        if self.shutdowns > 1:
            resolve(self.grace_over)

    def run_out_of_time(self, seconds: float) -> None:
        """End what still runs: the shutdown has used up its time (SV-6.6)."""
        if not self.stopped.done() and not self.time_over.done():
            logger.error("%r is cut short: the shutdown has taken more than %s s", self.owner, seconds)
            resolve(self.grace_over)
            resolve(self.time_over)

    @contextmanager
    def waited_for(self) -> Iterator[None]:
        """Work that waits for its own service to end, or for one that waits for it, gets no grace: it could never end."""
        life, what = part.get() or (None, "")
        if life is None or what != "work" or not life.owner.needs(self.owner):
            yield
            return
        life._waiting_for_itself += 1
        resolve(life.grace_over)
        try:
            yield
        finally:
            life._give_grace_again()

    def _give_grace_again(self) -> None:
        self._waiting_for_itself -= 1
        if not (self._waiting_for_itself or self.stop_requested.done() or self.loop.is_closed()):
            self.grace_over = self.loop.create_future()

    # From STARTING to STOPPED

    async def _live(self) -> None:
        part.set(None)  # another service's work may have started this one
        await self._until([after_turns(1)])  # so that `__init__` completes before a hook runs, even with eager tasks
        for phase in (self._starts, self._works, self._drains, self._ends_its_work, self._cleans_up):
            try:
                await phase()
            except Exception as error:  # out of memory, or no task can be made
                self.owner.failures.report(error)
                self.owner.stop(error, failed=True)

    async def _starts(self) -> None:
        if not self.stop_requested.done():
            await self._try_to_start("start", self._start_dependencies, None)
        if not self.stop_requested.done():
            self.uses_dependencies = True
            await self._try_to_start("start hook", self._prepare, self.owner.start_timeout)

    async def _try_to_start(
        self, what: str, function: Callable[[], Coroutine[Any, Any, None]], seconds: float | None
    ) -> None:
        self.start = self.parts.begin(what, function)
        await self._until([self.start], seconds, unless=self.stop_requested)
        if seconds == 0 and not self.stop_requested.done():
            await self._until([self.start], unless=after_turns(_TURNS))  # it may end at once
        self._was_given_up = self.stop_requested.done()
        if self._was_given_up:
            return  # `_drains` handles its outcome
        if not self.start.done():
            self.owner.failures.fail_to_start(TimeoutError(f"{self.owner!r} did not start within {seconds} s"))
        elif self.start.cancelled():
            self.owner.stop(self._cancelled())
        elif (error := self.start.result()) is not None:
            self.owner.failures.fail_to_start(error)

    async def _start_dependencies(self) -> None:
        refusals: list[BaseException] = []  # in a shutdown; a failing dependency asks its dependents to stop itself

        async def start(dependency: "Lifecycle") -> None:
            error = await outcome_of(lambda: dependency.bring_up(shutdown.shutdowns(), self))
            if error is not None:
                refusals.append(error)
                raise _RefusedError

        try:
            async with asyncio.TaskGroup() as group:
                for dependency in self.owner.dependencies:
                    group.create_task(start(dependency))
        except ExceptionGroup as errors:
            raise (refusals or errors.exceptions)[0] from None

    async def _prepare(self) -> None:
        result = self.owner.service.__on_start__()
        if isawaitable(result):
            await result
        self.prepared = True

    async def _works(self) -> None:
        if not self.stop_requested.done():
            self.ran = True
            self.owner.enter(ServiceState.RUNNING)
            resolve(self.settled)
            self.work = self.parts.begin("work", lambda: call_again_and_again(self))
            await self._until([self.work], unless=self.stop_requested)
            self.owner.stop(self._cancelled())

    async def _drains(self) -> None:
        await self._until([self.work_may_end])
        if self.start and self._was_given_up:
            await self._cancel([self.start])
            error = _result(self.start)
            if error is not None and not is_given_up(error):
                self.owner.failures.fail(error)  # no caller gets it

    async def _ends_its_work(self) -> None:
        if self.work:
            await self._until([self.work], self.owner.grace, unless=self.grace_over)
            await self._cancel([self.work])
        await self._cancel(self.tasks)

    async def _cleans_up(self) -> None:
        if self.prepared:
            stop = self.parts.begin("stop hook", self.owner.service.__on_stop__)
            seconds = self.owner.stop_timeout
            await self._until([stop], seconds, unless=self.time_over)
            if not stop.done():
                await self._until([stop], unless=after_turns(_TURNS))  # the hook is due, and may end at once
            if not stop.done() and not self.time_over.done():
                logger.error("%r: its stop hook has taken more than %s s, and is cancelled", self.owner, seconds)
            await self._cancel([stop])
            if (error := _result(stop)) is not None:
                self.owner.failures.fail(error)
            await self._cancel(self.tasks)

    def _end(self, task: "asyncio.Task[None]") -> None:
        self.owner.stop(self._cancelled())  # in case the task was cancelled before it began
        self.owner.has_stopped(self)

    def _cancelled(self) -> ServiceStoppedError:
        return ServiceStoppedError(f"{self.owner!r} was cancelled")

    # Waiting and cancelling

    async def _until(
        self,
        futures: Collection["asyncio.Future[Any]"],
        seconds: float | None = None,
        *,
        unless: "asyncio.Future[Any] | None" = None,
    ) -> None:
        """Wait until all futures are done, until the time is over, or until `unless` is done.

        If the life is cancelled, as all tasks are when their loop closes, it goes on, and stops without grace.
        """
        end = None if seconds is None else self.loop.time() + seconds
        while waiting := [future for future in futures if not future.done()]:
            left = None if end is None else end - self.loop.time()
            if (unless and unless.done()) or (left is not None and left <= 0):
                return
            try:
                await asyncio.wait(
                    [*waiting, unless] if unless else waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED
                )
            except asyncio.CancelledError:
                self.owner.stop(self._cancelled())
                resolve(self.grace_over)

    async def _cancel(self, tasks: Collection["asyncio.Task[Any]"]) -> None:
        """Cancel each task that has not ended, once. Wait for the grace, then leave behind those that refuse (SV-4.3)."""
        cancelled = [task for task in tasks if not task.done()]
        for task in cancelled:
            if not task.cancelling():
                task.cancel()
        if self.owner.grace != 0:
            await self._until(cancelled, self.owner.grace, unless=self.time_over)
        if self.owner.grace == 0 or self.time_over.done():
            await self._until(cancelled, unless=after_turns(_TURNS))
        for task in cancelled:
            if not task.done():
                logger.error("%r leaves behind a task that refuses to be cancelled: %r", self.owner, task)


class _RefusedError(Exception):
    """A dependency does not start."""


def _result(task: Part) -> BaseException | None:
    return task.result() if task.done() and not task.cancelled() else None
