"""What runs on an event loop, namely services and blocks of `run_services`, and how it ends.

An application is an event loop with its services. A signal ends it (`shutdown`), or an *exit*: a SystemExit or
KeyboardInterrupt that a service's code raises. asyncio would let an exit through the loop at once, which cuts off
everything that runs. Here the exit is kept until every service has stopped gracefully, and is raised then (SV-1.3).
"""

import asyncio
from contextvars import ContextVar
from typing import Any, Protocol
from weakref import WeakKeyDictionary

__all__ = ["Application", "application", "was_told_in_shutdown"]

# Whether this context belongs to a listener that was told of a state during a shutdown: starting a service would undo
# that.
was_told_in_shutdown: ContextVar[bool] = ContextVar("was_told_in_shutdown", default=False)


class Stoppable(Protocol):
    """A service, from STARTING to STOPPED."""

    heeds_signals: bool
    end: "asyncio.Future[Any]"

    def shut_down(self) -> None:
        """Stop the service. The second call ends its grace."""


class Block(Protocol):
    """A block of `run_services`."""

    heeds_signals: bool

    def hear_of_shutdown(self) -> None: ...


class Application:
    """What runs on one event loop.

    Attributes:
        impatient: true of all applications once two signals have come. A third one, perhaps a KeyboardInterrupt, takes
            effect at once.
    """

    impatient = False

    def __init__(self) -> None:
        self.lives: dict[Stoppable, None] = {}
        self.blocks: dict[Block, None] = {}
        self.exit: BaseException | None = None
        self.shuts_down: bool = False  # from the first signal until its services have stopped and its blocks have ended

    def shut_down(self) -> None:
        """Stop all services that heed signals. The second call ends their grace."""
        self.shuts_down = True
        self._stop(
            [block for block in self.blocks if block.heeds_signals], [life for life in self.lives if life.heeds_signals]
        )
        self.look_for_the_end()

    def exit_with(self, error: BaseException) -> None:
        """Stop all services, then raise the exit. Only the first exit counts."""
        if Application.impatient:
            raise error
        if self.exit is None:
            self.exit = error
            self._stop(list(self.blocks), list(self.lives))
            self.look_for_the_end()

    def _stop(self, blocks: list[Block], lives: list[Stoppable]) -> None:
        for block in blocks:
            block.hear_of_shutdown()
        for life in lives:
            life.shut_down()

    def look_for_the_end(self) -> None:
        """End the shutdown if nothing is left; call this when a service is STOPPED or a block has ended."""
        if self.shuts_down:
            heeding = [block.heeds_signals for block in self.blocks] + [life.heeds_signals for life in self.lives]
            self.shuts_down = any(heeding)
        if self.exit and not self.lives and not self.blocks:
            asyncio.get_running_loop().call_soon(self._raise_exit)

    def _raise_exit(self) -> None:
        if not self.lives and not self.blocks and (error := self.take_exit()):
            raise error

    def take_exit(self) -> BaseException | None:
        """Hand the exit to the caller, who raises it."""
        error, self.exit = self.exit, None
        return error


_applications: "WeakKeyDictionary[asyncio.AbstractEventLoop, Application]" = WeakKeyDictionary()


def application() -> Application:
    """The application of the running event loop."""
    return _applications.setdefault(asyncio.get_running_loop(), Application())
