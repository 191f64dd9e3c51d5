"""The driver: threads that carry out a plan on a target, each on its own event loop, and what they record.

Between two bursts the driver waits until all is at rest, and records that. A rest that is none would accuse a sound target, and one
that is never seen would let a lost wake-up pass. So the loops themselves tell what is left to run (`loops`), and a loop that sleeps
beside a ready callback is at rest.
"""

import asyncio
import inspect
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from aioservicekit_model.channel.history import (
    JOINS,
    READS,
    Event,
    abandon,
    call,
    cancel,
    raised,
    rest,
    returned,
    settle,
)

from ..running.stepped import Message
from ..running.watchdog import alive, describe_error
from ..target import Target
from .chaos import LONG, PAUSES, Chaos, is_the_targets, switching_often
from .loops import LOOPS, Due, LiveLoop, Work
from .plan import Action, Plan
from .recording import Recorded, Recording, Settling

__all__ = ["Run", "perform"]

ROUNDS = (
    20  # a callback or a timer that recurs this often and changes nothing that can be seen is no obstacle to a rest
)
LOOK = 0.0002  # seconds between two looks at what is left to run
GRACE = 0.1  # seconds of silence: for what wakes unseen, such as a thread of the target's own
BUSY = 1.0  # seconds of silence that count even if such a thread still runs: it polls
BLOCKED = 0.0005  # seconds: a loop that dies may be blocked before, and leaves a queue behind
NO_REST = 60.0  # seconds in which nothing that can be seen changes, and yet there is no rest
ENDING = 10.0  # seconds for a thread to end whose loop is at rest
PATIENCE = 15.0  # seconds without any callback's end or any event, after which the target hangs


class Hang(Exception):
    """The target hangs; the text says where."""


class Run:
    """What a plan has led to.

    Attributes:
        recorded: what the threads have seen.
        errors: for operations that raised, the error with its text, and the file and line that raised it.
        slept: the rests, as indices in the history, at which a loop slept beside a callback that was ready.
        hung: where the target hangs, or "".
    """

    def __init__(self, plan: Plan, recording: Recording) -> None:
        self.plan = plan
        self.recorded: list[Recorded] = recording.events
        self.errors = recording.errors
        self.slept: set[int] = set()
        self.hung = ""

    @property
    def history(self) -> list[Event]:
        return [event for _, event in self.recorded]


def perform(target: Target, plan: Plan, bystanders: Iterable[threading.Thread] | None = None) -> Run:
    """Carry out a plan on a new channel; it ends, even if the target hangs.

    Args:
        bystanders: threads that are none of the target's; by default, those that there are by now.
    """
    return _Driver(target, plan, threading.enumerate() if bystanders is None else bystanders).run()


class _Driver:
    def __init__(self, target: Target, plan: Plan, bystanders: Iterable[threading.Thread]) -> None:
        self.target = target
        self.channel = target.channel(plan.default_size)
        self.work = Work()
        self.recording = Recording()
        self.chaos = Chaos(plan.chaos, LONG if plan.alone else PAUSES, plan.seed)
        self.endpoints: dict[str, list[tuple[str, Any]]] = {"connect": [], "subscribe": []}
        self.loop_class = LOOPS[plan.loops]
        self.plan = plan
        self._bystanders = set(bystanders)
        self._lanes = [_Lane(self, number) for number in range(1, plan.threads + 1)]
        self._run = Run(plan, self.recording)

    def run(self) -> Run:
        with ExitStack() as stack:
            stack.enter_context(switching_often())
            stack.enter_context(self.chaos.in_new_threads())
            for lane in self._lanes:
                lane.start()
            try:
                self._carry_out()
            except Hang as hang:
                self._run.hung = str(hang)
                self.chaos.over = True
            for lane in self._lanes:
                lane.end()
            for lane in () if self._run.hung else self._lanes:
                alive()
                lane.thread.join(ENDING)
                if lane.thread.is_alive():
                    self._run.hung = self._where()
        return self._run

    def _carry_out(self) -> None:
        chance = Random(self.plan.seed)
        for burst in self.plan.bursts:
            together = threading.Barrier(len(self._lanes))
            for lane, actions in zip(self._lanes, burst, strict=True):
                lane.begin(actions, together)
            if chance.random() < 0.5:
                self._let_time_pass()
            self._rest()
        self._lanes[0].drain()
        self._rest()

    # Rest

    def _rest(self) -> None:
        """Wait until all is at rest, and record it."""
        seen, passed = -1, 0
        while True:
            self._wait_until_settled()
            if seen != len(self.recording.events):
                seen, passed = len(self.recording.events), 0
            if passed == ROUNDS or not self._let_time_pass():
                break
            passed += 1
        if self.work.strays:
            self._run.slept.add(len(self.recording.events))
        self.recording.see(0, rest())

    def _let_time_pass(self) -> bool:
        """Let time jump to the last of the timers; False if there are none."""
        timers = [timer for lane in self._lanes for timer in lane.loop.timers if not timer.cancelled()]
        if not timers:
            return False
        self.work.now = max(self.work.now, *(timer.when() for timer in timers))
        for lane in self._lanes:
            lane.call(lane.fire)
        return True

    def _wait_until_settled(self) -> None:
        """Wait until no callback is left but those that recur and change nothing."""
        silence = _Silence(self)
        while not silence.over():
            time.sleep(LOOK)
            alive()  # it has its own patience
            if (silence.lasts(PATIENCE) and not silence.moves()) or silence.lasts(NO_REST):
                raise Hang(self._where())

    @property
    def loops(self) -> list[LiveLoop]:
        return [lane.loop for lane in self._lanes]

    def outside(self) -> bool:
        """Whether something may wake a loop unseen."""
        return self.work.reaches_out or bool(self.strangers())

    def strangers(self) -> list[threading.Thread]:
        """The threads that the target has started."""
        ours = {lane.thread for lane in self._lanes} | self._bystanders
        return [thread for thread in threading.enumerate() if thread not in ours]

    def _where(self) -> str:
        frames = sys._current_frames()
        busy = [lane for lane in self._lanes if self._is_busy(lane)] or self._lanes
        return "; ".join(f"{_place(frames.get(lane.thread.ident or 0))} (thread {lane.number})" for lane in busy)

    def _is_busy(self, lane: "_Lane") -> bool:
        if lane.over:
            return lane.thread.is_alive()
        return any(getattr(each, "loop", None) is lane.loop for each in self.work.due)


class _Silence:
    """How long nothing that can be seen has changed."""

    def __init__(self, driver: _Driver) -> None:
        self._driver = driver
        self._begin()

    def _begin(self) -> None:
        self._events = len(self._driver.recording.events)
        self._ran = {loop: loop.ran for loop in self._driver.loops}
        self._since = self._moved = self._busy = time.monotonic()
        self._callbacks = -1

    def lasts(self, seconds: float) -> bool:
        return time.monotonic() - self._since >= seconds

    def moves(self) -> bool:
        """Whether a callback has ended within the time after which a target hangs."""
        callbacks = sum(loop.ran for loop in self._driver.loops)
        if callbacks != self._callbacks:
            self._callbacks, self._moved = callbacks, time.monotonic()
        return time.monotonic() - self._moved < PATIENCE

    def over(self) -> bool:
        """Whether all is at rest, but for what recurs and changes nothing."""
        if len(self._driver.recording.events) != self._events or {*self._ran} != {*self._driver.loops}:
            self._begin()
            return False
        due = self._driver.work.due.copy()
        if not all(self._recurs(each, len(due)) for each in due):
            return False
        unseen = self._driver.outside() or self._driver.work.strays
        if unseen and any(map(_is_running, self._driver.strangers())):
            self._busy = time.monotonic()
        if unseen and time.monotonic() - max(self._since, self._busy) < GRACE and not self.lasts(BUSY):
            return False
        return len(self._driver.recording.events) == self._events

    def _recurs(self, each: object, due: int) -> bool:
        """Whether a callback's loop has run so many that each that is due has come again and again."""
        if not isinstance(each, Due) or each.loop not in self._ran:  # its loop may have died meanwhile
            return False
        return each.loop.ran - self._ran[each.loop] > ROUNDS * (1 + due)


def _place(frame: FrameType | None) -> str:
    """The innermost line of the target on a thread's stack."""
    lines = ((each.f_code.co_filename, line) for each, line in traceback.walk_stack(frame))
    file, line = next((each for each in lines if is_the_targets(each[0])), ("?", 0))
    return f"{Path(file).name}, line {line}"


def block(seconds: float) -> None:
    """Block this thread's loop."""
    time.sleep(seconds)


def _is_running(thread: threading.Thread) -> bool:
    """Whether the system says that a thread is about to do something; only Linux does."""
    try:
        told = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    except OSError:
        return False
    return told.rpartition(")")[2].split()[0] == "R"


class _Lane:
    """A thread, and the loop that runs in it at present."""

    loop: LiveLoop

    def __init__(self, driver: _Driver, number: int) -> None:
        self.number = number
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self._driver = driver
        self._has_chaos = number == 1 or not driver.plan.alone
        self._started = threading.Event()
        self.over = False
        self._to_do: deque[Action] = deque()
        self._tasks: dict[int, asyncio.Task[Any]] = {}  # the operations under way
        self._left_behind: list[asyncio.Task[Any]] = []  # on loops that have gone
        self._kept: list[object] = []  # iterators, which nothing ends

    # The thread

    def start(self) -> None:
        self.thread.start()
        self._started.wait()

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        self.loop.call_soon_threadsafe(function, *arguments)

    def begin(self, actions: tuple[Action, ...], together: threading.Barrier) -> None:
        self._to_do = deque(actions)
        self.call(self._begin, together)

    def drain(self) -> None:
        """Close the channel, send in vain, read what is left: this shows whatever has gone wrong by now."""
        self.call(self._keep, self._drain)

    def fire(self) -> None:
        self.loop.fire()

    def end(self) -> None:
        self.over = True
        self.call(self.loop.stop)

    def _serve(self) -> None:
        with self._driver.chaos.here() if self._has_chaos else nullcontext():
            while not self.over:
                self.loop = self._driver.loop_class(self._driver.work)
                if self._started.is_set():  # the last loop has died
                    self._keep(self._go_on)
                    self._driver.work.due.discard(self)
                self._started.set()
                try:
                    self.loop.run_forever()
                finally:
                    self.loop.gone = True
                    self.loop.close()

    def _begin(self, together: threading.Barrier) -> None:
        together.wait()
        self._keep(self._go_on)

    def _keep(self, coroutine_function: Callable[[], Any]) -> None:
        self._left_behind.append(self.loop.create_task(coroutine_function()))

    # What it does

    async def _go_on(self) -> None:
        while self._to_do:
            action = self._to_do.popleft()
            if action.what == "die":
                block(action.which % 4 * BLOCKED)
                self._die()
                return
            task = self._act(action)
            if action.pause < 0:
                block(-action.pause / 10_000)  # others act on beside it
            for _ in range(max(action.pause, action.hurried)):
                await asyncio.sleep(0)
            if action.hurried:
                self._cancel(task)

    def _die(self) -> None:
        """Close the loop with all that waits on it, and go on with a new one."""
        self._driver.work.due.add(self)  # until there is a new one
        for number in self._tasks:
            self._see(abandon(number))
        for coroutine in [task.get_coro() for task in self._left_behind]:
            if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
                coroutine.close()  # it never called its operation
        self._tasks = {}
        self.loop.gone = True
        self.loop.stop()

    def _act(self, action: Action) -> asyncio.Task[Any] | None:
        what = action.what
        if what == "cancel":
            self._cancel([*self._tasks.values()][action.which % len(self._tasks)] if self._tasks else None)
        elif what == "observe":
            self._observe()
        elif what in JOINS:
            return self._start(what, None, action.size)
        else:
            there = {"send": ("connect",), "close": ("connect", "subscribe")}.get(what, ("subscribe",))
            ends = [end for kind in there for end in self._driver.endpoints[kind]]
            if what == "close" and action.which % 10 == 0:
                return self._start(what, ("channel", self._driver.channel))
            if ends:
                return self._start(what, ends[action.which % len(ends)])
        return None

    def _cancel(self, task: asyncio.Task[Any] | None) -> None:
        """Ask an operation to cancel, unless it has ended."""
        for number in [number for number, each in self._tasks.items() if each is task]:
            self._see(cancel(number))  # first the record, since others may see its effect at once
            self._tasks[number].cancel()

    def _start(self, what: str, end: tuple[str, Any] | None, size: int | None = None) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self.loop.create_task(self._do(what, end, size))
        self._left_behind.append(task)
        return task

    async def _do(self, what: str, end: tuple[str, Any] | None, size: int | None = None) -> bool:
        """Carry out an operation, and record it; return whether it has returned."""
        number = self._driver.recording.next_number()
        name, whose = end or (f"{'s' if what == 'subscribe' else 'p'}{number}", self._driver.channel)
        self._see(call(number, what, name, number if what == "send" else size))
        task = asyncio.current_task()
        assert task is not None
        self._tasks[number] = task
        loop = self.loop
        try:
            result = await Settling(self._operation(what, whose, number, size), partial(self._see, settle(number)))
        except BaseException as error:
            if loop.gone:
                raise
            del self._tasks[number]
            if not isinstance(error, (self._driver.target.closed_error, asyncio.CancelledError, StopAsyncIteration)):
                self._driver.recording.errors[number] = describe_error(error)
            self._see(raised(number, self._error_name(error)))
            return False
        del self._tasks[number]
        self._see(returned(number, self._message(result) if what in READS else None))
        if what in JOINS:  # others see it only now: a call on it comes after the end of its join
            self._driver.endpoints[what].append((name, result))
        return True

    def _operation(self, what: str, whose: Any, number: int, size: int | None) -> Awaitable[Any]:
        if what == "send":
            return whose.send(Message(number))  # type: ignore[no-any-return]
        if what == "next":
            iterator = aiter(whose)
            self._kept.append(iterator)
            return anext(iterator)
        arguments = {} if size is None else {"buffer_size": size}
        return getattr(whose, what)(**arguments)  # type: ignore[no-any-return]

    def _observe(self) -> None:
        number = self._driver.recording.next_number()
        self._see(call(number, "observe", "channel"))
        try:
            state = self._driver.channel.state
            seen = self._driver.target.states.get(state, repr(state))
        except Exception as error:
            seen = f"state raises {describe_error(error)}"
        self._see(returned(number, seen))

    async def _drain(self) -> None:
        self._observe()
        await self._do("close", ("channel", self._driver.channel))
        self._observe()
        for what in JOINS:
            await self._do(what, None)
        for end in self._driver.endpoints["connect"]:
            await self._do("send", end)
        sent = sum(event.kind == "send" for _, event in self._driver.recording.events)
        for end in self._driver.endpoints["subscribe"]:
            for _ in range(sent + 1):  # a target may return messages for ever
                if not await self._do("read", end):
                    break

    def _see(self, event: Event) -> None:
        if not self.loop.gone:
            self._driver.recording.see(self.number, event)

    def _error_name(self, error: BaseException) -> str:
        return "ChannelClosedError" if isinstance(error, self._driver.target.closed_error) else type(error).__name__

    def _message(self, value: object) -> int | str:
        return value.number if isinstance(value, Message) else repr(value)
