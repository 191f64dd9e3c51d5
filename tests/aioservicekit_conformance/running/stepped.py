"""A case of a target in Python: it runs on a hand-stepped loop."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from aioservicekit_model.channel.history import READS

from .case import Action, Case, Renaming
from .loop import Quiet, SteppedLoop
from .watchdog import Hang, describe_error

if TYPE_CHECKING:
    from ..target import Target

__all__ = ["Message", "SteppedCase", "hanging"]

NO_REST = 10_000  # a target that shows new things for this many callbacks never rests


class Message:
    """A message: false, and equal to every other one, because what a channel carries is none of its business."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __bool__(self) -> bool:
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"message {self.number}"


class SteppedCase(Case):
    """A target's channel under test, on a loop of its own."""

    def __init__(self, target: "Target", default_size: int, renaming: Renaming | None = None) -> None:
        super().__init__(target, default_size, renaming)
        self._target = target
        self.loop = SteppedLoop()
        self.loop.scheduled = self._note_wake_up
        self._threads = threading.active_count()
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._numbers: dict[object, int] = {}
        self._iterators: list[object] = []
        self._channel: Any = None
        self._state: object = None
        building = self.loop.start(self._build())  # in a running loop: a separate check builds one without
        error = building.exception()
        if error is None:
            self._observe(self._state_seen())
        else:
            self.escaped = f"a constructor that raises {describe_error(error)}"
            self.hung = hanging(error) if isinstance(error, Hang) else None

    async def _build(self) -> None:
        self._channel = self._target.channel(self.default_size)

    def _carry_out(self, action: Action) -> None:
        if action.what == "cancel":
            self._tasks[action.op].cancel()
        else:
            task = self._tasks[action.op] = self.loop.start(self._watch(action, self._operation(action)))
            self._numbers[task] = action.op
        self._observe(self._state_seen())
        self._run(action.after)

    def finish(self) -> None:
        super().finish()
        self.loop.retire()

    def go_on(self, callbacks: int | None) -> None:
        """Let the loop run further after the last action, as if the action had said so; None is until all is at rest."""
        *_, last = self.actions
        self.actions[-1] = last._replace(after=None if callbacks is None else (last.after or 0) + callbacks)
        self._run(callbacks)

    @property
    def roots(self) -> list[object]:
        """All objects from which the target's part in this case can be reached, always in the same order."""
        tasks = sorted((self._renaming.operation(number), self._tasks[number]) for number in self.pending)
        callbacks = [handle for handle, *_ in self.loop._ready]
        timers = [handle for _, _, handle, _ in sorted(self.loop._timers, key=lambda timer: timer[:2])]
        return [self._channel, sorted(self._endpoints.items()), tasks, callbacks, timers]

    # What the target does

    def _operation(self, action: Action) -> Callable[[], Coroutine[Any, Any, Any]]:
        if action.what == "subscribe":
            return lambda: (
                self._channel.subscribe() if action.size is None else self._channel.subscribe(buffer_size=action.size)
            )
        if action.what == "connect":
            return lambda: self._channel.connect()
        endpoint = self._channel if action.on == "channel" else self._endpoints[action.on]
        if action.what == "send":
            return lambda: endpoint.send(Message(action.op))
        if action.what == "next":
            return lambda: self._step_of_iteration(endpoint)
        return lambda: getattr(endpoint, action.what)()

    async def _step_of_iteration(self, endpoint: Any) -> Any:
        """Begin an `async for`: its iterator may be an asynchronous generator, and is kept, because nothing ends it."""
        iterator = aiter(endpoint)
        self._iterators.append(iterator)
        return await anext(iterator)

    async def _watch(self, action: Action, operation: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        try:
            value = await operation()
        except KeyboardInterrupt:
            raise
        except Hang as hang:
            self.hung = hanging(hang)
        except BaseException as error:
            if isinstance(error, GeneratorExit) and asyncio._get_running_loop() is not self.loop:
                raise  # the case is over, and collected
            self._raised(action.op, *self._target.told(error))
        else:
            self._returned(action.op, _message(value) if action.what in READS else value)

    # What is observed

    def _state_seen(self) -> str:
        try:
            self._state = self._channel.state
            return self._target.states.get(self._state, repr(self._state))
        except Hang as hang:
            self.hung = hanging(hang)
            return f"not to be read: it hangs at {hang}"
        except (Exception, SystemExit) as error:
            self._state = f"not to be read: it raises {describe_error(error)}"
            return self._state

    def _run(self, callbacks: int | None) -> None:
        quiet = Quiet(self.loop)
        for _ in range(NO_REST if callbacks is None else callbacks):
            if (callbacks is None and quiet.over((len(self.history), self._state))) or not self.loop.step():
                break
            self._observe(self._state_seen())
        else:
            if callbacks is None:
                self.loop.escapes.append(f"no rest after {NO_REST} callbacks")
        self._at_rest = callbacks is None
        if threading.active_count() > self._threads:
            self.loop.escapes.append("its own thread")
        if self.loop.escapes and self.escaped is None:
            self._escape(self.loop.escapes[0])
        if callbacks is None and not (self.escaped or self.hung):
            self._rest()

    def _note_wake_up(self, callback: object) -> None:
        whose = getattr(callback, "__self__", None)
        number = self._numbers.get(whose) if isinstance(whose, asyncio.Task) else None  # others may have no hash
        if number in self.pending:
            self.wake_ups.append((len(self.history), number))


def hanging(hang: Hang) -> str:
    """What to say of a target that hangs."""
    return f"hangs: for seconds it ran at {hang}"


def _message(value: object) -> int | str:
    return value.number if isinstance(value, Message) else repr(value)
