"""Lines of waiting operations: first come, first served, across event loops and threads.

As many of the first are woken as can go, and each does its own work when it runs: a task may be cancelled after its wake-up
and before it runs, so nobody else may do the work for it. Until then it keeps its place: who finds, once awake, that it is
not the first, or that there is no room after all, sleeps again where it stands. Whoever leaves the line, having gone or not,
wakes those behind, if the next of them sleeps.

Everything here is called with the line's lock held, but for `Line._woken`, which takes it, and what finalizers call.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Any

__all__ = ["Line", "Place", "when_free"]


class Place:
    """Where one operation stands in a line, from its call until it goes or leaves.

    Attributes:
        owner: whose operation it is, if that matters.
        loop: the event loop on which it waits.
        wake_up: what it awaits.
        asleep: nobody has woken it. A wake-up from another loop may be on its way before `wake_up` is done.
    """

    __slots__ = ("asleep", "loop", "owner", "wake_up")

    def __init__(self, owner: object) -> None:
        self.owner = owner
        self.loop = asyncio.get_running_loop()
        self.asleep = True
        self.wake_up = self.loop.create_future()

    def sleep(self) -> None:
        """Get ready to wait again."""
        self.asleep = True
        self.wake_up = self.loop.create_future()


class Line(ABC):
    """Operations that wait, in the order of their calls."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._waiting: deque[Place] = deque()
        self._mixed = False  # True once operations of several event loops have met here

    @abstractmethod
    def _room(self) -> int:
        """How many of the first could go now, one after the other."""

    def _join(self, owner: object = None) -> Place:
        """Stand in line, at its end."""
        place = Place(owner)
        self._waiting.append(place)
        if self._waiting[0].loop is not place.loop and not self._mixed:
            self._mix()
        return place

    def _mix(self) -> None:
        """Wake those that have been woken once more: their loops need a witness from now on."""
        self._mixed = True
        for place in self._waiting:
            place.asleep = True
        self._wake()

    def _wake(self) -> None:
        """Wake as many as can go, each on its own loop (CH-6.2), unless the first has been woken: it wakes those behind."""
        while self._waiting and self._waiting[0].asleep and (room := self._room()):
            running = None if self._mixed else asyncio._get_running_loop()
            for place in islice(self._waiting, room):
                if place.loop is running:
                    place.asleep = False
                    if not place.wake_up.done():
                        place.wake_up.set_result(None)
                elif place.asleep and not self._wake_from_anywhere(place):
                    self._waiting.remove(place)
                    break

    def _wake_from_anywhere(self, place: Place) -> bool:
        """Wake on whichever loop; False if that is closed (CH-6.3)."""
        place.asleep = False
        loop = place.loop
        if not loop.is_closed():
            with suppress(RuntimeError):  # its own thread may close it right now
                loop.call_soon_threadsafe(_set, place.wake_up, Witness(self, place))
        return not loop.is_closed()

    def _leave(self, place: Place) -> None:
        """Leave the line, if not out of it already, and wake those behind: the wake-up that may have come is theirs."""
        waiting = self._waiting
        if waiting and waiting[0] is place:
            waiting.popleft()
        elif place in waiting:
            waiting.remove(place)
        if waiting and waiting[0].asleep:
            self._wake()

    async def _woken(self, place: Place) -> None:
        """Wait to be woken, without the lock held; who gives up while it waits, or between wake-up and resumption, leaves."""
        try:
            await place.wake_up
        except GeneratorExit:  # thrown in by a finalizer
            when_free(self._lock, self._leave, place)
            raise
        except BaseException:
            with self._lock:
                self._leave(place)
            raise


class Witness:
    """Held by a loop's queue alone, from a wake-up until the operation has run: a loop that closes before drops it.

    What was woken there will never run: it leaves, so that the next is woken in its stead (CH-6.3).
    """

    __slots__ = ("_line", "_place")

    def __init__(self, line: Line, place: Place) -> None:
        self._line = line
        self._place = place

    def __call__(self, wake_up: "asyncio.Future[None]") -> None:
        """The operation has run."""

    def __del__(self) -> None:
        if self._place.loop.is_closed():
            when_free(self._line._lock, self._line._leave, self._place)


def _set(wake_up: "asyncio.Future[None]", witness: Witness) -> None:
    wake_up.add_done_callback(witness)
    if not wake_up.done():
        wake_up.set_result(None)


def when_free(lock: threading.Lock, change: Callable[..., None], *arguments: Any) -> None:
    """Make a change from a finalizer, which the garbage collector may run in the very thread that holds the lock."""

    def make() -> None:
        with lock:
            change(*arguments)

    if lock.locked():
        threading.Thread(target=make, daemon=True).start()
    else:
        make()
