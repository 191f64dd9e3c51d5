"""The model as an implementation: a channel that does what the model permits and, with a rule relaxed, what it forbids.

With the strict model, it is a sound channel. With one rule relaxed, it prefers those of its steps that the strict model forbids.
So it breaks just this rule, and the suite must refuse it and blame this rule.
"""

import asyncio
import weakref
from collections.abc import Iterator
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Self

from aioservicekit_model.channel import machine as strict
from aioservicekit_model.channel.history import CLOSED, EXHAUSTED, JOINS, READS, call, cancel, observe, raised, returned
from aioservicekit_model.channel.machine import CLOSED_PHASE, INITIATION, OPEN, Operation, State, overdue
from aioservicekit_model.channel.past import StateWithPast
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE, relaxed
from aioservicekit_model.channel.wrong_effects import with_belated

__all__ = ["RELAXABLE", "modelled", "target_without"]

GIVEN_BACK = {"send": "CH-3.9", "read": "CH-4.8", "next": "CH-4.8"}
RELAXABLE = RULES_OF_THE_MACHINE | {
    "CH-2.3",
    "CH-3.9",
    "CH-4.8",
    "CH-5.4",
}  # these four are not about what histories contain
RELUCTANT = frozenset({"CH-2.1", "CH-3.7"})  # if relaxed, any operation may fail; the mistake is one that does not


# Requests to cancel that are owed to tasks, each with the number that the task had been told of before.
owed: "weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[int, asyncio.CancelledError]]" = weakref.WeakKeyDictionary()


def running_task() -> "asyncio.Task[Any]":
    task = asyncio.current_task()
    assert task is not None
    return task


def give_back(error: asyncio.CancelledError, heard: int) -> None:
    """Ask the running task to cancel again when it next suspends, unless the request has been withdrawn by then."""
    task = running_task()
    owed[task] = min(heard, task.cancelling() - 1), error
    asyncio.get_running_loop().call_soon(ask_again, task)


def ask_again(task: "asyncio.Task[Any]") -> None:
    heard, error = owed.pop(task, (0, None))
    if error and task.cancelling() > heard and task.cancel(*error.args):
        task.uncancel()  # it has already been counted


class _Endpoint:
    def __init__(self, channel: "_Channel", name: str) -> None:
        self._channel = channel
        self._name = name

    async def close(self) -> None:
        await self._channel.operate("close", self._name)

    async def send(self, message: object) -> None:
        await self._channel.operate("send", self._name, message)

    async def read(self) -> Any:
        return await self._channel.operate("read", self._name)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await self._channel.operate("next", self._name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        if "CH-5.4" not in self._channel._relaxed:
            await self.close()


class _Channel(_Endpoint):
    def __init__(self, buffer_size: int, rules: frozenset[str], closed_error: type[Exception]) -> None:
        super().__init__(self, "channel")
        self._relaxed = rules
        self._check(buffer_size)
        self._closed_error = closed_error
        self._machine = relaxed(*rules)
        self._now = self._preferred(list(self._machine.initial(buffer_size)), list(strict.initial(buffer_size)))
        self._number = 0
        self._messages: dict[int, object] = {}
        self._waiting: dict[int, asyncio.Future[None]] = {}

    @property
    def state(self) -> str:
        *_, self._now = with_belated(self._now)
        turns_back = "CH-1.7" in self._relaxed and self._now.past.seen == OPEN
        self._now = next(self._machine.see(self._now, observe(INITIATION if turns_back else self._state.phase)))
        return self._state.phase

    @property
    def _state(self) -> State:
        return self._now.state

    async def subscribe(self, *, buffer_size: int | None = None) -> _Endpoint:
        if buffer_size is not None:
            self._check(buffer_size)
        name = f"s{self._number}"
        await self.operate("subscribe", name, buffer_size)
        return _Endpoint(self, name)

    def _check(self, buffer_size: object) -> None:
        if "CH-2.3" in self._relaxed:
            return
        if isinstance(buffer_size, bool) or not isinstance(buffer_size, int):
            raise TypeError(f"buffer_size must be an int, 0 or more, not {buffer_size!r}")
        if buffer_size < 0:
            raise ValueError(f"buffer_size must be 0 (unbounded) or more, not {buffer_size}")

    async def connect(self) -> _Endpoint:
        name = f"p{self._number}"
        await self.operate("connect", name)
        return _Endpoint(self, name)

    async def operate(self, kind: str, on: str, value: Any = None) -> Any:
        self._number += 1
        number = self._number
        if kind == "send":
            self._messages[number] = value
            value = number
        event = call(number, kind, on, value)
        self._now = self._preferred(list(self._machine.see(self._now, event)), list(strict.see(self._state, event)))
        if kind in JOINS and "CH-2.6" in self._relaxed:  # a join without a pause can't be cancelled
            await self._pause(number)
        self._settle(number)
        if self._state.operation(number).outcome is None:
            self._waiting[number] = asyncio.get_running_loop().create_future()
            task = running_task()
            heard, late = owed.pop(task, (0, None))
            if late and task.cancelling() > heard:  # this is the suspension at which the request is due
                (self._now,) = self._machine.see(self._now, cancel(number))
                self._settle(number)
                del self._waiting[number]
                return self._end(number)
            heard = task.cancelling()
            try:
                await self._waiting[number]
            except asyncio.CancelledError as error:  # an operation that has already ended may still return
                (self._now,) = self._machine.see(self._now, cancel(number))
                self._settle(number)
                outcome = self._state.operation(number).outcome
                if outcome and outcome.what == "return" and GIVEN_BACK.get(kind) not in self._relaxed:
                    give_back(error, heard)
            finally:
                del self._waiting[number]
        return self._end(number)

    async def _pause(self, number: int) -> None:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            (self._now,) = self._machine.see(self._now, cancel(number))

    def _end(self, number: int) -> Any:
        op = self._state.operation(number)
        outcome = op.outcome
        if outcome is None:  # cancelled, and not given up because of a relaxed rule
            raise asyncio.CancelledError
        event = returned(number, outcome.value) if outcome.what == "return" else raised(number, str(outcome.value))
        message = self._messages[outcome.value] if op.kind in READS and isinstance(outcome.value, int) else None
        self._now = next(iter(self._machine.see(self._now, event)))
        self._settle(None)
        if outcome.what == "return":
            return message
        raise {CLOSED: self._closed_error, EXHAUSTED: StopAsyncIteration}.get(
            str(outcome.value), asyncio.CancelledError
        )

    def _settle(self, called: int | None) -> None:
        """Take every possible step, and wake the operations that have ended."""
        while after := self._acceptable(
            list(self._steps(called)), [state for _, _, state in strict.steps(self._state)]
        ):
            self._now = after[0]
        for number, future in self._waiting.items():
            if self._state.operation(number).outcome is not None and not future.done():
                future.set_result(None)
        self._messages = {number: self._messages[number] for number in self._readable()}

    def _readable(self) -> set[int]:
        """The numbers of the messages that somebody can still read, or that a mistake may yet deliver."""
        state, past = self._now
        return self._messages.keys() & {
            *(op.value for op in state.operations if op.kind == "send"),
            *(op.outcome.value for op in state.operations if op.outcome),
            *(message for subscriber in state.subscribers for message in subscriber.buffer),
            *(message for _, message in past.arriving),
            *past.recent,
            *past.unheard,
        }

    def _steps(self, called: int | None) -> Iterator[StateWithPast]:
        for _, op, after in self._machine.steps(self._now):
            if after != self._now and not (self._may_sleep(op) and self._forgotten(op, called)):
                yield after

    def _may_sleep(self, op: Operation) -> bool:
        """Whether a relaxed rule allows rest where the strict model has an unmet obligation, and no other rule forbids it."""
        alone = self._state._replace(operations=(op,))
        once_first = [due for _, due in overdue(alone)]
        by_now = [due for each, due in overdue(self._state) if each == op]
        neglected = partial(self._machine.is_neglected, self._now, op)
        return any(map(neglected, once_first)) and all(map(neglected, by_now))

    def _forgotten(self, op: Operation, called: int | None) -> bool:
        """Operations are forgotten: those that wait, and joins while sends wait. A closing takes effect late."""
        if op.kind == "close":
            return op.number == called
        return op.number != called or (
            op.kind in JOINS and any(each.kind == "send" and each.outcome is None for each in self._state.operations)
        )

    def _preferred(self, possible: list[StateWithPast], permitted: list[State]) -> StateWithPast:
        return (self._acceptable(possible, permitted) or possible)[0]

    def _acceptable(self, possible: list[StateWithPast], permitted: list[State]) -> list[StateWithPast]:
        """First what the strict model forbids, then what it permits."""
        forbidden = [now for now in possible if now.state not in permitted]
        if self._relaxed & RELUCTANT:  # otherwise nobody would ever join, and no send would return
            forbidden = [now for now in forbidden if not any(_fails(op) for op in now.state.operations)]
        return forbidden + [now for now in possible if now.state in permitted]


def _fails(op: Operation) -> bool:
    return op.outcome is not None and op.outcome.what != "return"


@cache
def modelled(*relaxed: str) -> Any:
    """A target that the model drives, with these rules relaxed.

    Command lines can name such targets: `aioservicekit_conformance.modelled:strict`, and `...:without_CH_3_1` for each rule of
    CH-1 to CH-5.
    """

    class ChannelClosedError(Exception):
        pass

    def channel(buffer_size: int = 0) -> _Channel:
        return _Channel(buffer_size, frozenset(relaxed), ChannelClosedError)

    states = SimpleNamespace(initiation=INITIATION, open=OPEN, closed=CLOSED_PHASE)
    return SimpleNamespace(Channel=channel, ChannelState=states, ChannelClosedError=ChannelClosedError)


def target_without(rule: str) -> str:
    """The target name, as on a command line, of the model with this rule relaxed."""
    return f"{__package__}.modelled:without_{rule.replace('-', '_').replace('.', '_')}"


def __getattr__(name: str) -> Any:
    if name == "strict":
        return modelled()
    relaxed = {target_without(rule).partition(":")[2]: rule for rule in RELAXABLE}
    if name in relaxed:
        return modelled(relaxed[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
