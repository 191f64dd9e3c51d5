"""Chaos: a thread lets others run in the middle of the target's code, where threads seldom switch by themselves.

Two instructions of the target are microseconds apart, and threads switch every few thousand of them. With chaos, a thread pauses
before a few in a hundred. So it finds in one run what plain threads find in a hundred.
"""

import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

__all__ = ["LONG", "PAUSES", "Chaos", "switching_often"]

PAUSES = (0.0, 0.0, 0.0001, 0.0005)  # seconds: now and then, others get through a whole operation
LONG = (0.0001, 0.0005, 0.001)
SWITCH_INTERVAL = 1e-6  # seconds

CRASHES = sys.version_info[:2] == (
    3,
    12,
)  # CPython 3.12 does, where several threads trace instructions of the same code

OURS = str(Path(__file__).parents[1])
INSTALLED = sysconfig.get_path("purelib"), sysconfig.get_path("platlib")
LIBRARY = sysconfig.get_path("stdlib")


def is_the_targets(file: str) -> bool:
    """Whether a file is neither the suite's nor in the standard library."""
    return not file.startswith(("<", OURS)) and (file.startswith(INSTALLED) or not file.startswith(LIBRARY))


class Chaos:
    """Pauses of the threads of one run.

    Attributes:
        over: set it to end all threads that are still in the target's code.
    """

    def __init__(self, share: float, pauses: tuple[float, ...], seed: int) -> None:
        """`share` is how many of the target's instructions are preceded by one of these pauses, from 0 to 1."""
        self.over = False
        self._pauses = pauses
        self._share = 0.0 if CRASHES else share
        self._chance = Random(seed)
        self._theirs: dict[CodeType, bool] = {}

    @contextmanager
    def here(self) -> Iterator[None]:
        """Have chaos in this thread."""
        if not self._share:
            yield
            return
        before = sys.gettrace()
        sys._getframe().f_trace_opcodes = True  # CPython 3.12 checks this when the function is set, and not later
        sys.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(before)

    @contextmanager
    def in_new_threads(self) -> Iterator[None]:
        """Have chaos in the threads that the target starts."""
        before = threading.gettrace()
        threading.settrace(self._trace if self._share else before)
        try:
            yield
        finally:
            threading.settrace(before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        theirs = self._theirs.get(code)
        if theirs is None:
            theirs = self._theirs[code] = is_the_targets(code.co_filename)
        if not theirs:
            return None
        if event == "call":
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
        elif event == "opcode":
            if self.over:
                raise SystemExit
            if self._chance.random() < self._share:
                time.sleep(self._chance.choice(self._pauses))
        return self._trace


@contextmanager
def switching_often() -> Iterator[None]:
    """Have the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
