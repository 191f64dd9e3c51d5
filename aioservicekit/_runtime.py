"""What a channel needs of the interpreter around it: event loops, cancellation, finalizers and forks."""

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, NoReturn, Protocol

__all__ = ["Lock", "Waiting", "give_back", "new_lock", "tell_if_lost", "wake", "when_free"]

Waiting = asyncio.Future[None]  # what a task awaits; its result says nothing, the outcome stands in the channel


def wake(waiting: Waiting, running: asyncio.AbstractEventLoop | None, lost: Callable[[], None] | None = None) -> bool:
    """Wake a task on the loop that it waits on (CH-6.2).

    Args:
        running: the loop on which a task may be woken with no detour: the one that runs in this thread, or None.
        lost: called if the loop closes before the task has run; it can't be told of a task that is woken with no detour.

    Returns:
        False if nobody is there to be woken: the task has been cancelled, or its loop is closed (CH-6.3).
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
    except RuntimeError:  # its own thread has closed it just now
        return False
    return True


def _resume(waiting: Waiting, in_queue: "_InQueue | None") -> None:
    if not waiting.done():
        if in_queue:
            waiting.add_done_callback(in_queue)
        waiting.set_result(None)


def tell_if_lost(waiting: Waiting, lost: Callable[[], None]) -> None:
    """Have `lost` called if the loop of a task that has been woken closes before the task has run."""
    loop = waiting.get_loop()
    with suppress(RuntimeError):  # closed already
        loop.call_soon_threadsafe(_InQueue(loop, lost), waiting)


class _InQueue:
    """Held by a loop's queue alone, until the task that it is about has run: a loop that closes before drops it."""

    __slots__ = ("_loop", "_lost")

    def __init__(self, loop: asyncio.AbstractEventLoop, lost: Callable[[], None]) -> None:
        self._loop = loop
        self._lost = lost

    def __call__(self, _: Waiting) -> None:
        """The task has run."""

    def __del__(self) -> None:
        if self._loop.is_closed():
            self._lost()


def give_back(task: asyncio.Task[Any] | None, requests: int, error: asyncio.CancelledError) -> None:
    """Ask a task to cancel once more: its operation had been completed before it heard of the request (CH-3.9, CH-4.8).

    That is done one turn of the loop later, at the task's next suspension, unless the request has been withdrawn by then:
    `asyncio.timeout` withdraws its own when its block is left.

    Args:
        task: the task in which `error` was raised.
        requests: how many requests it had when it began to wait.
    """
    if task is None:
        return
    others = max(0, min(requests, task.cancelling() - 1))  # one at least is the one that was heard of just now

    def ask_again() -> None:
        if task.cancelling() > others and task.cancel(*error.args):
            task.uncancel()  # `cancel` has counted it once more

    task.get_loop().call_soon(ask_again)


class Lock(Protocol):
    """A lock, as `with` uses it: there is no instant at which a KeyboardInterrupt leaves it held."""

    def locked(self) -> bool: ...
    def __enter__(self) -> bool: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Locked(Protocol):
    """What has a lock."""

    lock: Lock


def when_free(owner: Locked, change: Callable[..., object], *arguments: Any) -> None:
    """Make a change with the lock held, also where this very thread may hold it: in a finalizer, or after an interrupt."""

    def make() -> None:
        with owner.lock:
            change(*arguments)

    if owner.lock.locked():
        with suppress(RuntimeError):  # the interpreter shuts down, and starts no threads any more
            threading.Thread(target=make, daemon=True).start()
    else:
        make()


class _LostLock:
    """In place of a lock that another thread held when the process was forked: that thread is not there to release it."""

    def locked(self) -> bool:
        return False

    def __enter__(self) -> NoReturn:
        raise RuntimeError(
            "this channel can't be used any more: the process was forked while another thread was using it;"
            " make channels after the fork, or fork before there are threads"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        raise AssertionError("it is never entered")


_owners: "weakref.WeakSet[Locked]" = weakref.WeakSet()


def new_lock(owner: Locked) -> Lock:
    """A lock for `owner.lock`; if the process is forked while another thread holds it, the child gets an error, and no hang."""
    _owners.add(owner)
    return threading.Lock()


def _after_fork_in_child() -> None:
    for owner in list(_owners):
        if owner.lock.locked():
            owner.lock = _LostLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
