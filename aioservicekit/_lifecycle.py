"""What the library knows about a service for as long as it exists: its settings, its state and its lives.

It hides behind a single attribute of `Service`, so that subclasses may use any other name. Services need not be hashable, and
their own `repr` is never called.
"""

import asyncio
import threading
from collections.abc import Callable, Collection
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from . import shutdown
from ._application import application, was_told_in_shutdown
from ._failures import Failures
from ._futures import resolve
from ._life import Life
from ._log import logger
from ._parts import part
from ._restart import Restart
from .events import Event
from .states import ServiceState, ServiceStoppedError

if TYPE_CHECKING:
    from .services import Service

__all__ = ["Lifecycle", "in_starting_order"]


class Lifecycle:
    """A service's settings, its state, and its current life or the last one."""

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.name: str = type(service).__name__
        self.dependencies: tuple[Lifecycle, ...] = ()
        self.grace: float | None = 5.0
        self.start_timeout: float | None = None
        self.stop_timeout: float | None = None
        self.heeds_signals: bool = True
        self.state: ServiceState = ServiceState.STOPPED
        self.failure: BaseException | None = None
        self.on_state_change: Event[[ServiceState]] = Event()
        self.failures: Failures = Failures(self)
        self.life: Life | None = None
        self.dependents: dict[Lifecycle, None] = {}  # those that are not STOPPED, or that a restart is going to start
        self.restart: Restart | None = None
        self.watchers: dict[Callable[[], None], None] = {}  # called whenever it may have stopped for good
        self.blocks_that_end: dict[object, None] = {}  # nothing starts in these any more
        self._callers = 0  # that wait for a start
        self._changes: list[ServiceState] = []  # that listeners must still be told of

    def __repr__(self) -> str:
        return f"<{type(self.service).__name__} {self.name!r} {self.state.name}>"

    # Dependencies

    def needs(self, other: "Lifecycle") -> bool:
        """Whether the other service is this one, or one that it depends on, directly or not."""
        return other in in_starting_order([self])

    # Starting

    async def bring_up(self, asked_at: int, dependent: Life | None = None, *, restarts: int = 0) -> None:
        """Start.

        Args:
            asked_at: the number of shutdowns before the request.
            dependent: the dependent that requests the start.
            restarts: the number of restarts in a row, counting this start if it is one (SV-3.2).
        """
        self._refuse_in_a_shutdown(asked_at)
        given_up = False
        self._callers += 1
        try:
            try:
                life = await self._settled(asked_at, dependent, restarts)
            finally:
                self._callers -= 1
                given_up = self.give_up_if_unwanted()
        except asyncio.CancelledError:
            if given_up and not dependent and self.life:
                await asyncio.wait([self.life.stopped])
            raise
        if life and life.why is not None and not life.ran:
            raise life.why

    async def _settled(self, asked_at: int, dependent: Life | None, restarts: int) -> Life | None:
        """The life that all callers of this start share, once it is RUNNING, or STOPPED without ever running."""
        life = self._life_here()
        if self.state is ServiceState.STOPPING and life:
            with life.waited_for():
                await asyncio.wait([life.stopped])
            self._refuse_in_a_shutdown(asked_at)
        if dependent and dependent.stop_requested.done():
            return None
        if life is self.life and (life is None or life.stopped.done()):
            self._begin()
            self.failures.restarts = restarts
        life = self.life
        assert life is not None
        await asyncio.wait([life.settled])
        return life

    def _begin(self) -> None:
        self.life = life = Life(self)
        self.failure = None
        self.want_dependencies()
        life.application.lives[life] = None
        shutdown.begin(life)
        self.enter(ServiceState.STARTING)

    def _life_here(self) -> Life | None:
        """The current life, which must belong to this event loop; a life that was left behind in a closed loop is over."""
        life = self.life
        if life is None or life.stopped.done() or life.loop is asyncio.get_running_loop():
            return life
        if not life.loop.is_closed():
            raise RuntimeError(f"{self!r} was started in another event loop, and belongs to it: {life.loop!r}")
        self._bury(life)
        return None

    def _bury(self, life: Life) -> None:
        self.life = self.restart = None
        for dependency in self.dependencies:
            dependency.dependents.pop(self, None)
        shutdown.end(life)
        if not life.stop_requested.done():
            self.enter(ServiceState.STOPPING)
        self.enter(ServiceState.STOPPED)

    def _is_unwanted(self) -> bool:
        """Whether it is starting, and nobody waits for the start any more."""
        life = self.life
        wanted = self._callers or any(each.is_to_start_again or not each.is_stopping for each in self.dependents)
        return not (wanted or life is None or life.settled.done() or life.stop_requested.done())

    def give_up_if_unwanted(self) -> bool:
        """Give its start up if nobody waits for it any more (SV-2.2)."""
        unwanted = self._is_unwanted()
        if unwanted:
            self.stop(self._unwanted())
        return unwanted

    def _unwanted(self) -> ServiceStoppedError:
        return ServiceStoppedError(f"nobody waits for the start of {self!r} any more")

    def _refuse_in_a_shutdown(self, asked_at: int) -> None:
        if self.blocks_that_end:
            raise ServiceStoppedError(f"{self!r} can't start: its block of run_services is ending")
        if shutdown.refuses_starts(self.heeds_signals, asked_at):
            raise ServiceStoppedError(f"{self!r} can't start: the application is shutting down")

    # Stopping

    @property
    def is_running(self) -> bool:
        """Whether it is RUNNING, and its event loop has not been closed meanwhile."""
        return self.state is ServiceState.RUNNING and self.life is not None and not self.life.loop.is_closed()

    @property
    def is_up(self) -> bool:
        """Whether it is STARTING or RUNNING."""
        return self.state in (ServiceState.STARTING, ServiceState.RUNNING)

    @property
    def has_life(self) -> bool:
        """Whether it is not STOPPED, and its event loop has not been closed meanwhile."""
        return self.life is not None and not self.life.stopped.done() and not self.life.loop.is_closed()

    @property
    def is_stopping(self) -> bool:
        return self.life is not None and self.life.stop_requested.done()

    @property
    def is_to_start_again(self) -> bool:
        return self.restart is not None and self.restart.is_to_start(self)

    @property
    def pending(self) -> "asyncio.Future[Any] | None":
        """What must complete before the service is STOPPED for good: its life, or a restart that starts it again."""
        if self.restart:
            return self.restart.task
        return self.life.stopped if self.life and self.has_life else None

    def ask_to_stop(self) -> None:
        """Begin to stop. From another thread, the stop begins as soon as the service's loop gets to it."""
        life = self.life
        if life is None or life.loop.is_closed():
            return
        if threading.get_ident() != life.thread:
            life.stop_announced = True
            life.loop.call_soon_threadsafe(self._ask_to_stop, life)
        elif self.restart or not life.stop_requested.done():
            self._ask_to_stop(life)
            life.loop.call_soon_threadsafe(_nothing)  # a signal handler may have called: the loop must wake up

    def _ask_to_stop(self, life: Life) -> None:
        if self.life is not life:
            return  # meanwhile it has stopped and started again
        if self.restart and self.restart.after_failure:
            self.restart.leave_out(self)
        self.stop(ServiceStoppedError(f"{self!r} was stopped"))

    def stop(self, why: BaseException, *, failed: bool = False) -> None:
        """Request a stop of this service and of all dependents (SV-4.5). The first request gives the reason.

        There is no recursion: dependencies may be thousands deep.
        """
        to_ask: list[tuple[Lifecycle, BaseException, bool, set[Lifecycle]]] = [(self, why, failed, set())]
        while to_ask:
            each, why, failed, together = to_ask.pop()
            life = each.life
            if life is None or life.stop_requested.done() or life.loop.is_closed():
                continue
            life.why = why
            if failed:
                each.failure = why
            resolve(life.stop_requested)
            if life.start:
                life.start.cancel()
            each.enter(ServiceState.STOPPING)
            together.add(each)
            dependents = [d.life for d in each.dependents if d.life and d.has_life]
            life.users = dict.fromkeys(d.owner for d in dependents if d.uses_dependencies)
            # Also those that this very stop has reached by another way: the order in which it goes round does not matter.
            life.taken_down = tuple(d for d in dependents if d.owner in together or not d.stop_requested.done())
            life.left_behind = each.restart.left_behind(each) if each.restart else ()
            wanted = [dependency for d in (each, *life.left_behind) for dependency in d.dependencies]
            to_ask += [(d, d._unwanted(), False, set()) for d in wanted if d._is_unwanted()]
            to_ask += [(d.owner, *each._reason_for(d.owner), together) for d in reversed(life.taken_down)]
            each.release(None)

    def _reason_for(self, dependent: "Lifecycle") -> tuple[BaseException, bool]:
        if self.failure is not None:
            return self.failure, True
        return ServiceStoppedError(f"{dependent!r} was stopped: {self!r} has stopped"), False

    def release(self, user: "Lifecycle | None") -> None:
        """Let the work end once no dependent uses the service any more (SV-4.2)."""
        life = self.life
        if life and life.stop_requested.done():
            if user:
                life.users.pop(user, None)
            if not life.users:
                resolve(life.work_may_end)

    def want_dependencies(self) -> None:
        for dependency in self.dependencies:
            dependency.dependents[self] = None

    def want_nothing(self) -> None:
        """It stays down, so its dependencies need not start for it."""
        for dependency in self.dependencies:
            dependency.dependents.pop(self, None)
            dependency.give_up_if_unwanted()

    def has_stopped(self, life: Life) -> None:
        if not self.is_to_start_again:
            self.want_nothing()
        for dependency in self.dependencies:
            dependency.release(self)
        life.application.lives.pop(life, None)
        shutdown.end(life)
        resolve(life.stopped)
        resolve(life.settled)
        self.enter(ServiceState.STOPPED)
        life.ended.set_result(None)
        life.application.look_for_the_end()
        self.tell_watchers()

    async def wait(self) -> None:
        life = self.life
        if life is None or life.loop.is_closed():
            return
        if life.loop is not asyncio.get_running_loop():
            await asyncio.wrap_future(life.ended)
        elif not life.parts.is_in_own_hook():
            with life.waited_for():
                await asyncio.wait([life.stopped])

    async def let_the_others_exit(self) -> None:
        """In an exit, wait until nothing runs any more: an exception in the caller might end the event loop earlier."""
        running = application()
        while running.exit and running.lives and part.get() is None:  # otherwise a service waits for the caller
            await asyncio.wait([next(iter(running.lives)).end])

    # Restarting

    async def start_again(self) -> None:
        """Restart, or share the restart that is in progress, and raise its failure."""
        life = self._life_here()
        if self.state is ServiceState.RUNNING or not (self.restart and self.restart.will_start(self)):
            self._refuse_in_a_shutdown(shutdown.shutdowns())
            was_up = self.state is not ServiceState.STOPPED
            self.stop(ServiceStoppedError(f"{self!r} was stopped in order to start again"))
            Restart(self, self.all_taken_down() if was_up else [])
        assert self.restart is not None
        if not (life and life.parts.is_in_own_hook()):
            with life.waited_for() if life else nullcontext():
                await self.restart.wait()

    def all_taken_down(self) -> "list[Lifecycle]":
        """The dependents that the last stop stopped too, directly or not, or kept from following in a restart."""
        found: dict[Lifecycle, None] = {}
        to_visit = [self.life] if self.life else []
        while to_visit:
            life = to_visit.pop()
            new = [dependent for dependent in life.taken_down if dependent.owner not in found]
            found.update(dict.fromkeys((*(dependent.owner for dependent in new), *life.left_behind)))
            to_visit += new
        return list(found)

    # What others see

    def enter(self, state: ServiceState) -> None:
        self.state = state
        logger.info("%s: %s", self.name, state.name)
        self._changes.append(state)
        if len(self._changes) == 1:  # otherwise a listener caused it, and all must first hear of the earlier change
            was_in = part.set(None)  # the work may have caused the change, but listeners are no part of it
            ends = self.life is not None and self.heeds_signals and self.life.application.shuts_down
            told = was_told_in_shutdown.set(ends or was_told_in_shutdown.get())
            try:
                while self._changes:
                    try:
                        self.on_state_change.notify(self._changes[0])
                    finally:
                        del self._changes[0]
            finally:
                part.reset(was_in)
                was_told_in_shutdown.reset(told)

    def tell_watchers(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()


def in_starting_order(services: Collection[Lifecycle]) -> list[Lifecycle]:
    """These services and everything that they depend on, dependencies first. There is no recursion, as in `stop`."""
    found: dict[Lifecycle, None] = {}
    to_visit = [(service, False) for service in reversed([*services])]
    while to_visit:
        each, dependencies_are_found = to_visit.pop()
        if dependencies_are_found:
            found[each] = None
        elif each not in found:
            to_visit.append((each, True))
            to_visit.extend((dependency, False) for dependency in reversed(each.dependencies))
    return list(found)


def _nothing() -> None:
    pass
