"""An agent's process: commands go in and answers come out, one line each, and no wait is without a limit."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Sequence

from ..running.watchdog import alive
from .protocol import Command, ProtocolError, as_line

__all__ = ["AgentGone", "AgentProcess"]

SECONDS = 10  # for one answer; shorter than the watchdog's limit
LONGEST = 1_000_000  # bytes of an answer
LEAVING = 1  # seconds for an agent to end after its standard input has


class AgentGone(Exception):
    """The agent answers no more; the text goes on from "the agent", as in "ended with exit status 1"."""


class AgentProcess:
    """A running agent.

    Attributes:
        seconds: how long to wait for an answer.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start it in the current directory.

        Raises:
            OSError: there is no such program.
        """
        self.seconds: float = SECONDS
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the process
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        pipe = asyncio.subprocess.PIPE
        starting = asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=self._stderr,
            limit=LONGEST,
            start_new_session=True,  # Ctrl+C is ours: the agent ends with its standard input
        )
        try:
            self._process = self._runner.run(starting)
        except BaseException:
            self._stderr.close()
            self._runner.close()
            raise

    def ask(self, commands: Sequence[Command]) -> list[str]:
        """Write commands, and return the lines that answer them.

        Raises:
            AgentGone: it ends, or does not answer in time.
            ProtocolError: a line is too long, or no text.
        """
        return self._runner.run(self._ask(commands))

    async def _ask(self, commands: Sequence[Command]) -> list[str]:
        into, out = self._process.stdin, self._process.stdout
        assert into is not None
        assert out is not None
        into.writelines(f"{as_line(command)}\n".encode() for command in commands)
        answers = []
        for command in commands:
            try:
                async with asyncio.timeout(self.seconds):
                    line = await out.readline()
            except TimeoutError:
                raise AgentGone(f"does not answer {as_line(command)}: it had {self.seconds} seconds") from None
            except ValueError:
                raise ProtocolError(f"a line of more than {LONGEST} bytes") from None
            if not line:
                raise AgentGone(f"{await self._how()} and did not answer {as_line(command)}{self._last_words()}")
            answers.append(_text(line))
            alive()
        return answers

    async def _how(self) -> str:
        try:
            async with asyncio.timeout(LEAVING):
                status = await self._process.wait()
        except TimeoutError:
            return "closed its standard output"
        return f"ended with exit status {status}" if status >= 0 else f"was ended by signal {-status}"

    def _last_words(self) -> str:
        """The last line of what it has written to its standard error that says something."""
        self._stderr.seek(0)
        lines = [line.strip() for line in self._stderr.read().decode(errors="replace").splitlines()]
        said = [line for line in lines if line]
        errors = [line for line in said if "Error" in line]  # a runtime may end with its version
        return f": {(errors or said)[-1]}" if said else ""

    def close(self) -> None:
        """End its standard input, and with it the agent; one that goes on is killed."""
        try:
            self._runner.run(self._close())
        finally:
            self._stderr.close()
            self._runner.close()

    async def _close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING):
                await self._process.wait()
        self._kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVING):
                await self._process.communicate()

    def _kill(self) -> None:
        """End it, and what it has started: it may be a shell, or another program that starts the agent."""
        with contextlib.suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()


def _text(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ProtocolError("a line that is not UTF-8") from None
