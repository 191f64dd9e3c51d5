"""Outcomes of users' code: no exception is lost, or mistaken for something else."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from inspect import isawaitable
from types import TracebackType
from typing import Any

__all__ = ["current_task", "exit_in", "outcome_of", "traced"]


async def outcome_of(function: Callable[[], Awaitable[Any] | None]) -> BaseException | None:
    """Call a function or a coroutine function, and return any exception that it raises.

    A requested cancellation passes through, and so does the GeneratorExit of a coroutine that is being closed.
    """
    task = current_task()
    assert task is not None
    try:
        result = function()
        if isawaitable(result):
            await result
    except BaseException as error:
        asked_for = isinstance(error, asyncio.CancelledError) and task.cancelling()
        if asked_for or (isinstance(error, GeneratorExit) and current_task() is not task):
            raise
        return error
    finally:
        if getattr(task, "_must_cancel", False) and not task.cancelling():  # pragma: no cover - not on Python 3.13
            # A request was withdrawn, and would cancel whatever comes next all the same. A TaskGroup that fails at once in an
            # eager task leaves one behind (CPython's issue 128588).
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
    return None


def current_task() -> "asyncio.Task[Any] | None":
    return asyncio.current_task() if asyncio._get_running_loop() else None


def traced(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """An exception as the log takes it, which would leave out one that is false, such as an empty collection of errors."""
    return type(error), error, error.__traceback__


def exit_in(error: BaseException) -> BaseException | None:
    """The exit (SystemExit or KeyboardInterrupt) that an exception is, or that an exception group contains."""
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return error
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := exit_in(each))), None)
    return None
