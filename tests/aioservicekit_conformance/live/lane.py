"""A lane: a thread with an event loop in it, which does what a plan says, and records what comes of it."""

import asyncio
import inspect
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

from aioservicekit_model.channel.history import JOINS, READS, Event, abandon, call, cancel, raised, returned, settle
from aioservicekit_model.channel.machine import CLOSED_PHASE

from ..running.stepped import Message
from ..running.watchdog import describe_error
from ..target import Target
from .chaos import LONG, PAUSES, Chaos
from .loops import LOOPS, LiveLoop, Work
from .plan import Action, Plan
from .recording import Recording, Settling

__all__ = ["Lane", "Shared"]

LURKING = 0.01  # seconds, at most
BLOCKED = 0.0005  # seconds: a loop that dies may be blocked before, and leaves a queue behind


class Shared:
    """What the lanes of one run share.

    Attributes:
        endpoints: those that have been made, each with its name, with "subscribe" or "connect".
    """

    def __init__(self, target: Target, plan: Plan) -> None:
        self.target = target
        self.plan = plan
        self.channel = target.channel(plan.default_size)
        self.work = Work()
        self.recording = Recording()
        self.chaos = Chaos(plan.chaos, LONG if plan.alone else PAUSES, plan.seed)
        self.endpoints: dict[str, list[tuple[str, Any]]] = {"connect": [], "subscribe": []}


def block(seconds: float) -> None:
    """Block this thread's loop."""
    time.sleep(seconds)


class Lane:
    """A thread, and the loop that runs in it at present."""

    loop: LiveLoop

    def __init__(self, shared: Shared, number: int) -> None:
        self.number = number
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self._shared = shared
        self._has_chaos = number == 1 or not shared.plan.alone
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
        """See the channel closed, send in vain, read what is left: this shows whatever has gone wrong by now."""
        self.call(self._keep, self._drain)

    def fire(self) -> None:
        self.loop.fire()

    def end(self) -> None:
        self.over = True
        self.call(self.loop.stop)

    def _serve(self) -> None:
        with self._shared.chaos.here() if self._has_chaos else nullcontext():
            while not self.over:
                self.loop = LOOPS[self._shared.plan.loops](self._shared.work)
                if self._started.is_set():  # the last loop has died
                    self._keep(self._go_on)
                    self._shared.work.due.discard(self)
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
            if action.what == "lurk":
                self._shared.chaos.pausing.wait(LURKING)
                continue
            task = self._act(action)
            if action.pause < 0:
                block(-action.pause / 10_000)  # others act on beside it
            for _ in range(max(action.pause, action.hurried)):
                await asyncio.sleep(0)
            if action.hurried:
                self._cancel(task)

    def _die(self) -> None:
        """Close the loop with all that waits on it, and go on with a new one."""
        self._shared.work.due.add(self)  # until there is a new one
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
            ends = [end for kind in there for end in self._shared.endpoints[kind]]
            if what == "close" and action.which % 10 == 0:
                return self._start(what, ("channel", self._shared.channel))
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
        number = self._shared.recording.next_number()
        name, whose = end or (f"{'s' if what == 'subscribe' else 'p'}{number}", self._shared.channel)
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
            name, told = self._shared.target.told(error)
            if told:
                self._shared.recording.errors[number] = told
            self._see(raised(number, name))
            return False
        del self._tasks[number]
        self._see(returned(number, self._message(result) if what in READS else None))
        if what in JOINS:  # others see it only now: a call on it comes after the end of its join
            self._shared.endpoints[what].append((name, result))
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

    def _observe(self) -> str:
        number = self._shared.recording.next_number()
        self._see(call(number, "observe", "channel"))
        try:
            state = self._shared.channel.state
            seen = self._shared.target.states.get(state, repr(state))
        except Exception as error:
            seen = f"not to be read: it raises {describe_error(error)}"
        self._see(returned(number, seen))
        return seen

    async def _drain(self) -> None:
        if self._observe() != CLOSED_PHASE:  # a second closing might mend what the first has left
            await self._do("close", ("channel", self._shared.channel))
            self._observe()
        for what in JOINS:
            await self._do(what, None)
        for end in self._shared.endpoints["connect"]:
            await self._do("send", end)
        sent = sum(event.kind == "send" for _, event in self._shared.recording.events)
        for end in self._shared.endpoints["subscribe"]:
            for _ in range(sent + 1):  # a target may return messages for ever
                if not await self._do("read", end):
                    break

    def _see(self, event: Event) -> None:
        if not self.loop.gone:
            self._shared.recording.see(self.number, event)

    def _message(self, value: object) -> int | str:
        return value.number if isinstance(value, Message) else repr(value)
