"""Services without a class: a decorator that makes a service factory from a coroutine function."""

import functools
import inspect
from collections.abc import Callable, Collection, Coroutine
from typing import Any, ParamSpec

from .services import OnFailure, Service

__all__ = ["service"]

_P = ParamSpec("_P")


class _FunctionService(Service):
    """A service whose work is a coroutine function, called with the same arguments each time."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, Any]], **options: Any) -> None:
        self._function = work
        super().__init__(**options)

    async def __work__(self) -> None:
        await self._function()


def service(
    *,
    name: str | None = None,
    dependences: Collection[Service] | None = None,
    dependencies: Collection[Service] | None = None,
    grace: float | None = 5.0,
    on_failure: OnFailure | None = None,
    max_restarts: int | None = None,
    start_timeout: float | None = None,
    stop_timeout: float | None = None,
) -> Callable[[Callable[_P, Coroutine[Any, Any, Any]]], Callable[_P, Service]]:
    """Make a service factory from a coroutine function, which is the work (SV-5.3).

    The factory takes the function's arguments, and every call of the work gets them. The service's name is the function's
    name by default. The other arguments are those of `Service`.

    Raises:
        TypeError: the decorated object is not a coroutine function.
    """

    def decorate(function: Callable[_P, Coroutine[Any, Any, Any]]) -> Callable[_P, Service]:
        if not inspect.iscoroutinefunction(function):
            raise TypeError(f"@service decorates a coroutine function, not {function!r}")

        @functools.wraps(function)
        def factory(*args: _P.args, **kwargs: _P.kwargs) -> Service:
            return _FunctionService(
                functools.partial(function, *args, **kwargs),
                name=name or function.__name__,
                dependences=dependences,
                dependencies=dependencies,
                grace=grace,
                on_failure=on_failure,
                max_restarts=max_restarts,
                start_timeout=start_timeout,
                stop_timeout=stop_timeout,
            )

        return factory

    return decorate
