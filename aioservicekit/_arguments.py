"""Checks of arguments. Each error names the value and what was expected."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "check_coroutine_function",
    "check_hook",
    "checked_choice",
    "checked_count",
    "checked_instances",
    "checked_name",
    "checked_seconds",
]


def checked_name(name: object) -> str | None:
    if not (name is None or isinstance(name, str)):
        raise TypeError(f"name must be a str or None, not {name!r}")
    return name


def checked_seconds(seconds: object, called: str) -> float | None:
    """A number of seconds, 0 or more; None for no limit."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise TypeError(f"{called} must be a number of seconds or None, not {seconds!r}")
    if math.isnan(seconds) or seconds < 0:
        raise ValueError(f"{called} must be 0 seconds or more, or None for no limit, not {seconds!r}")
    return None if math.isinf(seconds) else seconds


def checked_count(count: object, called: str) -> int | None:
    """A count, 0 or more; None for no limit."""
    if count is None:
        return None
    if isinstance(count, bool) or not isinstance(count, int):
        raise TypeError(f"{called} must be an int or None, not {count!r}")
    if count < 0:
        raise ValueError(f"{called} must be 0 or more, or None for no limit, not {count!r}")
    return count


def checked_choice(value: object, called: str, *choices: str) -> None:
    if value not in choices:
        *first, last = (f'"{choice}"' for choice in choices)
        raise ValueError(f"{called} must be {', '.join(first)} or {last}, not {value!r}")


def checked_instances(given: object, wanted: type, called: str) -> tuple[Any, ...]:
    """The distinct services in an argument; they need not be hashable."""
    if not isinstance(given, Iterable):
        raise TypeError(f"{called} must be a collection of services, not {given!r}")
    checked = tuple(given)
    for each in checked:
        if not isinstance(each, wanted):
            raise TypeError(f"{called} must hold only services, not {each!r}")
    return tuple({id(each): each for each in checked}.values())


def check_coroutine_function(function: Callable[..., Any], called: str) -> None:
    if not inspect.iscoroutinefunction(function):
        raise TypeError(f"{called} must be a coroutine function, not {function!r}")


def check_hook(hook: Callable[..., Any], called: str) -> None:
    if inspect.isasyncgenfunction(hook) or inspect.isgeneratorfunction(hook):
        raise TypeError(f"{called} must be a function or a coroutine function without a yield, not {hook!r}")
