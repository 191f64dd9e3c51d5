"""Events: something happens, and all who listen are told."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, Self

from ._application import application
from ._outcome import exit_in, outcome_of

__all__ = ["Event", "EventClosedError"]

_P = ParamSpec("_P")
_logger = logging.getLogger("aioservicekit")


class EventClosedError(Exception):
    """The event is closed: it takes no listeners, and can't be emitted."""


class Event(Generic[_P]):
    """Something that happens again and again, with the arguments that its listeners get.

    Listeners are plain functions or coroutine functions, and are called in the order in which they were added. One that
    raises, whatever it raises, is logged and disturbs nobody; an exit, SystemExit or KeyboardInterrupt, ends the application
    once all have been called and its services have stopped (SV-1.3). As a context manager the event closes at the end.
    """

    def __init__(self) -> None:
        self._listeners: dict[Callable[_P, Awaitable[Any] | None], None] = {}
        self._tasks: set[asyncio.Future[Any]] = set()  # asyncio itself holds no strong reference to a running task
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it is closed."""
        return self._closed

    @property
    def has_listeners(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    def add_listener(self, listener: Callable[_P, Awaitable[Any] | None]) -> None:
        """Call `listener` each time that the event is emitted; one that is added twice is called once.

        Raises:
            TypeError: it can't be called.
            EventClosedError: the event is closed.
        """
        if not callable(listener):
            raise TypeError(f"a listener must be a function or a coroutine function, not {listener!r}")
        if self._closed:
            raise EventClosedError("a closed event takes no listeners")
        self._listeners[listener] = None

    def remove_listener(self, listener: Callable[_P, Awaitable[Any] | None]) -> None:
        """Call `listener` no longer; one that does not listen is passed over."""
        self._listeners.pop(listener, None)

    async def emit(self, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Call every listener, and wait until those that are coroutine functions have ended.

        Cancelled, it waits no longer; the listeners go on.

        Raises:
            EventClosedError: the event is closed.
        """
        if self._closed:
            raise EventClosedError("a closed event can't be emitted")
        if started := self.notify(*args, **kwargs):
            await asyncio.wait(started)

    def notify(self, *args: _P.args, **kwargs: _P.kwargs) -> list["asyncio.Future[Any]"]:
        """Call every listener without waiting for any; a closed event has none.

        Returns:
            The tasks of the listeners that are coroutine functions; they began in the order of the listeners.
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
        """Forget all listeners, and take no more; again does nothing. Listeners that are running go on."""
        self._closed = True
        self._listeners.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


async def _listened(result: Awaitable[Any], listener: object) -> None:
    if error := await outcome_of(lambda: result):
        _failed(listener, error)


def _failed(listener: object, error: BaseException) -> None:
    found = exit_in(error)
    if found and asyncio._get_running_loop() is None:
        raise found
    if found:
        application().exit_with(found)
    else:
        _logger.error("a listener failed: %r", listener, exc_info=error)
