"""Lines of waiting operations: first come, first served, across event loops and threads.

Only the first in a line is ever woken, and it does its own work when it runs: a task may be cancelled after its wake-up and
before it runs, so nobody else may do the work for it. Until then it keeps its place. When it leaves the line, having gone or
not, the next is woken if it can go.

Everything here is called with the line's lock held, but for `Place.woken`, which takes it, and the finalizers.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Line", "Place", "when_free"]


class Line(ABC):
    """Operations that wait, in the order of their calls."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._waiting: deque[Place] = deque()
        self._mixed = False  # True once operations of several event loops have met here

    @abstractmethod
    def _may_go(self) -> bool:
        """Whether the first could go now."""

    def _join(self, place: "Place") -> None:
        self._waiting.append(place)
        first = self._waiting[0]
        if not self._mixed and first.loop is not place.loop:
            self._mixed = True
            first.asleep = True  # if it has been woken, then once more: its loop needs a witness from now on
            self._wake()

    def _wake(self) -> None:
        """Wake the first, if it may go and has not been woken; it wakes the next when it leaves."""
        while self._waiting and self._waiting[0].asleep and self._may_go():
            if not self._waiting[0].wake():
                self._waiting.popleft()


class Place:
    """Where one operation, of `owner` if that matters, stands in a line, from its call until it goes or leaves."""

    __slots__ = ("_line", "_wake_up", "asleep", "loop", "owner")

    def __init__(self, line: Line, owner: object = None) -> None:
        self._line = line
        self.owner = owner
        self.loop = asyncio.get_running_loop()
        self.asleep = True
        self._wake_up = self.loop.create_future()
        line._join(self)

    async def woken(self) -> None:
        """Wait to be woken; who gives up while it waits, or between wake-up and resumption, leaves the line."""
        try:
            await self._wake_up
        except GeneratorExit:
            self.leave_when_free()
            raise
        except BaseException:
            with self._line._lock:
                self.leave()
            raise

    def wake(self) -> bool:
        """Wake the operation on its own loop (CH-6.2); False if that loop is closed (CH-6.3)."""
        self.asleep = False
        if self.loop is asyncio._get_running_loop() and not self._line._mixed:
            self._set()
            return True
        if self.loop.is_closed():
            return False
        with suppress(RuntimeError):  # its own thread may close it right now
            self.loop.call_soon_threadsafe(self._set, Witness(self))
        return not self.loop.is_closed()

    def _set(self, witness: "Witness | None" = None) -> None:
        if witness:
            self._wake_up.add_done_callback(witness)
        if not self._wake_up.done():
            self._wake_up.set_result(None)

    def leave(self) -> None:
        """Leave the line, if not out of it already, and hand on the wake-up that may have come."""
        if self in self._line._waiting:
            self._line._waiting.remove(self)
        self._line._wake()

    def leave_when_free(self) -> None:
        """Leave from a finalizer."""
        when_free(self._line._lock, self.leave)


class Witness:
    """Held by a loop's queue alone, from a wake-up until the operation has run: a loop that closes before drops it.

    What was woken there will never run: it leaves, so that the next is woken in its stead (CH-6.3).
    """

    __slots__ = ("_place",)

    def __init__(self, place: Place) -> None:
        self._place = place

    def __call__(self, wake_up: "asyncio.Future[None]") -> None:
        """The operation has run."""

    def __del__(self) -> None:
        if self._place.loop.is_closed():
            self._place.leave_when_free()


def when_free(lock: threading.Lock, change: Callable[[], None]) -> None:
    """Make a change from a finalizer, which the garbage collector may run in the very thread that holds the lock."""

    def make() -> None:
        with lock:
            change()

    if lock.locked():
        threading.Thread(target=make, daemon=True).start()
    else:
        make()
