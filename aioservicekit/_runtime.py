"""What a channel needs from the interpreter: event loops, cancellation, finalizers and forks."""

import asyncio
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn, Protocol

__all__ = [
    "Lock",
    "Waiting",
    "at_once",
    "cancel_later",
    "hear_requests",
    "held_here",
    "mind_forks",
    "new_lock",
    "tell_if_lost",
    "wake",
    "when_free",
]

Waiting = asyncio.Future[None]  # what a task awaits; its result means nothing, since the channel holds the outcome


def wake(waiting: Waiting, running: asyncio.AbstractEventLoop | None, lost: Callable[[], None] | None = None) -> bool:
    """Wake a task on the loop on which it waits (CH-6.2).

    Args:
        running: the loop that runs in this thread, if any. If the task waits on it, its future is set directly.
        lost: called if the loop closes before the task has run, unless the future is set directly.

    Returns:
        False if there is no task to wake: it has been cancelled, or its loop is closed (CH-6.3).
    """
    if waiting.done():
        return False
    loop = waiting.get_loop()
    if loop is running:
        waiting.set_result(None)
        return True
    if loop.is_closed():
        return False
    try:
        loop.call_soon_threadsafe(_resume, waiting, lost and _InQueue(loop, lost))  # CH-6.2
    except RuntimeError:  # its own thread has just closed it
        return False
    return not loop.is_closed()  # it may have closed before it saw the callback


def _resume(waiting: Waiting, in_queue: "_InQueue | None") -> None:
    if in_queue:
        waiting.add_done_callback(in_queue)  # even if it is done: a task that was cancelled just now has not run either
    if not waiting.done():
        waiting.set_result(None)


def tell_if_lost(waiting: Waiting, lost: Callable[[], None]) -> None:
    """Call `lost` if a woken task's loop closes before the task has run."""
    loop = waiting.get_loop()
    with suppress(RuntimeError):  # already closed
        loop.call_soon_threadsafe(_InQueue(loop, lost), waiting)
    if loop.is_closed():
        lost()


class _InQueue:
    """A sentinel to which only the loop's queue refers.

    If the loop runs it, nothing happens. If the loop closes, it clears its queue; the sentinel is finalized, and calls `lost`.
    """

    __slots__ = ("_loop", "_lost")

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        self._loop = loop
        self._lost = lost

    def __call__(self, _: Waiting) -> None:
        """The task has run."""

    def __del__(self) -> None:
        if self._loop.is_closed():
            self._lost()


def cancel_later(task: asyncio.Task[Any] | None, heard: int, error: asyncio.CancelledError) -> None:
    """Repeat a request to cancel when the task next suspends: the operation that heard of it was complete (CH-3.9, CH-4.8).

    Until then the request is owed. It is not repeated if it has been withdrawn by then, as `asyncio.timeout` does when its
    block is left.

    Args:
        heard: the number of requests that the task had been told of before the operation.
        error: what the request raised.
    """
    if task is not None:
        # Earlier requests are not owed. At least one has come since: the one that raised the error.
        _owed[task] = max(0, min(heard, task.cancelling() - 1)), error.args
        task.get_loop().call_soon(_ask_again, task)


def _ask_again(task: asyncio.Task[Any]) -> None:
    heard, arguments = _owed.pop(task, (0, None))
    if arguments is not None and task.cancelling() > heard and task.cancel(*arguments):
        task.uncancel()  # `cancel` has counted the request once more


def hear_requests(task: asyncio.Task[Any] | None) -> int:
    """Tell the running task, which is about to suspend, of the request that is owed to it.

    Returns:
        The number of requests to cancel that the task has been told of.

    Raises:
        CancelledError: a request is owed to the task and has not been withdrawn. It is delivered now.
    """
    if task is None or not task.cancelling():
        return 0
    heard, arguments = _owed.pop(task, (0, None))
    if arguments is not None and task.cancelling() > heard:
        raise asyncio.CancelledError(*arguments)
    return task.cancelling()


# Of an error the arguments alone: its traceback refers to the task, which would never be collected if its loop closes now.
_owed: "weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[int, tuple[Any, ...]]]" = weakref.WeakKeyDictionary()


class Lock(Protocol):
    """A lock that knows its thread. After `with`, it is free whenever a KeyboardInterrupt comes."""

    def acquire(self, blocking: bool = True) -> bool: ...
    def release(self) -> None: ...
    def _is_owned(self) -> bool: ...
    def __enter__(self) -> bool: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Locked(Protocol):
    """An object with a lock."""

    lock: Lock


def held_here(owner: Locked) -> bool:
    """Whether this very thread holds the lock: the garbage collector or a signal has interrupted a change."""
    return owner.lock._is_owned()


def at_once(owner: Locked, change: Callable[..., object], *arguments: Any) -> None:
    """Make a change with the lock held. If this interrupts another change of this thread, make it right after that one."""
    if held_here(owner):
        when_free(owner, change, *arguments)
    else:
        with owner.lock:
            change(*arguments)


def when_free(owner: Locked, change: Callable[..., object], *arguments: Any) -> None:
    """Make a change with the lock held, from a finalizer or after an interrupt: now, or if it is held, in a thread of its own."""

    def make() -> None:
        with owner.lock:
            change(*arguments)

    if sys.is_finalizing() or isinstance(owner.lock, _LostLock):
        return  # nobody will use the channel any more, and a thread would never start
    made, held = False, held_here(owner)
    try:
        if not held and owner.lock.acquire(blocking=False):
            change(*arguments)
            made = True
            owner.lock.release()
    except BaseException:  # an interrupt, which may come at any call
        try:
            owner.lock.release()
        except RuntimeError:
            pass  # it was not acquired yet, or released already
        raise
    finally:
        if not made:
            threading.Thread(target=make, daemon=True).start()


class _LostLock:
    """Replaces a lock that another thread held when the process was forked. The child has no such thread to release it."""

    def acquire(self, blocking: bool = True) -> bool:
        return self.__enter__()

    def release(self) -> None:
        raise AssertionError("it is never held")

    def _is_owned(self) -> bool:
        return False

    def __enter__(self) -> NoReturn:
        raise RuntimeError(
            "this channel can't be used any more: the process was forked while another thread was using it;"
            " make channels after the fork, or fork before you start threads"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        raise AssertionError("it is never held")


_owners: "weakref.WeakSet[Locked]" = weakref.WeakSet()


def new_lock() -> Lock:
    """A lock that knows whether the running thread holds it."""
    return threading.RLock()  # type: ignore[return-value]


def mind_forks(owner: Locked) -> None:
    """If the process is forked while another thread holds the lock, the child gets an error instead of a hang."""
    _owners.add(owner)


def _after_fork_in_child() -> None:
    for owner in list(_owners):
        if owner.lock.acquire(blocking=False):
            owner.lock.release()
        else:
            owner.lock = _LostLock()


if hasattr(os, "register_at_fork"):  # pragma: no branch - not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
