"""Failures: who hears of an exception that a service's code raises, and what becomes of the service.

A service retries, stops, or stops and starts again, as its `on_failure` says (SV-3.2). An exit ends the application (SV-1.3).
"""

import asyncio
from typing import TYPE_CHECKING

from ._application import application
from ._log import logger
from ._outcome import exit_in, traced
from ._restart import Restart
from .events import Event
from .states import ServiceCancelledError, is_given_up

if TYPE_CHECKING:
    from ._lifecycle import Lifecycle

__all__ = ["Failures"]


class Failures:
    """The failures of a service.

    Attributes:
        policy: "retry", "stop" or "restart" after an exception from the work; None: the default policy.
        default_policy: the policy that a block of `run_services` has set, or "retry".
        max_restarts: the number of consecutive restarts that "restart" makes; None: no limit.
        restarts: the number of consecutive restarts so far. Work that ends well resets it, and so does a start on request.
    """

    def __init__(self, owner: "Lifecycle") -> None:
        self.on_error: Event[[BaseException]] = Event()
        self.policy: str | None = None
        self.default_policy: str = "retry"
        self.max_restarts: int | None = None
        self.restarts: int = 0
        self._owner = owner

    def report(self, error: BaseException) -> None:
        if self.on_error.has_listeners:
            self.on_error.notify(error)
        elif not exit_in(error):  # the process ends with an exit, and shows it
            logger.error("%r failed", self._owner, exc_info=traced(error))

    def fail(self, error: BaseException) -> None:
        """The user's code has failed while the service was already stopping."""
        self.report(error)
        self._exit_if_asked(error)

    def fail_to_start(self, error: BaseException) -> None:
        """The start hook or a dependency has failed: the callers of `start` get the exception."""
        self._owner.stop(self._failure(error, "start hook"), failed=not is_given_up(error))
        self._owner.tell_watchers()
        self._exit_if_asked(error)

    def fail_at_work(self, error: BaseException) -> bool:
        """The work has failed (SV-3.2); return whether it is called again."""
        owner = self._owner
        self.report(error)
        policy = self.policy or self.default_policy
        if policy == "retry" and not exit_in(error):
            return True
        starts_again = (
            policy == "restart" and not owner.is_stopping and not exit_in(error) and self.may_restart(self.restarts + 1)
        )
        owner.stop(self._failure(error, "work"), failed=True)
        if starts_again:
            Restart(owner, owner.all_taken_down(), after_failure=True)
        owner.tell_watchers()
        self._exit_if_asked(error)
        return False

    def may_restart(self, times: int) -> bool:
        """Whether it may be started again so many times in a row."""
        return self.max_restarts is None or times <= self.max_restarts

    def _failure(self, error: BaseException, what: str) -> BaseException:
        if not isinstance(error, asyncio.CancelledError):
            return exit_in(error) or error
        failure = ServiceCancelledError(
            f"the {what} of {self._owner!r} raised a CancelledError that nobody had requested"
        )
        failure.__cause__ = error
        return failure

    def _exit_if_asked(self, error: BaseException) -> None:
        if found := exit_in(error):
            application().exit_with(found)
