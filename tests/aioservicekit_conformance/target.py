"""Load a target: anything that offers `Channel`, `ChannelState` and `ChannelClosedError`."""

import asyncio
import importlib
import os
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from aioservicekit_model.channel.history import CANCELLED, CLOSED, EXHAUSTED

from .interface import lacking
from .running.stepped import SteppedCase
from .running.watchdog import Hang, describe_error, watched

__all__ = ["Target", "TargetError", "describe", "is_path", "load", "split"]

NAMES = ("Channel", "ChannelState", "ChannelClosedError")
STATES = ("initiation", "open", "closed")


class TargetError(Exception):
    """The target can't be loaded; the text is one line for the user."""


class Target(NamedTuple):
    """A channel to be judged.

    Attributes:
        name: the target's name, as on the command line.
        channel: makes a channel when called with a buffer size.
        states: the names of the states, by the values of `channel.state`.
        closed_error: the error class that the rules call `ChannelClosedError`.
    """

    name: str
    channel: Any
    states: dict[Any, str]
    closed_error: type[BaseException]

    def told(self, error: BaseException) -> tuple[str, str]:
        """An error's name in a history, and, of one that the rules don't mention, its text, file and line.

        Another class with the name of one that the rules mention has its module's name too.
        """
        named: dict[str, type[BaseException]] = {
            EXHAUSTED: StopAsyncIteration,
            CANCELLED: asyncio.CancelledError,
            CLOSED: self.closed_error,
        }
        known = next((each for each, kind in named.items() if isinstance(error, kind)), None)
        if known:
            return known, ""
        name = type(error).__name__
        other = f"{type(error).__module__}.{name}" if name in named else name
        return other, describe_error(error, other)

    def case(self, default_size: int) -> SteppedCase:
        """A case of a new channel."""
        return SteppedCase(self, default_size)


def load(name: str) -> Target:
    """Import a target, and check that it has the interface.

    Args:
        name: `module` or `module:attribute`, installed or importable from the current directory, or a path to a Python file,
            with `:attribute` or without.

    Raises:
        TargetError: there is no such module or attribute, or it lacks a part of the interface.
    """
    source, attribute = split(name)
    offered = _import(name, source)
    for part in attribute.split(".") if attribute else ():
        try:
            offered = getattr(offered, part)
        except AttributeError:
            raise TargetError(f"target {name!r}: {source!r} has no attribute {attribute!r}") from None
    return describe(name, offered)


def split(name: str) -> tuple[str, str]:
    """Split a target's name into its module or file, and the attribute in it, or ""."""
    match = re.fullmatch(r"(.+\.py)(?::([\w.]+))?", name)
    source, attribute = (match[1], match[2] or "") if match else (name.partition(":")[0], name.partition(":")[2])
    return source, attribute


def is_path(source: str) -> bool:
    return source.endswith(".py")


def _import(name: str, source: str) -> Any:
    """Import a module; raise TargetError whatever it raises, even if it exits or never ends."""
    if not source:
        raise TargetError("the name of a TARGET is empty; `aioservicekit` is the reference")
    if not is_path(source) and ("/" in source or "\\" in source):
        raise TargetError(f"target {name!r}: a path to a target ends with .py")
    folder, module = (
        (str(Path(source).resolve().parent), Path(source).stem) if is_path(source) else (os.getcwd(), source)
    )
    if is_path(source) and not Path(source).is_file():
        raise TargetError(f"target {name!r}: there is no file {source}")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        with watched(), redirect_stdout(sys.stderr):  # what it prints is no part of the report
            return importlib.import_module(module)
    except Hang as hang:
        raise TargetError(f"target {name!r} can't be imported: for seconds it ran at {hang}") from None
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TargetError(f"target {name!r} can't be imported: {describe_error(error)}") from error


def describe(name: str, offered: Any) -> Target:
    """Make a target from a module, a class or any other object.

    Raises:
        TargetError: it lacks a part of the interface; the text says which.
    """
    missing = [wanted for wanted in NAMES if not hasattr(offered, wanted)]
    if missing:
        raise TargetError(f"target {name!r} lacks {', '.join(missing)}: a target offers {', '.join(NAMES)}")
    missing = [state for state in STATES if not hasattr(offered.ChannelState, state)]
    if missing:
        raise TargetError(f"target {name!r}: its ChannelState lacks {', '.join(missing)}")
    error = offered.ChannelClosedError
    if not (isinstance(error, type) and issubclass(error, Exception)):
        raise TargetError(f"target {name!r}: its ChannelClosedError is no subclass of Exception: {error!r}")
    if issubclass(StopAsyncIteration, error):
        raise TargetError(f"target {name!r}: its ChannelClosedError is {error!r}, which other errors are too")
    if not callable(offered.Channel):
        raise TargetError(f"target {name!r}: its Channel can't be called: {offered.Channel!r}")
    try:
        states = {getattr(offered.ChannelState, state): state for state in STATES}
    except TypeError:
        raise TargetError(f"target {name!r}: the members of its ChannelState can't be told apart by hash") from None
    if len(states) < len(STATES):
        raise TargetError(f"target {name!r}: members of its ChannelState are equal to each other")
    if said := lacking(offered.Channel, states):
        raise TargetError(f"target {name!r}: {said}")
    return Target(name, offered.Channel, states, error)
