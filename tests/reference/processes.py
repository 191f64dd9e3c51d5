"""Child processes to which tests send signals: each prints a line when it is ready for one."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import aioservicekit

__all__ = ["Child"]

_LONGEST = 30.0  # seconds that a child may live


class Child:
    """A Python program in a child process, in a `with` block; it imports the `aioservicekit` of this process."""

    def __init__(self, program: str) -> None:
        environment = os.environ | {"PYTHONPATH": str(Path(aioservicekit.__file__).parents[1])}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-u", "-c", program],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,  # so that `communicate` gets everything that `readline` has left
            env=environment,
            preexec_fn=_heed_signals,
        )
        self._timer = threading.Timer(_LONGEST, self._process.kill)
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._process.kill()
        self._process.communicate()

    def read(self, text: str = "ready") -> str:
        """Wait for a line that contains `text`; return the child's output so far, without that line."""
        assert self._process.stdout
        before = ""
        while text not in (line := self._process.stdout.readline().decode()):
            before += line
            assert line, f"the process has ended, or was killed after {_LONGEST} s; it had printed:\n{before}"
        return before

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> tuple[int, list[str]]:
        """Wait for the end; return the exit status (or minus the signal that killed it) and the lines not yet read."""
        printed, _ = self._process.communicate(timeout=_LONGEST)
        return self._process.returncode, printed.decode().splitlines()


def _heed_signals() -> None:
    """In the child: restore signals that a shell or nohup had the test run ignore, since children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
