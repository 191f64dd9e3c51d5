"""The watchdog interrupts a target that hangs, and reports the file and line.

It does nothing as long as something moves: the limit is for one step of a loop or one import, which take microseconds.
"""

import asyncio
import faulthandler
import importlib
import os
import signal
import threading
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

__all__ = ["Hang", "alive", "describe_error", "watched"]

SECONDS = 5  # between two looks
LOOKS = 3  # more looks in a row without a step are too many
IN_VAIN = 3  # a target that catches this many interruptions and goes on loses its whole process

OURS = Path(__file__).parents[1]
LIBRARY = (Path(asyncio.__file__).parent, Path(importlib.__file__).parent)
_steps = 0


class Hang(BaseException):
    """The target hangs; the text is the file and the line."""


def alive() -> None:
    """Tell the watchdog that something has moved."""
    global _steps
    _steps += 1


def where(frame: FrameType | None) -> str:
    """Where a stack of frames is in the target: the innermost line outside the suite and the standard library."""
    return _place((each.f_code.co_filename, line) for each, line in traceback.walk_stack(frame))


def describe_error(error: BaseException) -> str:
    """An error with its text, and the file and line of the target that raised it, if the target raised it."""
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    frames = [(each.f_code.co_filename, line) for each, line in traceback.walk_tb(error.__traceback__)]
    theirs = [frame for frame in frames if _is_theirs(frame[0])]
    return f"{said} ({_place(theirs[-1:])})" if theirs else said


def _place(lines: Iterable[tuple[str, int]]) -> str:
    """The first of some lines that belongs to the target."""
    known = list(lines)
    file, line = next((each for each in known if _is_theirs(each[0])), (known or [("?", 0)])[0])
    return f"{Path(file).name}, line {line}"


def _is_theirs(file: str) -> bool:
    return (
        not file.startswith("<frozen")
        and OURS not in Path(file).parents
        and not any(Path(each) in Path(file).parents for each in LIBRARY)
    )


@contextmanager
def watched() -> Iterator[None]:
    """Interrupt what hangs, and let nobody end the whole process: meanwhile, `os._exit` is `sys.exit`."""

    def leave(status: int) -> None:
        raise SystemExit(status)

    before = os._exit
    os._exit = leave  # type: ignore[assignment]
    try:
        with _watched():
            yield
    finally:
        os._exit = before


@contextmanager
def _watched() -> Iterator[None]:
    """Interrupt with `Hang` what goes on for many seconds without a step; without signals, end with a traceback."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        faulthandler.dump_traceback_later(20 * SECONDS * LOOKS, exit=True)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
        return
    seen = [_steps, 0, 0]  # steps at the last look, looks since then, interruptions

    def look(number: int, frame: FrameType | None) -> None:
        if seen[0] != _steps:
            seen[:2] = [_steps, 0]
        seen[1] += 1
        if seen[1] > LOOKS:
            seen[1] = 0
            seen[2] += 1
            if seen[2] > IN_VAIN:
                faulthandler.dump_traceback_later(0.001, exit=True)
            raise Hang(where(frame))

    before = signal.signal(signal.SIGALRM, look)
    timer = signal.setitimer(signal.ITIMER_REAL, SECONDS, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer)  # somebody else's, such as pytest-timeout's
