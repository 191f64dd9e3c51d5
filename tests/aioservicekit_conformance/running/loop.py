"""An event loop that runs one callback at a time, when told to, on virtual time.

Real `asyncio.Task`s and futures run on it. It does what asyncio permits and nothing else: callbacks run in the order in which
they were scheduled. Its driver may act between any two callbacks, as the task that has just run might have done. Nothing
sleeps: with no callback left, time jumps to the next timer; with no timer either, the loop is at rest.
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

if (
    TYPE_CHECKING
):  # checked as if it had all methods: those that are not defined below are added at the end of this file
    _EventLoop: Any = asyncio.AbstractEventLoop
else:
    _EventLoop = asyncio.AbstractEventLoop

Callback = tuple[asyncio.Handle, Context, Callable[..., object], tuple[Any, ...]]


class Task(asyncio.Task[_T]):
    """A task whose hash is a number of its loop's, not its address: sets of tasks are walked in the same order in each run."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, _T], loop: "SteppedLoop", **options: Any) -> None:
        self._number = number
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._number


class Quiet:
    """Tells when a loop is at rest though callbacks or timers are left: those that come again, and change nothing to be seen.

    Each of them has come `times` times then; and time has jumped far enough, twice, for each timer to have fired.
    """

    STALLS = 2

    def __init__(self, loop: "SteppedLoop", times: int = 20) -> None:
        self._loop = loop
        self._times = times
        self._seen: object = None
        self._callbacks = 0
        self._stalls = 0

    def over(self, seen: object) -> bool:
        """Whether the loop is at rest by now; asked before each callback.

        Args:
            seen: what can be seen from outside.
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
        escapes: what the code under test used that no hand-stepped loop can offer: threads, sockets, subprocesses, or no end of
            callbacks. What it does then can't be judged.
        scheduled: is given each callback that is scheduled to run soon.
        errors: contexts that were given to `call_exception_handler`.
    """

    def __init__(self) -> None:
        self.escapes: list[str] = []
        self.errors: list[dict[str, Any]] = []
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
        """Run one callback, the oldest; False if the loop is at rest."""
        while self._ready or self._advance():
            callback = self._ready.popleft()
            if not callback[0].cancelled():
                self._run(callback)
                return True
        return False

    def run_until_rest(self, seen: Callable[[], object] = lambda: None, times: int = 20, limit: int = 100_000) -> None:
        """Run callbacks until none is left, or `Quiet` says so; more than `limit` of them count as an escape.

        Args:
            seen: tells what can be seen from outside.
            times: how often what comes again must have come.
        """
        quiet = Quiet(self, times)
        for _ in range(limit):
            if quiet.over(seen()) or not self.step():
                return
        self.escapes.append(f"no rest after {limit} callbacks")

    @property
    def recurring(self) -> int:
        """How many callbacks and timers there are."""
        return len(self._ready) + len(self._timers)

    def stall(self) -> bool:
        """Let time jump to the last of the timers that there are, as if the loop had been blocked for so long."""
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
        except SystemExit:  # of a task of the target's own; what it does in an operation is the operation's error
            self.escapes.append("sys.exit()")
        except Exception as error:
            self.call_exception_handler({"message": f"exception in callback {function!r}", "exception": error})
        finally:
            asyncio._set_running_loop(outer)

    def _advance(self) -> bool:
        """Let time jump to the next timer."""
        while self._timers:
            self._now, _, handle, callback = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._ready.append(callback)
                return True
        return False

    # What asyncio asks of an event loop

    def time(self) -> float:
        return self._now

    def is_running(self) -> bool:
        return asyncio._get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self.retire()

    def retire(self) -> None:
        """Run nothing any more, and take silently what tasks give it that are garbage by now."""
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
        """Called by `TimerHandle.cancel()`; the timer is passed over when its time comes."""

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    async def shutdown_asyncgens(self) -> None:
        """There are none to shut down: no hook was installed."""

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
