"""Two threads use a channel, and are stopped at chosen instructions. The model judges the history of what they have seen.

The first thread is stopped before one of its instructions in the library; there the second one runs. In a *window of two
instructions* the second one is stopped too, before the end; the first one goes on from there to its end, and then the second.
Whoever comes to the lock while the other one holds it lets the other one go on.
"""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import count
from typing import Any, NamedTuple
from unittest.mock import patch

from taking_turns import EVERY, SHARED, Stop, Turns

from aioservicekit import Channel, ChannelClosedError, _runtime
from aioservicekit_conformance.running.loop import SteppedLoop
from aioservicekit_model.channel import foresight
from aioservicekit_model.channel.history import (
    CANCELLED,
    CLOSED,
    JOINS,
    Event,
    abandon,
    call,
    cancel,
    raised,
    rest,
    returned,
    settle,
)

__all__ = ["Refused", "Scenario", "Swept", "Trial", "lines_of", "single_stops", "windows"]


class Scenario(NamedTuple):
    """What two threads, each with its own loop, do to a channel. Words are separated by spaces.

    `p.send`, `s1.read`, `s1.close`, `channel.close`, `channel.subscribe` and so on call an operation on one of the publishers p
    and q, the subscribers s1, s2, ... or the channel, and let it run until it ends or waits. `cancel` cancels the operation that
    the thread has called first, of those that wait. `run` lets those go on that have been completed. `loop.close` closes the
    thread's loop with all that waits on it; what comes next has a new one. Words joined by `+` come in one turn of the loop: what
    they have completed does not go on before the last of them.

    Attributes:
        sizes: the sizes of the subscribers' buffers.
        before: what has been done already, by the second thread; after the word `first:` by the first one, until `second:`.
        first, second: what the threads do then.
        publishers: how many of them there are.
    """

    sizes: tuple[int, ...]
    before: str
    first: str
    second: str
    publishers: int = 1


class Loop(SteppedLoop):
    """An event loop that other threads may wake, but only in the way that asyncio permits."""

    def call_soon(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
        if self._thread != threading.get_ident():
            raise RuntimeError("call_soon() from another thread: its loop may never notice")  # CH-6.2
        return super().call_soon(*args, **kwargs)

    def call_soon_threadsafe(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
        return super().call_soon(*args, **kwargs)

    def run_until_rest(self, *_: Any, **__: Any) -> None:
        self._thread = threading.get_ident()
        while self.step():
            pass


class User:
    """A thread's loop, and what it has called there."""

    def __init__(self, trial: "Trial") -> None:
        self._trial = trial
        self._new_loop()

    def _new_loop(self) -> None:
        self.loop = Loop()
        self._waiting: dict[int, asyncio.Task[None]] = {}
        self._settled: set[int] = set()

    def do(self, program: str) -> None:
        for turn in program.split():
            self.loop._thread = threading.get_ident()
            *first, word = turn.split("+")
            for each in first:
                self._trial.call(each, self)
            for _ in first:
                self.loop.step()
            if word == "run":
                pass
            elif word == "cancel":
                self._cancel()
            elif word == "loop.close":
                self._close_loop()
            else:
                self._trial.call(word, self)
            self.run()

    def run(self) -> None:
        """Run all that can run, and note what waits."""
        self.loop.run_until_rest()
        for number in sorted(self._waiting.keys() - self._settled):
            self._settled.add(number)
            self._trial.see(settle(number))

    def start(self, number: int, operation: Any) -> None:
        async def run() -> None:
            await operation
            del self._waiting[number]

        self._waiting[number] = task = self.loop.create_task(run())
        task._log_destroy_pending = False  # type: ignore[attr-defined]

    def _cancel(self) -> None:
        for number in list(self._waiting)[:1]:
            self._trial.see(cancel(number))
            self._waiting[number].cancel()

    def _close_loop(self) -> None:
        for number in self._waiting:
            self._trial.see(abandon(number))
        self._trial.dead.append((self.loop, self._waiting))
        self.loop.close()
        self._new_loop()


class Trial:
    """A scenario in which the first thread is stopped at one instruction, and perhaps the second one at another.

    Attributes:
        history: what the threads have seen.
        stops: of the first thread, and of the second.
        dead: closed loops, with what waits on them for ever.
    """

    def __init__(
        self, threads: Executor, scenario: Scenario, first: int, second: int = 0, unnoticed: tuple[str, ...] = EVERY
    ) -> None:
        self._scenario = scenario
        self._turns = Turns(threads)
        self._endpoints: dict[str, Any] = {}
        self._numbers = 0
        self.history: list[Event] = []
        self.dead: list[object] = []
        self._one, self._other = User(self), User(self)
        other = self._turns.start(self._second)
        self.stops = (
            Stop(first, lambda: self._turns.let(other), unnoticed),
            Stop(second, lambda: self._turns.let(self._first), unnoticed),
        )
        self._first = self._turns.running

    def run(self) -> None:
        with patch.object(_runtime, "threading", self._turns):
            try:
                self._prepare()
                with self.stops[0]:
                    self._one.do(self._scenario.first)
                self._turns.finish()
                self._go_on()
            finally:
                self._one.do("channel.close")

    def _second(self) -> None:
        with self.stops[1]:
            self._other.do(self._scenario.second)

    def _prepare(self) -> None:
        self._endpoints["channel"] = Channel[int]()
        for name in "pq"[: self._scenario.publishers]:
            self._join("connect", name, self._other)
        for index, size in enumerate(self._scenario.sizes, 1):
            self._join("subscribe", f"s{index}", self._other, size)
        self._other.run()
        user = self._other
        for word in self._scenario.before.split():
            if word in ("first:", "second:"):
                user = self._one if word == "first:" else self._other
            else:
                user.do(word)

    def _go_on(self) -> None:
        """Some more operations, in which whatever has gone wrong shows."""
        self._rest()
        publishers = [name for name in self._endpoints if name[0] in "pq"]
        subscribers = [name for name in self._endpoints if name[0] == "s"]
        self._one.do("".join(f"{name}.send " for name in publishers))
        self._other.do("".join(f"{name}.read " for name in subscribers))
        self._rest()
        self._other.do("channel.close")
        sends = sum(event.kind == "send" for event in self.history)
        for name in subscribers:
            for _ in range(sends + 1):
                self._one.do(f"{name}.read")
                if self.history[-1].what != "return":
                    break
        self._rest()

    def _rest(self) -> None:
        for _ in range(3):
            self._one.run()
            self._other.run()
        self.see(rest())

    def see(self, event: Event) -> None:
        self.history.append(event)

    def call(self, word: str, user: User) -> None:
        on, what = word.split(".")
        if what in JOINS:
            self._join(what, f"{'p' if what == 'connect' else 's'}{self._numbers + 1}", user, 1)
        else:
            self._start(what, on, user, on)

    def _join(self, what: str, name: str, user: User, size: int | None = None) -> None:
        self._start(what, "channel", user, name, size if what == "subscribe" else None)

    def _start(self, what: str, on: str, user: User, name: str, size: int | None = None) -> None:
        self._numbers += 1
        number = self._numbers
        value = number if what == "send" else size

        async def operate() -> None:
            arguments = [number] if what == "send" else []
            options = {"buffer_size": size} if what == "subscribe" else {}
            self.see(call(number, what, name, value))
            try:
                got = await getattr(self._endpoints[on], what)(*arguments, **options)
            except ChannelClosedError:
                self.see(raised(number, CLOSED))
            except asyncio.CancelledError:
                self.see(raised(number, CANCELLED))
            except Exception as error:
                self.see(raised(number, repr(error)))
            else:
                self.see(returned(number, None if what in JOINS else got))
                if what in JOINS:
                    self._endpoints[name] = got

        user.start(number, operate())


class Swept(NamedTuple):
    """What a sweep has covered.

    Attributes:
        trials: how many stops, or pairs of stops.
        histories: those that were seen.
    """

    trials: int
    histories: frozenset[tuple[Event, ...]]


class Refused(AssertionError):
    """The model does not explain what was seen."""


def single_stops(scenario: Scenario, unnoticed: tuple[str, ...] = EVERY) -> Swept:
    """Stop the first thread at each instruction.

    Raises:
        Refused: the model does not explain a history.
    """
    return _swept(scenario, lambda threads: _singles(threads, scenario, unnoticed))


def windows(scenario: Scenario) -> Swept:
    """Stop the first thread at each instruction that others may notice, and at each of them the second thread likewise.

    Raises:
        Refused: the model does not explain a history.
    """
    return _swept(scenario, lambda threads: _pairs(threads, scenario))


def lines_of(scenario: Scenario) -> set[tuple[str, int]]:
    """The lines of the library through which the first thread comes, each with its function."""
    with ThreadPoolExecutor() as threads:
        trial = Trial(threads, scenario, sys.maxsize)
        trial.run()
    return trial.stops[0].lines


def _singles(threads: Executor, scenario: Scenario, unnoticed: tuple[str, ...]) -> Iterator[Trial]:
    for first in count(1):
        trial = Trial(threads, scenario, first, 0, unnoticed)
        trial.run()
        yield trial
        if not trial.stops[0].happened:
            return


def _pairs(threads: Executor, scenario: Scenario) -> Iterator[Trial]:
    for first in count(1):
        for second in count(1):
            trial = Trial(threads, scenario, first, second, SHARED)
            trial.run()
            yield trial
            if not trial.stops[0].happened:
                return
            if not trial.stops[1].happened:  # it has ended, or waited for the lock, before
                break


def _swept(scenario: Scenario, trials: Callable[[Executor], Iterator[Trial]]) -> Swept:
    histories: set[tuple[Event, ...]] = set()
    number = 0  # the last trial is stopped nowhere
    with collected_between(), ThreadPoolExecutor() as threads:
        for number, trial in enumerate(trials(threads)):  # noqa: B007
            history = tuple(trial.history)
            histories.add(history)
            refused = first_refused(history)
            if refused is not None:
                places = [stop.place for stop in trial.stops if stop.happened]
                raise Refused("\n".join((str(scenario), *places, *map(str, history[: refused + 1]))))
    return Swept(number, frozenset(histories))


@cache
def first_refused(history: tuple[Event, ...]) -> int | None:
    return foresight.first_refused(0, history)


@contextmanager
def collected_between() -> Iterator[None]:
    """No finalizer of an earlier trial runs within a later one, where its instructions would count."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
        gc.collect()
