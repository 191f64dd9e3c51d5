"""A block of `run_services`: it starts services, hears that they stop or fail, and stops those that it has started.

`Block` is what `async with` enters and leaves. Its shutdown begins with a signal, with a failure if it fails fast, or with the end
of the block, and may have a limit in seconds.
"""

import asyncio
from collections.abc import Collection, Iterable
from types import TracebackType
from typing import Any

from . import _systemd, shutdown
from ._all_stopped import AllStopped
from ._application import application
from ._lifecycle import Lifecycle, in_starting_order
from ._log import logger
from ._outcome import exit_in, outcome_of
from .services import Service, lifecycle_of
from .states import is_given_up

__all__ = ["Block"]

_TIME_TO_END = 1.0  # seconds that a block has to end after a signal has stopped its services


class Block:
    """A block of `run_services`."""

    def __init__(self, services: Collection[Service], signals: bool, fails_fast: bool, timeout: float | None) -> None:
        self._services = services
        self._listed = [lifecycle_of(service) for service in services]
        self._needed = in_starting_order(self._listed)
        self.heeds_signals = signals
        self._fails_fast = fails_fast
        self._timeout = timeout
        self._timer: asyncio.TimerHandle | None = None
        self._block_timer: asyncio.TimerHandle | None = None
        self._stops: dict[Lifecycle, asyncio.Task[None]] = {}
        self._shuts_down = False  # it has begun
        self._is_entered = self._has_started = self._ends = False
        self._was_cancelled = False

    async def __aenter__(self) -> "asyncio.Future[None]":
        if self._is_entered:
            raise RuntimeError("this block of run_services has been entered before: make another one")
        self._is_entered = True
        self._loop = asyncio.get_running_loop()
        self._application = application()
        self._tells_supervisor = not self._application.blocks  # a nested block does not concern the supervisor
        self._task = asyncio.current_task()
        self._started = [each for each in self._needed if not each.is_running]
        self._future = AllStopped(self._loop)
        self._application.blocks[self] = None
        for each in self._started:
            each.failure = None  # of an earlier run
            each.heeds_signals = self.heeds_signals
            each.failures.default_policy = "stop" if self._fails_fast else "retry"
        for each in self._needed:
            each.watchers[self._look] = None
        try:
            if (failure := _combined(await self._start())) is not None:
                raise failure
        except BaseException:
            await self._leave()
            self._application.take_exit()
            raise
        self._has_started = True
        self._look()
        if self._tells_supervisor and not self._shuts_down:
            _systemd.notify("READY=1")
        return self._future

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._leave()
        raised = self._raises()
        self._application.take_exit()
        was_told = self._was_cancelled and isinstance(error, asyncio.CancelledError)
        if raised is not None and (error is None or was_told or exit_in(raised)) and error is not raised:
            if was_told and self._task:
                self._task.uncancel()
            raise raised from None

    async def _start(self) -> list[BaseException]:
        """Start all services, and give up the other starts when one fails."""
        starts = {asyncio.create_task(_start(service)) for service in self._services}
        failures: list[BaseException] = []
        cancelled: asyncio.CancelledError | None = None
        while starts:
            try:
                done, starts = await asyncio.wait(starts, return_when=asyncio.FIRST_EXCEPTION)
            except asyncio.CancelledError as error:
                cancelled, done = error, set()
            errors = [start.exception() for start in done if not start.cancelled()]
            failures += [error.failure for error in errors if isinstance(error, _StartError)]
            if failures or cancelled:
                for start in starts:
                    if not start.cancelling():
                        start.cancel()
        if cancelled:
            raise cancelled
        return failures

    async def _leave(self) -> None:
        """Stop everything that entering has started, and wait until it is STOPPED, even if cancelled meanwhile."""
        self._ends = True
        self._end_all_starts()
        self.hear_of_shutdown()
        self._stops = {
            each: asyncio.create_task(_stop(each))
            for each in reversed(self._started)
            if each.pending and type(each.service).stop is not Service.stop
        }
        cancelled: asyncio.CancelledError | None = None
        while pending := self._ask_to_stop():
            try:
                held_back = any(not stop.done() for stop in self._stops.values())
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED if held_back else asyncio.ALL_COMPLETED)
            except asyncio.CancelledError as error:
                cancelled = error
        self._look()
        self._forget()
        if cancelled:
            raise cancelled

    def _ask_to_stop(self) -> list["asyncio.Future[Any]"]:
        """Ask services to stop, except those that another service's own `stop` still needs; return what to wait for."""
        stopping = [each for each, stop in self._stops.items() if not stop.done()]
        for each in self._started:
            if each.pending and not any(other.needs(each) for other in stopping):
                each.ask_to_stop()
        return [stop for stop in self._stops.values() if not stop.done()] + [
            pending for each in self._started if (pending := each.pending)
        ]

    # The shutdown

    def _end_all_starts(self) -> None:
        """Nothing starts any more in this block, whoever asks (SV-6.2, SV-6.6)."""
        for each in self._started:
            each.blocks_that_end[self] = None

    def hear_of_shutdown(self) -> None:
        """The shutdown begins: a signal, an exit, a failure or the end of the block has caused it."""
        if self._shuts_down:
            return
        self._shuts_down = True
        if self._tells_supervisor:
            _systemd.notify("STOPPING=1")
        if self._timeout is not None:
            self._timer = self._loop.call_later(self._timeout, self._run_out_of_time, self._timeout)

    def _run_out_of_time(self, seconds: float) -> None:
        for each in self._started:
            if each.life:
                each.life.run_out_of_time(seconds)
        for stop in self._stops.values():
            stop.cancel()

    def _look(self) -> None:
        """Check whether all have stopped for good, or one has failed; called whenever this may be the case."""
        if self._fails_fast and self._failures():
            self._end_all_starts()
            self.hear_of_shutdown()
            for each in self._started:
                each.ask_to_stop()
        if not self._has_started or self._future.has_ended:
            return
        if not any(each.pending for each in self._listed):
            self._future.end(_combined(self._failures()))
            if not self._ends:
                self._block_timer = self._loop.call_later(_TIME_TO_END, self._tell)

    def _failures(self) -> list[BaseException]:
        return [each.failure for each in self._listed if each.failure is not None and not each.is_to_start_again]

    def _tell(self) -> None:
        """Cancel the block if it waits for something other than its services, and nothing else tells it what has stopped them."""
        number = shutdown.untold() if self._application.shuts_down and self.heeds_signals else None
        told = self._future.is_awaited or (self._raises() is None and number is None)
        if told or self._ends or self._task is None:
            return
        logger.warning("the services have stopped, but their block waits for something else: it is cancelled")
        self._was_cancelled = self._task.cancel()
        if number:
            self._task.add_done_callback(lambda task: shutdown.tell(number))

    def _raises(self) -> BaseException | None:
        """What leaving the block raises."""
        return self._application.exit or (_combined(self._failures()) if self._fails_fast else None)

    def _forget(self) -> None:
        for timer in (self._timer, self._block_timer):
            if timer:
                timer.cancel()
        for each in self._started:
            each.blocks_that_end.pop(self, None)
            each.heeds_signals, each.failures.default_policy = True, "retry"
        for each in self._needed:
            each.watchers.pop(self._look, None)
        del self._application.blocks[self]
        self._application.look_for_the_end()


class _StartError(Exception):
    """A service does not start. asyncio would let the failure itself escape if it is an exit."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure


async def _start(service: Service) -> None:
    """Start a service. If a dependency fails meanwhile, the start goes on with the restart that follows (SV-6.2)."""
    error, lifecycle = await outcome_of(service.start), lifecycle_of(service)
    while error is not None and (restart := lifecycle.restart) and restart.is_to_start(lifecycle):
        await asyncio.wait([restart.settled[lifecycle]])
        error = lifecycle.failure
    if error is not None and not is_given_up(error):
        raise _StartError(error)


async def _stop(lifecycle: Lifecycle) -> None:
    if (error := await outcome_of(lifecycle.service.stop)) is not None:
        lifecycle.failures.fail(error)


def _combined(failures: Iterable[BaseException]) -> BaseException | None:
    """The exception to raise. A dependent fails with the same exception as its dependency, which counts once."""
    different = list({id(failure): failure for failure in failures}.values())
    if found := next((found for failure in different if (found := exit_in(failure))), None):
        return found
    return (
        BaseExceptionGroup("several services failed", different) if len(different) > 1 else next(iter(different), None)
    )
