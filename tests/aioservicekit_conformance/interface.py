"""The interface comes first: check that a target has everything that the rules mention, before judging any rule."""

import asyncio
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any

from .running.loop import SteppedLoop
from .running.watchdog import Hang, describe_error, watched

__all__ = ["lacking"]

CHANNEL, PUBLISHER, SUBSCRIBER = "Channel", "Publisher", "Subscriber"
METHODS = {CHANNEL: ("subscribe", "connect", "close"), PUBLISHER: ("send", "close"), SUBSCRIBER: ("read", "close")}
BLOCK = ("__aenter__", "__aexit__")
SPECIAL = {CHANNEL: BLOCK, PUBLISHER: BLOCK, SUBSCRIBER: (*BLOCK, "__aiter__")}  # looked up on the class
JOINED = {"connect": PUBLISHER, "subscribe": SUBSCRIBER}


def lacking(channel: Callable[..., Any], states: dict[Any, str]) -> str:
    """Say in one line what a target lacks; "" if it has everything."""
    loop = SteppedLoop()
    found: list[str] = []

    async def look() -> None:
        found.append(await _look(channel, states))

    try:
        with watched(), warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")  # of endpoints that are left open
            task = loop.start(look())
            loop.run_until_rest(task.done)
    except Hang as hang:
        return f"it hangs while it is inspected: for seconds it ran at {hang}"
    loop.retire()
    if task.done() and not task.cancelled() and isinstance(task.exception(), Hang):
        return f"it hangs while it is inspected: for seconds it ran at {task.exception()}"
    return found[0] if found else ""


async def _look(make: Callable[..., Any], states: dict[Any, str]) -> str:
    try:
        channel = make(buffer_size=1)
    except (Exception, SystemExit) as error:
        return f"Channel(buffer_size=1) raises {describe_error(error)}"
    if said := _state(channel, states):
        return said
    lacks = _methods(channel, CHANNEL)
    endpoints = {}
    for how, kind in JOINED.items():
        if not callable(getattr(channel, how, None)):
            continue
        arguments = {"buffer_size": 1} if how == "subscribe" else {}
        try:
            joining = getattr(channel, how)(**arguments)
        except TypeError as error:
            return f"{how}({'buffer_size=1' if arguments else ''}) raises {describe_error(error)}"
        except (Exception, SystemExit):
            return ""  # whichever rule that breaks, the cases show it
        if not hasattr(joining, "__await__"):
            return f"Channel.{how}() is not async: it returned {_kind_of(joining)}"
        joined = asyncio.ensure_future(joining)
        await asyncio.wait([joined])
        if joined.cancelled() or joined.exception() is not None:
            return ""
        endpoint = joined.result()
        if endpoint is None:
            return f"{how}() returns None, not a {kind.lower()}"
        endpoints[kind] = endpoint
        lacks += _methods(endpoint, kind)
    if lacks:
        return "; ".join(lacks)
    for kind, endpoint in endpoints.items():
        if said := _awaited(endpoint, kind):
            return said
    if said := _is_async(channel.close, "Channel.close"):
        return said
    try:
        await channel.close()
    except (Exception, SystemExit):
        pass  # whichever rule that breaks, the cases show it
    return ""


def _state(channel: Any, states: dict[Any, str]) -> str:
    try:
        state = channel.state
        hash(state)
    except AttributeError as error:
        return "Channel has no state" if error.name == "state" else f"Channel.state raises {describe_error(error)}"
    except Exception as error:
        return f"Channel.state raises {describe_error(error)}"
    if state in states:
        return ""
    if callable(state):
        return "Channel.state is a method; it must be a property"
    if hasattr(state, "__await__"):
        if asyncio.iscoroutine(state):
            state.close()
        return "Channel.state is async; it must be a property"
    return f"Channel.state is {_kind_of(state)}, not a member of ChannelState"


def _methods(whose: Any, kind: str) -> list[str]:
    lacks = [f"{name}()" for name in METHODS[kind] if not callable(getattr(whose, name, None))]
    lacks += [f"{name}()" for name in SPECIAL[kind] if not callable(getattr(type(whose), name, None))]
    return [f"{kind} has no {', '.join(lacks)}"] if lacks else []


def _awaited(endpoint: Any, kind: str) -> str:
    name, arguments = ("send", (object(),)) if kind == PUBLISHER else ("read", ())
    if said := _is_async(getattr(endpoint, name), f"{kind}.{name}", *arguments):
        return said
    if kind == SUBSCRIBER:
        try:
            aiter(endpoint)
        except TypeError as error:
            return f"{kind} can't be iterated over with async for: {error}"
        except (Exception, SystemExit):
            return ""  # whichever rule that breaks, the cases show it
    return _is_async(endpoint.close, f"{kind}.close")


def _is_async(method: Callable[..., Any], name: str, *arguments: object) -> str:
    """Describe a method that can't be awaited; if it makes a coroutine, that never runs."""
    try:
        made = method(*arguments)
    except TypeError as error:
        return f"{name}({'message' if arguments else ''}) raises {describe_error(error)}"
    except (Exception, SystemExit):
        return ""  # whichever rule that breaks, the cases show it
    if not hasattr(made, "__await__"):
        return f"{name}() is not async: it returned {_kind_of(made)}"
    if asyncio.iscoroutine(made):
        made.close()
    elif isinstance(made, asyncio.Future):
        made.cancel()
    return ""


def _kind_of(value: object) -> str:
    return "None" if value is None else f"a value of {type(value).__name__}"
