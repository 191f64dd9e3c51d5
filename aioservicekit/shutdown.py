"""Shutdown: the signals that end an application, and the event behind them.

While services run, SIGINT and SIGTERM (SIGHUP and SIGBREAK where they exist) emit `on_shutdown()`, which stops every service.
The first signal asks all services to stop, the second ends the grace of those that still work, and the third has its default
effect. Handlers are in place from the first service's start to the last one's end. Then the previous handlers are restored
(SV-6.3).

The program around the services keeps working: a handler that it had set is called too, and a signal that it ignores stays
ignored (SV-6.5). The handlers of Python and of `asyncio.run` are not called: they would cut off what should end gracefully.
"""

import asyncio
import functools
import os
import signal
import threading
from types import FrameType
from typing import Any, Protocol

from ._application import Application, application, was_told_in_shutdown
from ._log import logger
from ._outcome import traced
from .events import Event

__all__ = ["on_shutdown"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name))


class Running(Protocol):
    """Something that runs and that signals stop: a service, or a restart of one."""

    loop: asyncio.AbstractEventLoop
    stop_announced: bool
    heeds_signals: bool


_getsignal = getattr(signal.getsignal, "__wrapped__", signal.getsignal)  # the wrapper takes 2 us on Python 3.11

_event: Event[[signal.Signals]] = Event()
_running: dict[Running, None] = {}  # everything that heeds signals, in every thread
_in_main_thread: dict[Running, None] = {}
_replaced: dict[signal.Signals, Any] = {}  # the handlers that were there before
_received = 0  # signals since the handlers are in place
_shutdowns = 0  # ever
_untold: signal.Signals | None = None  # the last signal that only the services have received


def on_shutdown() -> Event[[signal.Signals]]:
    """The event that a shutdown signal emits while services run in the main thread; listeners get the signal (SV-6.3).

    Emitting it, as in `await on_shutdown().emit(signal.SIGTERM)`, stops every service too.
    """
    global _event
    if _event.is_closed:
        _event = Event()
        if _running:
            _event.add_listener(_stop_all)
    return _event


def refuses_starts(heeding_signals: bool, asked_at: int) -> bool:
    """Whether the running loop's application is shutting down, or has been since `asked_at` (the number of shutdowns then)."""
    _forget_closed_loops()
    ends = application()
    if ends.exit or not heeding_signals:
        return ends.exit is not None
    return _received > 0 or ends.shuts_down or was_told_in_shutdown.get() or _shutdowns != asked_at


def shutdowns() -> int:
    """The number of shutdowns so far: a start that was requested before one must not begin after it."""
    return _shutdowns


def untold() -> signal.Signals | None:
    """The signal that has stopped the services, if nobody else received it."""
    return _untold


def tell(number: signal.Signals) -> None:
    """Give a signal the effect that it would have had without services."""
    if signal.getsignal(number) is not _handle:
        signal.raise_signal(number)


def begin(running: Running) -> None:
    """Something starts on the running loop. In the main thread, put the handlers in place."""
    global _untold
    if running.heeds_signals:
        _running[running] = None
        on_shutdown().add_listener(_stop_all)
        if threading.current_thread() is threading.main_thread():
            _in_main_thread[running] = None
            if not _replaced:
                _untold = None
                for number in _SIGNALS:
                    _take(number)


def end(running: Running) -> None:
    """Something has stopped. After the last one, restore the previous handlers."""
    if running in _running:
        del _running[running]
        if not _running:
            on_shutdown().remove_listener(_stop_all)
    if running in _in_main_thread:
        del _in_main_thread[running]
        if not _in_main_thread and threading.current_thread() is threading.main_thread():
            _put_back()  # another thread, which forgets a closed loop, leaves this to the next signal


def take_over_from_loops() -> None:
    """Take signals back from a server that runs as a service's work and adds its handlers to the loop.

    `loop.add_signal_handler` replaces our handlers, but also works with ours on top of it.
    """
    if signal.SIGTERM not in _replaced or _getsignal(signal.SIGTERM) is _handle or _received > 1:
        return
    if threading.current_thread() is threading.main_thread():
        for number in _replaced:
            if _is_of_a_loop(signal.getsignal(number)):
                _take(number)


def _take(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    if before not in (signal.SIG_IGN, None):  # None is a handler that was not set from Python, and can't be restored
        _replaced[number] = before
        signal.signal(number, _handle)


def _put_back() -> None:
    global _received
    _received = 0
    Application.impatient = False
    for number in tuple(_replaced):
        _put_one_back(number)


def _put_one_back(number: signal.Signals) -> None:
    before = _replaced.pop(number, None)
    if before is None or before is _handle or _is_of_a_run_that_has_ended(before):
        before = _default(number)
    if signal.getsignal(number) in (_handle, _default(number)):  # otherwise somebody has set another one meanwhile
        signal.signal(number, before)


def _main_task_of(handler: Any) -> "asyncio.Task[Any] | None":
    """The main task that this SIGINT handler cancels, if `asyncio.run` has set the handler."""
    task = handler.keywords.get("main_task") if isinstance(handler, functools.partial) else None
    return task if isinstance(task, asyncio.Task) else None


def _is_of_a_run_that_has_ended(handler: Any) -> bool:
    """Whether it is a leftover of `asyncio.run`, which removes its handler at the end unless ours has replaced it."""
    task = _main_task_of(handler)
    return task is not None and task.done()


def _is_of_a_loop(handler: Any) -> bool:
    """Whether `loop.add_signal_handler` has set it. The loop also learns of signals in another way, which ours doesn't block."""
    return getattr(handler, "__name__", "") == "_sighandler_noop" or isinstance(
        getattr(handler, "__self__", None), asyncio.AbstractEventLoop
    )


def _is_of_the_program(handler: Any) -> bool:
    """Whether the program has set it and expects it to be called; handlers of Python and `asyncio.run` don't count."""
    return callable(handler) and handler not in (_handle, signal.default_int_handler) and not _main_task_of(handler)


def _forget_closed_loops() -> None:
    for running in tuple(_running):
        if running.loop.is_closed():
            end(running)


def _forget_all() -> None:  # pragma: no cover, it runs in forked processes
    _running.clear()
    _in_main_thread.clear()
    _put_back()


def _default(number: signal.Signals) -> Any:
    return signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL


def _handle(number: int, frame: FrameType | None) -> None:
    global _received, _shutdowns
    number = signal.Signals(number)
    _forget_closed_loops()
    if not _in_main_thread:  # nothing is left to stop
        _put_one_back(number)
        signal.raise_signal(number)
        return
    _received += 1
    if _received == 1:
        _shutdowns += 1
    else:
        Application.impatient = True
        for ours in _replaced:
            signal.signal(ours, _default(ours))
    for running in tuple(_running):
        running.stop_announced = True
    loops = [running.loop for running in _in_main_thread]
    loop = next((loop for loop in reversed(loops) if loop.is_running()), loops[-1])
    loop.call_soon_threadsafe(_hear, number)
    _call_the_one_before(number, frame, loop)


def _hear(number: signal.Signals) -> None:
    logger.info("%s: stopping the services", number.name)  # not in the handler, which may have interrupted logging
    on_shutdown().notify(number)


def _call_the_one_before(number: signal.Signals, frame: FrameType | None, loop: asyncio.AbstractEventLoop) -> None:
    global _untold
    before: Any = _replaced.get(number)
    if not _is_of_the_program(before):
        _untold = number
    else:
        try:
            before(number, frame)
        except (SystemExit, KeyboardInterrupt) as error:
            loop.call_soon_threadsafe(_exit, error)
        except Exception as error:
            loop.call_soon_threadsafe(functools.partial(_report, before, error))


def _shut_down() -> None:
    application().shut_down()


def _exit(error: BaseException) -> None:
    application().exit_with(error)


def _report(handler: object, error: Exception) -> None:
    logger.error("a signal handler failed: %r", handler, exc_info=traced(error))


def _stop_all(number: signal.Signals) -> None:
    """Stop everything, each service on its own loop. This listens to `on_shutdown()` while anything runs."""
    for loop in {id(running.loop): running.loop for running in tuple(_running)}.values():
        if loop is asyncio._get_running_loop():
            application().shut_down()
        elif not loop.is_closed():
            loop.call_soon_threadsafe(_shut_down)


if hasattr(os, "register_at_fork"):  # pragma: no branch
    os.register_at_fork(after_in_child=_forget_all)  # the services run in the parent
