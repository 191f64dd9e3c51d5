"""Real event loops that tell what is left to run on them: asyncio's own, and uvloop's where it is installed.

From outside nobody can tell whether a loop sleeps. So each callback of each loop is in one set from when it is scheduled until it
has run. When that set is empty, nothing is left to run. The set is read at one instant, so no callback is missed on its way from
one loop to another.

A callback that another thread schedules without waking the loop is a *stray*: the loop may sleep beside it for ever (CH-6.2).

Time is virtual. It stands still until everything else has run, so no verdict depends on the speed of a machine.
"""

import asyncio
import sys
import threading
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

__all__ = ["LOOPS", "Due", "LiveLoop", "Work"]

if TYPE_CHECKING:  # a mixin: the loop that it is mixed into has the methods
    _Mixin: Any = asyncio.SelectorEventLoop
else:
    _Mixin = object


class Work:
    """What is left to run on all loops of one run.

    Attributes:
        due: the callbacks that run without anything else having to happen, and whatever else has to end before all is at rest.
        strays: the callbacks beside which their loop may sleep.
        reaches_out: the target uses something that wakes loops unseen: sockets, executors.
        now: the time on all loops, in seconds.
    """

    def __init__(self) -> None:
        self.due: set[object] = set()
        self.strays: set[Due] = set()
        self.reaches_out = False
        self.now = 0.0


class Due:
    """Stands for one scheduled callback."""

    __slots__ = ("loop",)

    def __init__(self, loop: "LiveLoop") -> None:
        self.loop = loop


class Callback:
    """A callback that is due until it has run, or will never run: it was cancelled, or its loop has closed.

    Only its loop refers to it, so what it refers to is freed with the loop's queue: a target may rely on that.
    """

    __slots__ = ("_arguments", "_due", "_function", "_where")

    def __init__(
        self, where: set[Any], loop: "LiveLoop", function: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        self._where = where
        self._due = Due(loop)
        self._function = function
        self._arguments = arguments
        where.add(self._due)

    def __call__(self) -> None:
        loop = self._due.loop
        if loop.gone:
            loop.left.append(self)
            return
        try:
            self._function(*self._arguments)
        finally:
            loop.ran += 1
            self.forget()

    def forget(self) -> None:
        """It is no longer due."""
        self._where.discard(self._due)

    __del__ = forget


class LiveLoop(_Mixin):  # type: ignore[misc]
    """Mixed into an event loop class. Make it in the thread in which it runs.

    Attributes:
        ran: the number of callbacks that have run.
        gone: no callback runs any more; the loop is about to close.
        left: callbacks that came too late for that. They count as in the loop's queue until it has closed.
        timers: the pending timers.
    """

    def __init__(self, work: Work) -> None:
        self.work = work
        self.ran = 0
        self.gone = False
        self.left: list[Callback] = []
        self.timers: list[asyncio.TimerHandle] = []
        self._in = threading.get_ident()
        super().__init__()

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        where = self.work.due if threading.get_ident() == self._in else self.work.strays
        return self._noted(where, super().call_soon, callback, args, context)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        return self._noted(self.work.due, super().call_soon_threadsafe, callback, args, context)

    def _noted(
        self,
        where: set[Any],
        schedule: Callable[..., asyncio.Handle],
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
        context: Context | None,
    ) -> asyncio.Handle:
        noted = Callback(where, self, callback, arguments)
        handle = schedule(noted, context=context)
        if self.is_closed():  # another thread has closed it meanwhile: its queue may be cleared already
            noted.forget()
        return handle

    def close(self) -> None:
        super().close()
        self.left.clear()

    def time(self) -> float:
        return self.work.now

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.work.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self.timers.append(timer)
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer does nothing when its time comes."""

    def fire(self) -> None:
        """Run the timers whose time has come."""
        fired = sorted(timer for timer in self.timers if timer.when() <= self.work.now)
        for timer in fired:
            self.timers.remove(timer)
            if not timer.cancelled():
                timer._run()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tasks that a loop leaves behind are no news."""


BASIC = {
    *("call_soon", "call_soon_threadsafe", "call_later", "call_at", "time", "create_future", "create_task", "stop"),
    *("get_task_factory", "set_task_factory", "get_debug", "set_debug", "is_running", "is_closed", "close"),
    *("run_forever", "run_until_complete", "call_exception_handler", "default_exception_handler"),
    *("get_exception_handler", "set_exception_handler", "shutdown_asyncgens", "shutdown_default_executor"),
}


def _reaching_out(name: str, base: type) -> Callable[..., Any]:
    method = getattr(base, name)

    def reach_out(self: LiveLoop, *args: Any, **kwargs: Any) -> Any:
        self.work.reaches_out = True
        return method(self, *args, **kwargs)

    return reach_out


def _live(base: type[asyncio.AbstractEventLoop]) -> type[LiveLoop]:
    outside = {name for name in dir(asyncio.AbstractEventLoop) if not name.startswith("_")} - BASIC
    return type(f"Live{base.__name__}", (LiveLoop, base), {name: _reaching_out(name, base) for name in outside})


LOOPS: dict[str, type[LiveLoop]] = {"asyncio": _live(asyncio.SelectorEventLoop)}
if sys.platform != "win32":
    try:
        from uvloop import Loop
    except ImportError:
        pass
    else:
        LOOPS["uvloop"] = _live(Loop)
