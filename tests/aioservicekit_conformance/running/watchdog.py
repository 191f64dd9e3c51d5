"""The watchdog interrupts a target that hangs, and reports the file and line.

It does nothing as long as something moves: the limit is for one step of a loop or one import, which take microseconds.
"""

import ctypes
import os
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

__all__ = ["Hang", "alive", "computing", "describe_error", "watched"]

SECONDS = 4  # between two looks
LOOKS = 3  # more looks in a row without a step are too many
IN_VAIN = 1  # a target that goes on after this many interruptions loses its whole process, after about half a minute

LONGEST = 500  # characters of an error's text

OURS = Path(__file__).parents[1]
LIBRARY, INSTALLED = (
    Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib")
)  # the second may be in the first
_steps = 0
_computing = False


class Hang(BaseException):
    """The target hangs; the text is the file and the line."""


def alive() -> None:
    """Tell the watchdog that something has moved."""
    global _steps
    _steps += 1


@contextmanager
def computing() -> Iterator[None]:
    """The suite itself computes, and takes as long as it takes: meanwhile nothing counts as a hang."""
    global _computing
    _computing = True
    try:
        yield
    finally:
        _computing = False
        alive()


def where(frame: FrameType | None) -> str:
    """Where a stack of frames is in the target: the innermost line outside the suite and the standard library."""
    return _place((each.f_code.co_filename, line) for each, line in traceback.walk_stack(frame))


def describe_error(error: BaseException, name: str = "") -> str:
    """An error with its name and text, and the file and line of the target that raised it, if the target raised it."""
    text = _text(error)
    name = name or type(error).__name__
    said = f"{name}: {text}" if text else name
    frames = [(each.f_code.co_filename, line) for each, line in traceback.walk_tb(error.__traceback__)]
    theirs = next((frame for frame in reversed(frames) if _is_theirs(frame[0])), None)
    return f"{said} ({_place([theirs])})" if theirs else said


def _text(error: BaseException) -> str:
    """An error's text on one line, without what a terminal may not print or would obey."""
    try:
        text = str(error)
    except Exception:
        return "(its text raises an error)"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text[:LONGEST])


def _place(lines: Iterable[tuple[str, int]]) -> str:
    """The first of some lines that belongs to the target."""
    known = list(lines)
    file, line = next((each for each in known if _is_theirs(each[0])), (known or [("?", 0)])[0])
    return f"{Path(file).name}, line {line}"


def _is_theirs(file: str) -> bool:
    folders = Path(file).parents
    of_the_library = LIBRARY in folders and INSTALLED not in folders
    return not (file.startswith("<frozen") or OURS in folders or of_the_library)


@contextmanager
def watched() -> Iterator[None]:
    """Interrupt what hangs with `Hang`, and let nobody end this process: meanwhile, `os._exit` is `sys.exit` in it.

    What catches every interruption, or can't be interrupted, ends the process with status 1, and a line says where it hangs. A
    thread looks: no target can take that away, whatever it does with signals, timers and exceptions.
    """

    def leave(status: int) -> None:
        if os.getpid() != judging:  # a process that the target has forked
            before(status)
        raise SystemExit(status)

    def look() -> None:
        while not done.wait(SECONDS):
            frame = sys._current_frames().get(watched_thread)
            if watch.hangs(frame):
                interrupt(frame)

    judging = os.getpid()
    before, os._exit = os._exit, leave  # type: ignore[assignment]
    watch, done, watched_thread = Watch(before), threading.Event(), threading.get_ident()
    by_signal = hasattr(signal, "pthread_kill") and threading.current_thread() is threading.main_thread()
    try:
        with interruptible_by_signal(done) if by_signal else interruptible_in_python() as interrupt:
            looking = threading.Thread(target=look, name="watchdog", daemon=True)
            looking.start()
            try:
                yield
            finally:
                done.set()
                looking.join()
    finally:
        os._exit = before


class Watch:
    """What the watchdog has seen, look by look."""

    def __init__(self, end: Callable[[int], object]) -> None:
        """`end` ends the process with a status."""
        self._end = end
        self._steps = _steps
        self._looks = 0
        self._interruptions = 0

    def hangs(self, frame: FrameType | None) -> bool:
        """Look once, and say whether to interrupt. End the process if that has been in vain."""
        if _computing or self._steps != _steps:
            self._steps, self._looks = _steps, 0
        self._looks += 1
        if self._looks <= LOOKS:
            return False
        self._looks = 0
        self._interruptions += 1
        if self._interruptions > IN_VAIN:
            told = f"the target hangs, and nothing interrupts it: for seconds it ran at {where(frame)}"
            os.write(2, f"aioservicekit-conformance: {told}\n".encode())
            self._end(1)
        return True


Interrupt = Callable[[FrameType | None], object]


@contextmanager
def interruptible_by_signal(done: threading.Event) -> Iterator[Interrupt]:
    """Interrupt the main thread by a signal, which also ends calls that block, such as `time.sleep`.

    It is one that nobody else uses. An alarm could be somebody's time limit for a test.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        if not done.is_set():
            raise Hang(where(frame))

    def interrupt(frame: FrameType | None) -> None:
        signal.pthread_kill(main_thread, signal.SIGURG)

    main_thread = threading.get_ident()
    before = signal.signal(signal.SIGURG, handle)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGURG, before)


@contextmanager
def interruptible_in_python() -> Iterator[Interrupt]:
    """Interrupt this thread, where there are no signals for it. Only Python code is interrupted."""
    watched_thread = threading.get_ident()

    def interrupt(frame: FrameType | None) -> None:
        raise_in(watched_thread, hang_at(where(frame)))

    try:
        yield interrupt
    finally:
        take_back()


def hang_at(place: str) -> type[Hang]:
    """A class of `Hang` that knows its text, since only a class can be raised in another thread."""

    class HangThere(Hang):
        def __init__(self) -> None:
            super().__init__(place)

    return HangThere


def raise_in(thread: int, error: type[BaseException]) -> None:
    """Raise an error in a thread when it next runs Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(error))


def take_back() -> None:
    """Take back an error that has not been raised yet in this thread.

    Another one takes its place, and is raised here. To set none would be simpler, but leaves a flag up in CPython 3.11: whatever
    thread is traced later, as live runs do it, then spins at the first function that it enters.
    """

    class TakenBack(BaseException):
        """What is raised instead."""

    with suppress(TakenBack):
        raise_in(threading.get_ident(), TakenBack)
        while True:
            pass
