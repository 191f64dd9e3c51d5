"""The states of a service, and what is raised where one does not come to be RUNNING."""

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
    """A start was given up: the service or one of its dependencies was stopped, or the application shuts down."""


class ServiceCancelledError(ServiceStoppedError):
    """A service's code raised a CancelledError that nobody had asked for: a failure, with that error as its cause (SV-1.3).

    The CancelledError itself would pass for the cancellation of whoever gets it.
    """


def is_given_up(error: BaseException) -> bool:
    """Whether an exception of a start says that nothing has failed."""
    return isinstance(error, ServiceStoppedError) and not isinstance(error, ServiceCancelledError)
