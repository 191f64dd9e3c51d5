"""An agent as something to be judged: it drives a channel in any language."""

import shlex
from types import TracebackType
from typing import Self

from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE
from aioservicekit_model.rules import RULES

from ..target import TargetError
from .case import AgentCase
from .process import AgentGone, AgentProcess
from .protocol import HELLO, MAY_DO_WITHOUT, ProtocolError, hello

__all__ = ["Agent"]

CHECKED_IN_PYTHON = "its checks are programs in Python; an agent that does without this rule says so"
IN_PYTHON_ALONE = "it is judged in Python alone: no line of an agent shows it"


class Agent:
    """An agent, started when it is entered as a context manager.

    Attributes:
        name: the command that starts it, as on the command line.
        hello: what it says of itself.
    """

    def __init__(self, command: str) -> None:
        """Start the agent, and ask what it is.

        Args:
            command: a program and its arguments, quoted as for a shell.

        Raises:
            TargetError: it can't be started, or does not answer as the protocol says; the text is one line for the user.
        """
        self.name = command
        self._process: AgentProcess | None = None
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise TargetError(f"agent {command!r}: {error}") from None
        if not self._arguments:
            raise TargetError("the command of an agent is empty")
        self.running()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.discard()

    def case(self, default_size: int) -> AgentCase:
        """A case of a new channel."""
        return AgentCase(self, default_size)

    def running(self) -> AgentProcess:
        """Its process: a new one if the last one was discarded."""
        if self._process is None:
            try:
                self._process = AgentProcess(self._arguments)
                self.hello = hello(*self._process.ask([HELLO]))
            except OSError as error:
                raise TargetError(f"agent {self.name!r} can't be started: {error.strerror or error}") from error
            except (AgentGone, ProtocolError) as error:
                self.discard()
                raise TargetError(f"agent {self.name!r} {_introduced(error)}") from error
        return self._process

    def discard(self) -> None:
        """End its process, if it has one."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    @property
    def left_out(self) -> dict[str, tuple[str, str]]:
        """The rules that can't be judged through it, each with its verdict and the reason."""
        found = {
            rule: ("untested", CHECKED_IN_PYTHON if rule in MAY_DO_WITHOUT else IN_PYTHON_ALONE)
            for rule in RULES
            if rule not in RULES_OF_THE_MACHINE
        }
        for each in sorted(self.hello.without):
            why = f"the agent ({self.hello.language}) does without " + ("it" if each in RULES else each)
            found |= dict.fromkeys(MAY_DO_WITHOUT[each], ("not applicable", why))
        return found


def _introduced(error: Exception) -> str:
    return f"uses {error}" if isinstance(error, ProtocolError) else str(error)
