"""Restarts of a service and of the dependents that its stop took down, on request or after a failure."""

import asyncio
from typing import TYPE_CHECKING, Any

from . import shutdown
from ._application import application
from ._futures import resolve
from ._life import Life
from ._log import logger
from ._outcome import outcome_of
from ._parts import part
from ._work import pause_after
from .states import ServiceStoppedError, is_given_up

if TYPE_CHECKING:
    from ._lifecycle import Lifecycle

__all__ = ["Restart"]


class Restart:
    """A restart, from before the stop until everything runs again that should.

    It has its own task, because the caller may be the work that has to end for it. It counts as running, so that a signal
    between the stop and the start is heard.

    Attributes:
        task: its result is the exception with which the restart failed.
        after_failure: nobody has asked for this restart. It starts the service after a pause, as often as necessary, and ends
            if the service is stopped meanwhile, or one of its dependencies is. Then the failure had been dealt with, and is
            forgotten.
        settled: for each service that it starts: the service has come up again, or will not.
    """

    def __init__(self, of: "Lifecycle", again: "list[Lifecycle]", *, after_failure: bool = False) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.heeds_signals: bool = of.heeds_signals
        self.stop_announced: bool = False
        self.after_failure = after_failure
        self._of = of
        self._failed_life = of.life
        earlier = [r for each in (of, *again) if (r := each.restart) and r._of is each and r.after_failure]
        self.followers: dict[Lifecycle, None] = dict.fromkeys(again)  # those that are not started again yet
        self.settled: dict[Lifecycle, asyncio.Future[None]] = {
            each: self.loop.create_future() for each in (of, *self.followers)
        }
        self._times = of.failures.restarts + 1  # in a row, counting this one
        self._callers = 0
        self._has_begun = False  # to start the service
        self._abandoned: asyncio.Future[None] = self.loop.create_future()
        self._application = application()
        self.task: asyncio.Task[BaseException | None] = asyncio.create_task(
            self._carry_out(of.life, shutdown.shutdowns()), name=f"{of.name}-restart"
        )
        self.end: asyncio.Future[Any] = self.task
        self.task.add_done_callback(self._end)
        for each in self.settled:
            each.restart = self
        for each in self.followers:  # some may have stopped for good before, and nothing else wants them
            each.want_dependencies()
        self._application.lives[self] = None
        shutdown.begin(self)
        for restart in earlier:  # this one starts all that they would start
            restart.shut_down()

    async def wait(self) -> None:
        """Wait until the restart ends, and raise its failure."""
        self._callers += 1
        try:
            error = await asyncio.shield(self.task)
        finally:
            self._callers -= 1
        if error is not None:
            raise error

    @property
    def is_over(self) -> bool:
        """Whether it starts nothing any more, although it may not have ended yet."""
        return self._abandoned.done()

    def left_behind(self, stopping: "Lifecycle") -> "tuple[Lifecycle, ...]":
        """Those that were to follow a service, which stops now."""
        return () if self.is_over or stopping is not self._of else tuple(self.followers)

    def will_start(self, service: "Lifecycle") -> bool:
        """Whether it starts a service, or has begun to."""
        return not (self.settled[service].done() or self.is_over or self._is_undone)

    def is_to_start(self, service: "Lifecycle") -> bool:
        """Whether it is going to start a service that is down."""
        return self.will_start(service) and self._is_left(service)

    def _is_left(self, service: "Lifecycle") -> bool:
        """Whether its start is still to come, unless something ends this restart first."""
        if self.settled[service].done():
            return False
        if service is not self._of:
            return service in self.followers
        if not self.after_failure:
            return False
        if service.life is self._failed_life:
            return True
        may_come_up = all(dependency.is_up or dependency.is_to_start_again for dependency in service.dependencies)
        return may_come_up and service.failures.may_restart(self._times + 1)

    @property
    def _is_undone(self) -> bool:
        """Whether the service stops once more after this restart has started it; then nothing follows."""
        return self._has_begun and self._of.is_stopping and not self._is_left(self._of)

    def _is_to_repair(self, each: "Lifecycle") -> bool:
        """Whether it is going to start a service that a failure has taken down, which no other restart does."""
        return self.after_failure and each.restart is self and self._is_left(each)

    def shut_down(self) -> None:
        """Start nothing any more. So a shutdown need not wait for this restart."""
        for each in self.settled:
            self._forget_failure(each)
        resolve(self._abandoned)
        self._leave()

    def leave_out(self, stopped: "Lifecycle") -> None:
        """Do not start a service that was stopped. If it is the one that has failed, start nothing any more (SV-3.2)."""
        if stopped is self._of:
            self.shut_down()
        else:
            self._forget_failure(stopped)
            self.followers.pop(stopped, None)
            stopped.restart = None
            self._settle(stopped)
            stopped.tell_watchers()

    def _settle(self, each: "Lifecycle") -> None:
        """It has come up again, or will not, at least by this restart."""
        resolve(self.settled[each])
        if not (each.has_life or each.is_to_start_again):
            each.want_nothing()

    def _forget_failure(self, each: "Lifecycle") -> None:
        """It was stopped before it was started again. So this stop keeps it down, and no failure does (SV-3.2)."""
        if self._is_to_repair(each):
            each.failure = None

    def _leave(self) -> None:
        self._application.lives.pop(self, None)
        shutdown.end(self)
        self._application.look_for_the_end()

    async def _carry_out(self, life: Life | None, asked_at: int) -> BaseException | None:
        part.set(None)  # the work that asks for the restart does not wait for it
        await asyncio.sleep(0)
        if life:
            await asyncio.wait([life.stopped])
        error = await (
            self._start_after_failure(asked_at) if self.after_failure else self._bring_up(self._of, asked_at)
        )
        self._settle(self._of)
        started = self._of.life if error is None else None
        outcomes = await asyncio.gather(*(self._follow(each, started, asked_at) for each in tuple(self.followers)))
        return next((failed for failed in (error, *outcomes) if failed is not None), None)

    async def _start_after_failure(self, asked_at: int) -> BaseException | None:
        """Start the service after a pause, again if that fails, and as often as `max_restarts` permits (SV-3.2)."""
        while True:
            pause = pause_after(self._times)
            logger.info("%s: starting again in %s s", self._of.name, pause)
            await asyncio.wait([self._abandoned], timeout=pause)
            if not await self._dependencies_are_up(self._of):
                return self._stays_down(self._of)
            error = await self._bring_up(self._of, asked_at, self._times)
            if error is None or is_given_up(error) or not self._of.failures.may_restart(self._times + 1):
                return error
            self._times += 1
            self._failed_life = self._of.life

    async def _dependencies_are_up(self, each: "Lifecycle") -> bool:
        """Whether no dependency of a service has stopped for good; first, those that restart must come up, or fail to."""
        while not self.is_over:
            settling = [d.restart.settled[d] for d in each.dependencies if d.restart]
            settling = [future for future in settling if not future.done()]
            if not settling:
                return all(dependency.is_up for dependency in each.dependencies)
            await asyncio.wait([*settling, self._abandoned], return_when=asyncio.FIRST_COMPLETED)
        return False

    async def _follow(self, each: "Lifecycle", started: Life | None, asked_at: int) -> BaseException | None:
        error = await self._start_follower(each, started, asked_at)
        self._settle(each)
        return error

    async def _start_follower(self, each: "Lifecycle", started: Life | None, asked_at: int) -> BaseException | None:
        up = not self.after_failure or await self._dependencies_are_up(each)
        undone = self._of.life is not started or self._of.is_stopping  # or its start would undo the stop (SV-5.2)
        if undone or not up or each not in self.followers:
            return self._stays_down(each)
        del self.followers[each]
        return await self._bring_up(each, asked_at, each.failures.restarts if self.after_failure else 0)

    def _stays_down(self, each: "Lifecycle") -> BaseException:
        """It was stopped, or a dependency is down, whose failure is then its own (SV-3.2, SV-4.5)."""
        if self._is_to_repair(each):
            failures = (d.failure for d in each.dependencies if not d.is_to_start_again)
            each.failure = next((failure for failure in failures if failure is not None), None)
        return ServiceStoppedError(f"{each!r} was not started again: it or a dependency was stopped")

    async def _bring_up(self, each: "Lifecycle", asked_at: int, restarts: int = 0) -> BaseException | None:
        self._has_begun = True
        error = await outcome_of(lambda: each.bring_up(asked_at, restarts=restarts))
        if error is not None and self.after_failure and not is_given_up(error):
            each.failures.report(error)  # no caller gets it
        return error

    def _end(self, task: "asyncio.Task[BaseException | None]") -> None:
        error = None if task.cancelled() else task.result()
        if error is not None and not (self._callers or self.after_failure or is_given_up(error)):
            self._of.failures.report(error)
        for each in self.settled:
            self._settle(each)
            if each.restart is self:
                each.restart = None
                each.tell_watchers()
        self._leave()
