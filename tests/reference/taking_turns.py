"""Threads of which exactly one runs at a time, until it ends, waits for a lock, or comes to an instruction where it is stopped.

So each interleaving can be chosen, and recurs. `Turns` stands in for the module `threading` within the library: the locks and the
threads that the library makes take turns too.
"""

import dis
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor
from types import CodeType, FrameType, TracebackType
from typing import Any, Self

__all__ = ["EVERY", "SHARED", "Stop", "Turns"]

PATIENCE = 30.0  # seconds until a thread that ought to run is given up

LIBRARY = ("aioservicekit/channels.py", "aioservicekit/_core.py", "aioservicekit/_runtime.py")


class Lane:
    """A thread that runs when it is its turn."""

    def __init__(self, begin: Callable[[], object] | None = None) -> None:
        self._begin = begin
        self._turn = threading.Lock()
        self._turn.acquire()
        self.ended = False

    def go(self) -> None:
        if self._begin:
            begin, self._begin = self._begin, None
            begin()
        else:
            self._turn.release()

    def wait(self) -> None:
        assert self._turn.acquire(timeout=PATIENCE), "a thread hangs"


class Turns:
    """Threads that take turns, beginning with the one that makes this.

    Args:
        threads: where the others run.

    Attributes:
        running: whose turn it is.
        errors: what was raised in threads.
    """

    def __init__(self, threads: Executor) -> None:
        self._threads = threads
        self._lanes = [Lane()]
        self.running = self._lanes[0]
        self.errors: list[BaseException] = []

    def start(self, job: Callable[[], object]) -> Lane:
        """A thread, which waits for its first turn."""

        def run() -> None:
            try:
                job()
            except BaseException as error:
                self.errors.append(error)
            lane.ended = True
            self.running = next(lane for lane in reversed(self._lanes) if not lane.ended)  # the youngest
            self.running.go()

        lane = Lane(lambda: self._threads.submit(run))
        self._lanes.append(lane)
        return lane

    def let(self, lane: Lane) -> None:
        """Let another thread run, if it has not ended, until this one has its next turn."""
        if not lane.ended:
            this, self.running = self.running, lane
            lane.go()
            this.wait()

    def finish(self) -> None:
        """Let all others run until they end."""
        while others := [lane for lane in self._lanes[1:] if not lane.ended]:
            self.let(others[0])
        for error in self.errors:
            raise error

    # In place of `threading`

    def RLock(self) -> "Lock":
        return Lock(self)

    def Thread(self, *, target: Callable[[], object], daemon: bool) -> "NewThread":
        assert daemon, "it would keep a program from ending"
        return NewThread(self, target)


class NewThread:
    def __init__(self, turns: Turns, target: Callable[[], object]) -> None:
        self._turns = turns
        self._target = target

    def start(self) -> None:
        self._turns.start(self._target)


class Lock:
    """Whoever finds it held lets the holder run."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._holder: Lane | None = None
        self._times = 0

    def acquire(self, blocking: bool = True) -> bool:
        this = self._turns.running
        while self._holder not in (None, this):
            if not blocking:
                return False
            assert not self._holder.ended, "a thread has ended with the lock held"
            self._turns.let(self._holder)
        self._holder = this
        self._times += 1
        return True

    def release(self) -> None:
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        self._times -= 1
        if not self._times:
            self._holder = None

    def _is_owned(self) -> bool:
        return self._holder is self._turns.running

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


EVERY: tuple[str, ...] = ()  # instructions that no other thread can notice: none is left out
SHARED = (  # and here those that touch nothing but the frame's own variables and stack, and names that never change
    "CACHE",
    "COPY",
    "EXTENDED_ARG",
    "JUMP_",
    "KW_NAMES",
    "LOAD_CONST",
    "LOAD_FAST",
    "LOAD_GLOBAL",
    "NOP",
    "POP_EXCEPT",
    "PRECALL",
    "PUSH_EXC_INFO",
    "PUSH_NULL",
    "RESUME",
    "STORE_FAST",
    "SWAP",
)


class Stop:
    """Within this block, the thread does something else before its n-th instruction in the library.

    Args:
        number: counts from 1; with 0 it is never stopped.
        meanwhile: what to do there.
        unnoticed: beginnings of the names of instructions that don't count. Stopping after one of them is the same as before it.

    Attributes:
        counted: how many instructions there have been up to the stop.
        place: where the thread was stopped.
    """

    def __init__(self, number: int, meanwhile: Callable[[], object], unnoticed: tuple[str, ...] = EVERY) -> None:
        self._number = number
        self._meanwhile = meanwhile
        self._unnoticed = unnoticed
        self.counted = 0
        self.place = ""
        self.lines: set[tuple[str, int]] = set()

    @property
    def happened(self) -> bool:
        return bool(self.place)

    def __enter__(self) -> Self:
        self._before = sys.gettrace()
        if self._number:
            sys._getframe(1).f_trace_opcodes = True  # CPython 3.12 checks this when the function is set, and not later
            sys.settrace(self._trace)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._number:
            sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        instructions = instructions_of(frame.f_code, self._unnoticed)
        if not instructions:
            return None
        if event == "opcode":
            name = instructions.get(frame.f_lasti)
            if name:
                self.counted += 1
                self.lines.add((frame.f_code.co_qualname, frame.f_lineno))
                if self.counted == self._number:
                    self.place = f"{frame.f_code.co_qualname}, line {frame.f_lineno}, {name}"
                    sys.settrace(self._before)
                    self._meanwhile()
                    return None
        else:
            frame.f_trace_opcodes = True
        return self._trace


_instructions: dict[tuple[int, tuple[str, ...]], tuple[CodeType, dict[int, str]]] = {}


def instructions_of(code: CodeType, unnoticed: tuple[str, ...]) -> dict[int, str]:
    """By offset, the names of the instructions that count; none outside of the library."""
    key = id(code), unnoticed  # to hash a code object takes long
    if key not in _instructions:
        found = {}
        if code.co_filename.endswith(LIBRARY):
            for each in dis.get_instructions(code):
                if not (unnoticed and each.opname.startswith(unnoticed)):
                    found[each.offset] = each.opname
        _instructions[key] = code, found  # which keeps the code, and so its id
    return _instructions[key][1]
