"""Runs a named check, whatever its target does."""

import threading

from ..running.watchdog import describe_error
from ..target import Target
from .check import Broken, Check, Escaped, NotTakenOn

__all__ = ["run_check"]


def run_check(check: Check, target: Target) -> Broken | None:
    """What a check finds, if it finds something.

    Raises:
        NotTakenOn: the target does nothing about the check's rule, or fails before that comes into play: other rules tell.
        Escaped: the target uses what no hand-stepped loop offers.
    """
    threads = threading.active_count()
    found: Broken | NotTakenOn | Escaped | None = None
    try:
        check.program(target)
    except (Broken, NotTakenOn, Escaped) as error:
        found = error
    except (Exception, SystemExit) as error:
        found = NotTakenOn(f"it could not be looked at: {describe_error(error)}")
    if threading.active_count() > threads:
        raise Escaped("a thread of its own")
    if isinstance(found, NotTakenOn | Escaped):
        raise found
    return found
