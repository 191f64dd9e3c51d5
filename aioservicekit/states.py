"""The states of a service, and the errors of a service that does not become RUNNING."""

from enum import IntEnum

__all__ = ["ServiceCancelledError", "ServiceState", "ServiceStoppedError", "is_given_up"]


class ServiceState(IntEnum):
    """A service's states; STOPING and STOPED are older spellings of the same members (SV-1.1)."""

    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4
    STOPING = 3
    STOPED = 4


class ServiceStoppedError(Exception):
    """A start was given up: the service or one of its dependencies was stopped, or the application is shutting down."""


class ServiceCancelledError(ServiceStoppedError):
    """A service's code raised a CancelledError that nobody had requested: a failure, with that error as its cause (SV-1.3).

    Whoever received the CancelledError itself would take it for their own cancellation.
    """


def is_given_up(error: BaseException) -> bool:
    """Whether a start raised this because it was given up, not because something failed."""
    return isinstance(error, ServiceStoppedError) and not isinstance(error, ServiceCancelledError)
