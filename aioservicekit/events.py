"""Events: something happens, and every listener is called."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, Self

from ._application import application
from ._log import logger
from ._outcome import exit_in, outcome_of, traced

__all__ = ["Event", "EventClosedError"]

_P = ParamSpec("_P")


class EventClosedError(Exception):
    """The event is closed: it accepts no listeners, and can't be emitted."""


class Event(Generic[_P]):
    """Something that happens repeatedly, with arguments that its listeners get.

    Listeners are plain functions or coroutine functions, called in the order in which they were added. Whatever a listener
    raises is logged and disturbs nobody. An exit (SystemExit or KeyboardInterrupt) ends the application, once all listeners
    have been called and its services have stopped (SV-1.3). As a context manager, the event closes at the end.
    """

    def __init__(self) -> None:
        self._listeners: dict[Callable[_P, Awaitable[Any] | None], None] = {}
        self._tasks: set[asyncio.Future[Any]] = set()  # asyncio itself holds no strong reference to a running task
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the event is closed."""
        return self._closed

    @property
    def has_listeners(self) -> bool:
        """Whether the event has listeners."""
        return bool(self._listeners)

    def add_listener(self, listener: Callable[_P, Awaitable[Any] | None]) -> None:
        """Call `listener` whenever the event is emitted. A listener that is added twice is called once.

        Raises:
            TypeError: `listener` is not callable.
            EventClosedError: the event is closed.
        """
        if not callable(listener):
            raise TypeError(f"a listener must be a function or a coroutine function, not {listener!r}")
        if self._closed:
            raise EventClosedError("a closed event accepts no listeners")
        self._listeners[listener] = None

    def remove_listener(self, listener: Callable[_P, Awaitable[Any] | None]) -> None:
        """Stop calling `listener`. Does nothing if it is not a listener."""
        self._listeners.pop(listener, None)

    async def emit(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Call every listener, and wait until the coroutine functions among them have ended.

        A cancelled `emit` waits no longer; the listeners go on.

        Raises:
            EventClosedError: the event is closed.
        """
        if self._closed:
            raise EventClosedError("a closed event can't be emitted")
        if started := self.notify(*args, **kwargs):
            await asyncio.wait(started)

    def notify(self, *args: _P.args, **kwargs: _P.kwargs) -> list["asyncio.Future[Any]"]:
        """Call every listener without waiting for any. A closed event has no listeners.

        Returns:
            The tasks of the listeners that are coroutine functions, which began in the order of the listeners.
        """
        started: list[asyncio.Future[Any]] = []
        for listener in tuple(self._listeners):
            try:
                result = listener(*args, **kwargs)
                if inspect.isawaitable(result):
                    task = asyncio.ensure_future(_listened(result, listener))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                    started.append(task)
            except BaseException as error:
                _failed(listener, error)
        return started

    def close(self) -> None:
        """Forget all listeners, and accept no more. Listeners that are running go on. Closing again does nothing."""
        self._closed = True
        self._listeners.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


async def _listened(result: Awaitable[Any], listener: object) -> None:
    if (error := await outcome_of(lambda: result)) is not None:
        _failed(listener, error)


def _failed(listener: object, error: BaseException) -> None:
    found = exit_in(error)
    if found and asyncio._get_running_loop() is None:
        raise found
    if found:
        application().exit_with(found)
    else:
        logger.error("a listener failed: %r", listener, exc_info=traced(error))
