"""The user's parts of a life: the start hook, the work and the stop hook, each in a task.

A context variable says which part runs, also in the tasks that the part makes. So a part that waits for its own end is noticed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from ._outcome import current_task, outcome_of

if TYPE_CHECKING:
    from ._life import Life

__all__ = ["Part", "Parts", "made_task", "part"]

_T = TypeVar("_T")

Part = asyncio.Task[BaseException | None]

part: ContextVar[tuple["Life", str] | None] = ContextVar("part", default=None)  # which part of which life runs here


class Parts:
    """The parts of one life. They share a context: the work sees what the start hook sets."""

    def __init__(self, life: "Life") -> None:
        self._life = life
        self._context = copy_context()
        self._running: dict[str, asyncio.Task[Any] | None] = {}  # known before an eager task returns

    def begin(self, what: str, function: Callable[[], Awaitable[None] | None]) -> Part:
        """Run a part. The result of its task is the part's exception: asyncio would let a SystemExit escape."""

        async def run() -> BaseException | None:
            part.set((self._life, what))
            self._running[what] = asyncio.current_task()
            try:
                return await outcome_of(function)
            finally:
                del self._running[what]

        return made_task(self._life.loop, run(), f"{self._life.owner.name}-{what}", self._context)

    def is_in_own_hook(self) -> bool:
        """Whether the caller is this life's own hook, which must end before the life can."""
        if "start hook" in self._running:
            return self._running["start hook"] is current_task()
        return "stop hook" in self._running and part.get() == (self._life, "stop hook")


def made_task(
    loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, _T], name: str, context: Context | None
) -> "asyncio.Task[_T]":
    """A new task. If none can be made, the coroutine is closed."""
    try:
        return loop.create_task(coro, name=name, context=context)
    except BaseException:
        coro.close()
        raise
