"""Tasks of a service, from `create_task`: they end with it, and their exceptions are the service's (SV-5.1)."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import TYPE_CHECKING, Any, TypeVar

from ._outcome import current_task
from ._parts import part

if TYPE_CHECKING:
    from ._failures import Failures
    from ._lifecycle import Lifecycle

__all__ = ["create_task"]

_T = TypeVar("_T")


def create_task(
    owner: "Lifecycle", coro: Coroutine[Any, Any, _T], name: str | None, context: Context | None
) -> "asyncio.Task[_T]":
    """Run a coroutine in a task of a service, which must not be STOPPED."""
    if not asyncio.iscoroutine(coro):
        raise TypeError(f"create_task needs a coroutine, not {coro!r}")
    life = owner.life
    if life is None or life.stopped.done():
        coro.close()
        raise RuntimeError(f"{owner!r} is STOPPED: it runs no tasks")
    if life.loop is not asyncio._get_running_loop():  # perhaps there is none in this thread
        coro.close()
        raise RuntimeError(f"{owner!r} was started in another event loop, and belongs to it: {life.loop!r}")

    def report(ended: "asyncio.Task[_T]") -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            owner.failures.report(error)

    task = asyncio.create_task(_run(coro, owner.failures), name=name, context=context)
    life.tasks.add(task)
    task.add_done_callback(life.tasks.discard)
    task.add_done_callback(report)
    return task


async def _run(coro: Coroutine[Any, Any, _T], failures: "Failures") -> _T:
    part.set(None)  # the work that makes a task does not wait for it
    task = current_task()
    assert task is not None
    try:
        return await coro
    except asyncio.CancelledError as error:
        if not task.cancelling():
            failures.report(error)
        raise
    except (SystemExit, KeyboardInterrupt) as error:
        failures.fail(error)
        raise asyncio.CancelledError from error
