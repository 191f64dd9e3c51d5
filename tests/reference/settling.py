"""Run a test's tasks until each one waits. No test needs to know how many callbacks that takes."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["begin", "ended", "settle"]

_T = TypeVar("_T")


async def settle(turns: int = 20) -> None:
    """Let every task run until it waits, or for this many turns of the loop."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def ended(future: "asyncio.Future[_T]") -> _T:
    """Return the outcome of an operation that must end without anything else having to happen."""
    await settle()
    assert future.done(), "still waits"
    return await future


async def begin(coro: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
    """Start an operation and let it run until it waits."""
    task = asyncio.ensure_future(coro)
    await settle()
    return task
