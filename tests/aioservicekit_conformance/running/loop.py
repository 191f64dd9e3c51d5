"""An event loop on virtual time that runs one callback at a time, when told to.

Real `asyncio.Task`s and futures run on it. It does only what asyncio permits: callbacks run in the order in which they were
scheduled. Its driver may act between any two callbacks, as the task that has just run might have done. Nothing sleeps: if no
callback is left, time jumps to the next timer; if no timer is left either, the loop is at rest.
"""

import asyncio
import heapq
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from .watchdog import alive

__all__ = ["Quiet", "SteppedLoop"]

_T = TypeVar("_T")

if TYPE_CHECKING:  # type-checked as if it had all methods: those not defined below are added at the end of this file
    _EventLoop: Any = asyncio.AbstractEventLoop
else:
    _EventLoop = asyncio.AbstractEventLoop

Callback = tuple[asyncio.Handle, Context, Callable[..., object], tuple[Any, ...]]


class Task(asyncio.Task[_T]):
    """A task whose hash is a number, not its address, so that sets of tasks iterate in the same order in each run."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, _T], loop: "SteppedLoop", **options: Any) -> None:
        self._number = number
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._number


class Quiet:
    """Tells when a loop is at rest although callbacks or timers are left, which recur and change nothing visible.

    By then, each of them has run `times` times, and time has jumped twice so far that each timer has fired.
    """

    STALLS = 2

    def __init__(self, loop: "SteppedLoop", times: int = 20) -> None:
        self._loop = loop
        self._times = times
        self._seen: object = None
        self._callbacks = 0
        self._stalls = 0

    def over(self, seen: object) -> bool:
        """Whether the loop is at rest by now; call this before each callback.

        Args:
            seen: everything visible from outside.
        """
        if seen != self._seen:
            self._seen, self._callbacks, self._stalls = seen, 0, 0
        self._callbacks += 1
        if self._callbacks <= self._times * (1 + self._loop.recurring):
            return False
        if self._stalls < self.STALLS and self._loop.stall():
            self._stalls += 1
            self._callbacks = 0
            return False
        return True


class SteppedLoop(_EventLoop):  # type: ignore[misc]
    """A hand-stepped event loop.

    Attributes:
        escapes: what the code under test used that a hand-stepped loop can't offer: threads, sockets, subprocesses, or endless
            callbacks. Such code can't be judged.
        scheduled: called with each callback that is scheduled to run soon.
    """

    def __init__(self) -> None:
        self.escapes: list[str] = []
        self.scheduled: Callable[[object], None] = lambda callback: None
        self._ready: deque[Callback] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle, Callback]] = []
        self._timers_made = 0
        self._tasks_made = 0
        self._now = 0.0
        self._closed = False
        self._retired = False
        self._thread = threading.get_ident()

    # Driving

    def start(self, coro: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        """Make a task and run its first step now, as if the task that has just run had called it."""
        task = self.create_task(coro)
        self._run(self._ready.pop())
        return task

    def step(self) -> bool:
        """Run the oldest callback; return False if the loop is at rest."""
        while self._ready or self._advance():
            callback = self._ready.popleft()
            if not callback[0].cancelled():
                self._run(callback)
                return True
        return False

    def run_until_rest(self, seen: Callable[[], object] = lambda: None, times: int = 20, limit: int = 100_000) -> None:
        """Run callbacks until none is left, or `Quiet` says so. More than `limit` of them count as an escape.

        Args:
            seen: returns everything visible from outside.
            times: how often recurring callbacks must have run.
        """
        quiet = Quiet(self, times)
        for _ in range(limit):
            if quiet.over(seen()) or not self.step():
                return
        self.escapes.append(f"no rest after {limit} callbacks")

    @property
    def recurring(self) -> int:
        """The number of callbacks and timers."""
        return len(self._ready) + len(self._timers)

    def stall(self) -> bool:
        """Let time jump to the last of the existing timers, as if the loop had been blocked that long."""
        stalled = False
        while self._advance():
            stalled = True
        return stalled

    def _run(self, callback: Callback) -> None:
        alive()
        _, context, function, arguments = callback
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            context.run(function, *arguments)
        except SystemExit:  # in one of the target's own tasks; in an operation, it is the operation's error
            self.escapes.append("sys.exit()")
        except Exception as error:
            self.call_exception_handler({"message": f"exception in callback {function!r}", "exception": error})
        finally:
            asyncio._set_running_loop(outer)

    def _advance(self) -> bool:
        """Let time jump to the next timer."""
        if not self._timers:
            return False
        self._now, _, _, callback = heapq.heappop(self._timers)
        self._ready.append(callback)
        return True

    # What asyncio requires of an event loop

    def time(self) -> float:
        return self._now

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        self._closed = True
        self.retire()

    def retire(self) -> None:
        """Run nothing any more, and silently accept what tasks schedule when they are collected."""
        self._retired = True
        self._ready.clear()
        self._timers.clear()

    def get_debug(self) -> bool:
        return False

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, **options: Any) -> "asyncio.Task[Any]":
        self._tasks_made += 1
        return Task(self._tasks_made, coro, self, **options)

    def get_task_factory(self) -> None:
        return None

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = asyncio.Handle(callback, args, self, context)
        if self._retired:
            return handle
        self._ready.append((handle, context or copy_context(), callback, args))
        self.scheduled(callback)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        if threading.get_ident() != self._thread:
            self.escapes.append("a callback from another thread")
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers_made += 1
        timer = (max(when, self._now), self._timers_made, handle, (handle, context or copy_context(), callback, args))
        heapq.heappush(self._timers, timer)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Called by `TimerHandle.cancel()`: as in asyncio, nothing refers any more to what the timer would have called."""
        self._timers = [timer for timer in self._timers if timer[2] is not handle]
        heapq.heapify(self._timers)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep nothing of it: what is kept would count as the target's."""

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """The same."""

    async def shutdown_asyncgens(self) -> None:
        """Nothing to shut down: no hook was installed."""

    async def shutdown_default_executor(self) -> None:
        """There is no executor."""


def _escape(name: str) -> Callable[..., Any]:
    def method(self: SteppedLoop, *args: Any, **kwargs: Any) -> Any:
        self.escapes.append(f"loop.{name}()")
        raise NotImplementedError(f"the hand-stepped event loop has no {name}()")

    return method


for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(SteppedLoop):
        setattr(SteppedLoop, _name, _escape(_name))
