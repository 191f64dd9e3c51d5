"""When all is at rest: nothing is left to run on any loop but what recurs and changes nothing.

A rest that is none would accuse a sound target, and one that is never seen would let a lost wake-up pass. So the loops themselves
tell what is left to run (`loops`), and a loop that sleeps beside a ready callback is at rest. Of what wakes loops unseen, such as
threads of the target's own, only silence can tell.
"""

import platform
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from ..running.watchdog import alive
from .chaos import is_the_targets
from .lane import Lane, Shared
from .loops import Due, LiveLoop

__all__ = ["Hang", "Rest"]

ROUNDS = 20  # a callback or a timer that recurs this often and changes nothing that can be seen does not prevent a rest
CHAIN = 50  # callbacks, each of which may call the next one, with nothing to be seen: tasks that pass on a lock, for instance
LOOK = 0.0002  # seconds between two looks at what is left to run
GRACE = 0.1  # seconds of silence: for what wakes unseen, such as a thread of the target's own
BLOCKED = 0.02  # seconds of silence, if each of these threads waits until another one wakes it
SAMPLE = 0.005  # seconds between two looks at them: so one that polls now and then is seldom seen to run
BUSY = 1.0  # seconds of silence that count even if such a thread is seen to run: it polls all the time
NO_REST = 60.0  # seconds in which nothing that can be seen changes, and yet there is no rest
FUTEX = {"x86_64": "202", "aarch64": "98"}  # the number of the system call in which a thread waits for a lock
PATIENCE = 15.0  # seconds without any callback's end or any event, after which the target hangs


class Hang(Exception):
    """The target hangs; the text says where."""


class Rest:
    """Waits until the lanes of a run are at rest."""

    def __init__(self, shared: Shared, lanes: list[Lane], bystanders: Iterable[threading.Thread]) -> None:
        self.work = shared.work
        self.recording = shared.recording
        self._lanes = lanes
        self._bystanders = set(bystanders)

    def wait(self) -> None:
        """Wait until all is at rest.

        Raises:
            Hang: it never is.
        """
        seen, passed = -1, 0
        while True:
            self._wait_until_settled()
            if seen != len(self.recording.events):
                seen, passed = len(self.recording.events), 0
            if passed == ROUNDS or not self.let_time_pass():
                break
            passed += 1

    def let_time_pass(self) -> bool:
        """Let time jump to the last of the timers; False if there are none."""
        timers = [timer for lane in self._lanes for timer in lane.loop.timers if not timer.cancelled()]
        if not timers:
            return False
        self.work.now = max(self.work.now, *(timer.when() for timer in timers))
        for lane in self._lanes:
            with suppress(RuntimeError):  # its loop has just closed, with its timers
                lane.call(lane.fire)
        return True

    def _wait_until_settled(self) -> None:
        """Wait until no callback is left but those that recur and change nothing."""
        silence = _Silence(self)
        while not silence.over():
            time.sleep(LOOK)
            alive()  # it has its own patience
            if (silence.lasts(PATIENCE) and not silence.moves()) or silence.lasts(NO_REST):
                raise Hang(self.where())

    @property
    def loops(self) -> list[LiveLoop]:
        return [lane.loop for lane in self._lanes]

    def outside(self) -> bool:
        """Whether something may wake a loop unseen."""
        return self.work.reaches_out or bool(self.strangers())

    def strangers(self) -> list[threading.Thread]:
        """The threads that the target has started."""
        ours = {lane.thread for lane in self._lanes} | self._bystanders
        return [thread for thread in threading.enumerate() if thread not in ours]

    def where(self) -> str:
        frames = sys._current_frames()
        busy = [lane for lane in self._lanes if self._is_busy(lane)] or self._lanes
        return "; ".join(f"{_place(frames.get(lane.thread.ident or 0))} (thread {lane.number})" for lane in busy)

    def _is_busy(self, lane: Lane) -> bool:
        if lane.over:
            return lane.thread.is_alive()
        return any(getattr(each, "loop", None) is lane.loop for each in self.work.due)


class _Silence:
    """How long nothing that can be seen has changed."""

    def __init__(self, rest: "Rest") -> None:
        self._rest = rest
        self._begin()

    def _begin(self) -> None:
        self._events = len(self._rest.recording.events)
        self._ran = {loop: loop.ran for loop in self._rest.loops}
        self._since = self._moved = self._busy = self._awake = self._sampled = time.monotonic()
        self._callbacks = -1

    def lasts(self, seconds: float) -> bool:
        return time.monotonic() - self._since >= seconds

    def moves(self) -> bool:
        """Whether a callback has ended within the time after which a target hangs."""
        callbacks = sum(loop.ran for loop in self._rest.loops)
        if callbacks != self._callbacks:
            self._callbacks, self._moved = callbacks, time.monotonic()
        return time.monotonic() - self._moved < PATIENCE

    def over(self) -> bool:
        """Whether all is at rest, but for what recurs and changes nothing."""
        if len(self._rest.recording.events) != self._events or {*self._ran} != {*self._rest.loops}:
            self._begin()
            return False
        due = self._rest.work.due.copy()
        if not all(self._recurs(each, len(due)) for each in due):
            return False
        if (self._rest.outside() or self._rest.work.strays) and not self._is_silent():
            return False
        return len(self._rest.recording.events) == self._events

    def _is_silent(self) -> bool:
        """Whether what wakes unseen has been quiet for long enough."""
        now = time.monotonic()
        if now - self._sampled >= SAMPLE:
            self._sampled = now
            strangers = self._rest.strangers()
            if any(map(_is_running, strangers)):
                self._busy = now
            if self._rest.work.reaches_out or self._rest.work.strays or not all(map(_waits_for_others, strangers)):
                self._awake = now
        return now - self._busy >= GRACE or now - self._awake >= BLOCKED or self.lasts(BUSY)

    def _recurs(self, each: object, due: int) -> bool:
        """Whether a callback's loop has run so many that each that is due has come again and again."""
        if not isinstance(each, Due) or each.loop not in self._ran:  # its loop may have died meanwhile
            return False
        return each.loop.ran - self._ran[each.loop] > ROUNDS * (CHAIN + due)


def _place(frame: FrameType | None) -> str:
    """The innermost line of the target on a thread's stack."""
    lines = ((each.f_code.co_filename, line) for each, line in traceback.walk_stack(frame))
    file, line = next((each for each in lines if is_the_targets(each[0])), ("?", 0))
    return f"{Path(file).name}, line {line}"


def _is_running(thread: threading.Thread) -> bool:
    """Whether the system says that a thread is about to do something; only Linux does."""
    return _told(thread, "stat").rpartition(")")[2].split()[:1] == ["R"]


def _waits_for_others(thread: threading.Thread) -> bool:
    """Whether the system says that a thread waits for a lock, with no timeout; only Linux does."""
    call, *arguments = _told(thread, "syscall").split() or [""]
    return call == FUTEX.get(platform.machine()) and int(arguments[3], 16) == 0


def _told(thread: threading.Thread, what: str) -> str:
    """What the system tells of a thread; "" where it tells nothing."""
    try:
        return Path(f"/proc/self/task/{thread.native_id}/{what}").read_text()
    except OSError:
        return ""
