"""Loading a target: whatever offers `Channel`, `ChannelState` and `ChannelClosedError`."""

import importlib
import os
import sys
from typing import Any, NamedTuple

__all__ = ["Target", "TargetError", "load"]

NAMES = ("Channel", "ChannelState", "ChannelClosedError")
STATES = ("initiation", "open", "closed")


class TargetError(Exception):
    """The target can't be loaded; its text is one line for the user."""


class Target(NamedTuple):
    """A channel to be judged.

    Attributes:
        name: as it was given on the command line.
        channel: called with a buffer size, makes a channel.
        states: the names of the states by the values of `channel.state`.
        closed_error: the error class that the rules call `ChannelClosedError`.
    """

    name: str
    channel: Any
    states: dict[Any, str]
    closed_error: type[BaseException]


def load(name: str) -> Target:
    """Import a target.

    Args:
        name: `module` or `module:attribute`, installed or importable from the current directory.

    Raises:
        TargetError: no such module, no such attribute, or it lacks one of the names that a target offers.
    """
    module_name, colon, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        offered: Any = importlib.import_module(module_name)
    except Exception as error:  # whatever a module raises when it is imported, the user wants one line
        raise TargetError(f"target {name!r} can't be imported: {type(error).__name__}: {error}") from error
    for part in attribute.split(".") if colon else ():
        if not hasattr(offered, part):
            raise TargetError(f"target {name!r}: {module_name!r} has no attribute {attribute!r}")
        offered = getattr(offered, part)
    return describe(name, offered)


def describe(name: str, offered: Any) -> Target:
    """The target that a module, class or any other object offers.

    Raises:
        TargetError: it lacks a name that a target offers.
    """
    missing = [wanted for wanted in NAMES if not hasattr(offered, wanted)]
    if missing:
        raise TargetError(f"target {name!r} lacks {', '.join(missing)}: a target offers {', '.join(NAMES)}")
    missing = [state for state in STATES if not hasattr(offered.ChannelState, state)]
    if missing:
        raise TargetError(f"target {name!r}: its ChannelState lacks {', '.join(missing)}")
    error = offered.ChannelClosedError
    if not (isinstance(error, type) and issubclass(error, BaseException)):
        raise TargetError(f"target {name!r}: its ChannelClosedError is no exception class: {error!r}")
    if not callable(offered.Channel):
        raise TargetError(f"target {name!r}: its Channel can't be called: {offered.Channel!r}")
    states = {getattr(offered.ChannelState, state): state for state in STATES}
    return Target(name, offered.Channel, states, error)
