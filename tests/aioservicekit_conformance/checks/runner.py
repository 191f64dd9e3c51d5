"""Run a named check, whatever its target does."""

import threading

from ..running.watchdog import Hang, describe_error
from ..target import Target
from .check import Broken, Check, Escaped, NotTakenOn

__all__ = ["run_check"]


def run_check(check: Check, target: Target) -> Broken | None:
    """Return what a check finds, if it finds anything.

    Raises:
        NotTakenOn: the target does not claim the check's rule, or fails earlier, which other rules show.
        Escaped: the target uses something that a hand-stepped loop does not offer.
    """
    threads = threading.active_count()
    found: Broken | NotTakenOn | Escaped | None = None
    try:
        check.program(target)
    except (Broken, NotTakenOn, Escaped) as error:
        found = error
    except (KeyboardInterrupt, Hang):
        raise
    except BaseException as error:  # it may exit, cancel whoever uses it, or raise anything else
        found = NotTakenOn(f"it could not be inspected: {describe_error(error)}")
    if threading.active_count() > threads:
        raise Escaped("its own thread")
    if isinstance(found, NotTakenOn | Escaped):
        raise found
    return found
