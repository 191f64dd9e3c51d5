"""The future that a block of `run_services` gets: all its services have stopped."""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

__all__ = ["AllStopped"]


class AllStopped(asyncio.Future[None]):
    """The future that a block of `run_services` gets.

    Each caller awaits a separate shield, so that cancelling one caller cancels no other.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._end: asyncio.Future[None] = loop.create_future()
        self.is_awaited = False

    @property
    def has_ended(self) -> bool:
        return self._end.done()

    def end(self, failure: BaseException | None) -> None:
        for future in (self._end, self):
            if not future.done():  # it may have been cancelled
                if failure is None:
                    future.set_result(None)
                else:
                    future.set_exception(failure)
                    future.exception()  # already reported: asyncio need not complain if nobody awaits the future

    def add_done_callback(self, callback: Callable[..., object], /, *, context: Context | None = None) -> None:
        self.is_awaited = True
        super().add_done_callback(callback, context=context)

    def __await__(self) -> Generator[Any, None, None]:
        self.is_awaited = True
        return asyncio.shield(self._end).__await__()

    __iter__ = __await__
