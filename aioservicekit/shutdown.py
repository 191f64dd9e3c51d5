"""Shutdown: the signals that end an application, and the event behind them.

While services run, SIGINT and SIGTERM (SIGHUP and SIGBREAK where they exist) emit `on_shutdown()`, to which every service
listens. The first asks all to stop, the second ends the grace of those that still work, and the third has its default
effect. Handlers are in place from the first service's start to the last one's end, and then those are back that were
there before (SV-6.3).
"""

import asyncio
import functools
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from .events import Event

__all__ = ["on_shutdown"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))

_event: Event[[signal.Signals]] = Event()
_running: dict[Callable[[signal.Signals], None], asyncio.AbstractEventLoop] = {}  # in the main thread: who, and where
_replaced: dict[signal.Signals, Any] = {}  # the handlers that were there before
_received = 0  # signals, since the handlers are in place
_shutdowns = 0  # ever


def on_shutdown() -> Event[[signal.Signals]]:
    """The event that a shutdown signal emits, with the signal, while services run in the main thread (SV-6.3).

    Emitting it, as in `await on_shutdown().emit(signal.SIGTERM)`, stops every service too.
    """
    global _event
    if _event.is_closed:
        _event = Event()
        for listener in _running:
            _event.add_listener(listener)
    return _event


def shutting_down() -> bool:
    """Whether a signal has come, and services have still to stop: no other one may start."""
    _forget_closed_loops()
    return _received > 0


def shutdowns() -> int:
    """How many there have been: what was asked for before one may not start after it."""
    return _shutdowns


def begin(listener: Callable[[signal.Signals], None]) -> None:
    """A service starts, on the running loop: it listens, and the handlers are in place if this is the main thread."""
    on_shutdown().add_listener(listener)
    if threading.current_thread() is threading.main_thread():
        _running[listener] = asyncio.get_running_loop()
        if not _replaced:
            for number in _SIGNALS:
                _replaced[number] = signal.signal(number, _handle)


def end(listener: Callable[[signal.Signals], None]) -> None:
    """A service has stopped; after the last one the handlers that were there before are back."""
    on_shutdown().remove_listener(listener)
    if _running.pop(listener, None) and not _running:
        _put_back()


def _put_back() -> None:
    global _received
    _received = 0
    for number in tuple(_replaced):
        _put_one_back(number)


def _put_one_back(number: signal.Signals) -> None:
    before = _replaced.pop(number, None)
    if before is None or before is _handle or _is_of_a_run_that_has_ended(before):
        before = _default(number)
    if signal.getsignal(number) in (_handle, _default(number)):  # or else somebody has set another one meanwhile
        signal.signal(number, before)


def _is_of_a_run_that_has_ended(handler: Any) -> bool:
    """`asyncio.run` takes its handler of SIGINT away at the end, but not while it finds ours in its place."""
    task = handler.keywords.get("main_task") if isinstance(handler, functools.partial) else None
    return isinstance(task, asyncio.Task) and task.done()


def _forget_closed_loops() -> None:
    for listener, loop in tuple(_running.items()):
        if loop.is_closed():
            end(listener)


def _forget_all() -> None:  # pragma: no cover, it runs in forked processes
    _running.clear()
    _put_back()


def _default(number: signal.Signals) -> Any:
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def _handle(number: int, frame: FrameType | None) -> None:
    global _received, _shutdowns
    number = signal.Signals(number)
    _forget_closed_loops()
    if not _running:  # nobody is left to be stopped
        _put_one_back(number)
        signal.raise_signal(number)
        return
    _received += 1
    if _received == 1:
        _shutdowns += 1
    else:
        for ours in _replaced:
            signal.signal(ours, _default(ours))
    loops = list(_running.values())
    loop = next((loop for loop in reversed(loops) if loop.is_running()), loops[-1])
    loop.call_soon_threadsafe(on_shutdown().notify, number)


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_forget_all)  # the services run in the parent
