"""Chaos: a thread lets others run in the middle of the target's code, where threads seldom switch by themselves.

Two instructions of the target are microseconds apart, and threads switch every few thousand of them. With chaos, a thread pauses
before a few in a hundred. So it finds in one run what plain threads find in a hundred.
"""

import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import CodeType, FrameType
from typing import Any

__all__ = ["LONG", "PAUSES", "Chaos", "switching_often"]

PAUSES = (0.0, 0.0, 0.0001, 0.0005)  # seconds: now and then, others get through a whole operation
LONG = (0.0005, 0.001, 0.003)
OFTEN = 20  # an instruction that has run more often than this is preceded by ever fewer pauses: so what polls has not nearly all
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
        pausing: set while a thread pauses.
    """

    def __init__(self, share: float, pauses: tuple[float, ...], seed: int) -> None:
        """`share` is how many of the target's instructions are preceded by one of these pauses, from 0 to 1."""
        self.over = False
        self.pausing = threading.Event()
        self._pauses = pauses
        self._share = 0.0 if CRASHES else share
        self._chance = Random(seed)
        self._passed: dict[
            CodeType, Counter[int] | None
        ] = {}  # how often each instruction has run; None: it is not the target's

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
        """Trace each instruction of the functions that are the target's."""
        code = frame.f_code
        if code not in self._passed:
            self._passed[code] = Counter() if is_the_targets(code.co_filename) else None
        passed = self._passed[code]
        if passed is None:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False

        def before_instruction(frame: FrameType, event: str, _: object) -> Any:
            if event == "opcode":
                self._maybe_pause(passed, frame.f_lasti)
            return before_instruction

        return before_instruction

    def _maybe_pause(self, passed: Counter[int], instruction: int) -> None:
        if self.over:
            raise SystemExit
        passed[instruction] += 1
        if self._chance.random() * max(1, passed[instruction] / OFTEN) < self._share:
            self.pausing.set()
            time.sleep(self._chance.choice(self._pauses))
            self.pausing.clear()


@contextmanager
def switching_often() -> Iterator[None]:
    """Have the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
