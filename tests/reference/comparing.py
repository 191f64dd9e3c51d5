"""Services and their model side by side: the model does what the services do, and must explain what is observed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, Literal

from stepping import ReportingLoop

from aioservicekit import Service, ServiceState, run_services
from aioservicekit_model.service.blocks import BLOCK, ENTERING
from aioservicekit_model.service.machine import CALLS, INTERNAL, USERS_PART, initial, steps
from aioservicekit_model.service.policies import FAILING, STARTING_AGAIN, STOPPED_MEANWHILE
from aioservicekit_model.service.properties import OF_ANY, OF_BLOCKS, OF_DEPENDENTS, OF_FAILURES, OF_RESTARTS
from aioservicekit_model.service.restarts import RESTART, RESTARTING
from aioservicekit_model.service.signals import SIGNALS
from aioservicekit_model.service.state import (
    CANCELLED_WORK,
    DONE,
    FAILED,
    IDLE,
    MAX_RESTARTS,
    NO_BLOCK,
    NOTHING,
    READY,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    WORK,
    Dependencies,
    State,
    World,
)

__all__ = ["ACTIONS", "BLOCKS", "ENDS", "SITUATIONS", "Comparison", "Directed"]

FAILURE_STOPS_ALL, LEAVE, BLOCK_HAS_ENDED = BLOCK[:3]  # the rest is about the limit of the shutdown

ACTIONS = {
    action.name: action
    for action in (*CALLS, *SIGNALS, *RESTART, *USERS_PART, *FAILING, *STOPPED_MEANWHILE, *ENTERING, LEAVE)
}
HIDDEN = (*INTERNAL, *RESTARTING, *STARTING_AGAIN, FAILURE_STOPS_ALL, BLOCK_HAS_ENDED)
SITUATIONS = OF_ANY | OF_DEPENDENTS | OF_RESTARTS | OF_FAILURES
SITUATIONS |= {name: happens for name, happens in OF_BLOCKS.items() if name != "a stop hook is cut short"}

# For each action that enters a block: the arguments of `run_services`.
BLOCKS: dict[str, dict[str, Any]] = {
    "a block is entered": {},
    "a block that fails fast is entered": {"on_failure": "stop"},
    "a block without signals is entered": {"signals": False},
}

# What work that raises does, by `on_failure`: the first of these that the model permits.
FAILURES = {
    "stop": ("the work fails",),
    "retry": ("the work fails, and is called again",),
    "restart": ("the work fails, and it starts again", "the work fails"),
}

# For each activity: the actions that end it, by returning and by raising.
ENDS = {
    START_HOOK: ("the start hook returns", "the start hook raises"),
    WORK: ("the work ends", "the work fails"),
    CANCELLED_WORK: ("the cancelled work ends, or is left behind",) * 2,
    STOP_HOOK: ("the stop hook returns", "the stop hook raises"),
}


class Failed(Exception):
    """Raised by hooks and work when the test says so."""


class Directed(Service):
    """A service whose hooks and work end when the test says so, even after they were cancelled."""

    def __init__(self, number: int, uses: "list[Directed]", on_failure: Literal["stop", "retry", "restart"]) -> None:
        super().__init__(
            name=str(number), dependences=uses, grace=None, on_failure=on_failure, max_restarts=MAX_RESTARTS
        )
        self.on_failure = on_failure
        self.number = number
        self.uses = uses
        self.activity = NOTHING
        self.told: asyncio.Future[bool]  # whether what runs should fail
        self.ended: asyncio.Future[bool] | None = None  # what the test said to the activity that ended last
        self.callers = 0  # that wait in `start()`, a block among them
        self.calls: dict[str, list[asyncio.Task[None]]] = {"start": [], "stop": [], "restart": []}

    @property
    def waiting(self) -> "list[asyncio.Task[None]]":
        """The tasks that wait in `start()`."""
        return [task for task in self.calls["start"] if not task.done()]

    def __repr__(self) -> str:
        return f"service {self.number}"

    async def start(self) -> None:
        self.callers += 1
        try:
            await super().start()
        finally:
            self.callers -= 1

    async def __on_start__(self) -> None:
        await self._do(START_HOOK)

    async def __work__(self) -> None:
        await self._do(WORK)

    async def __on_stop__(self) -> None:
        await self._do(STOP_HOOK)

    async def _do(self, activity: str) -> None:
        self.activity = activity
        assert self.state is not ServiceState.STOPPED
        assert not [used for used in self.uses if used.activity in (CANCELLED_WORK, STOP_HOOK)], "torn down"
        cancelled = False
        while True:
            self.told = asyncio.get_running_loop().create_future()
            try:
                fails = await self.told
                break
            except asyncio.CancelledError:
                cancelled = True
                if self.told.done() and not self.told.cancelled():
                    fails = self.told.result()
                    break
                self.activity = CANCELLED_WORK if activity == WORK else activity
        self.activity, self.ended = NOTHING, self.told
        if fails:
            raise Failed
        if cancelled and activity == WORK:
            raise asyncio.CancelledError


class Comparison:
    """Services, and all states of the model that explain what was done to them and what was observed.

    Each action takes place between two callbacks. Then the loop runs a number of callbacks, or, for None, until nothing is left to
    run. At rest, the observations must fit one of the states.

    Attributes:
        met: the actions that were taken, and the situations that came about.
    """

    def __init__(
        self, graph: Dependencies, loop: ReportingLoop, policies: Sequence[Literal["stop", "retry", "restart"]]
    ) -> None:
        self.loop = loop
        self.services: list[Directed] = []
        for number, dependencies in enumerate(graph):
            self.services.append(Directed(number, [self.services[d] for d in dependencies], policies[number]))
        self.met: set[str] = set()
        self._world = World(graph)
        self._states = {initial(self._world)}
        self._block: asyncio.Task[None] | None = None
        self._leaves: asyncio.Future[None]  # the test ends the block
        self._is_left = False

    # Doing something

    def call(
        self, action: str, service: Directed, method: Callable[[], Awaitable[None]], callbacks: int | None
    ) -> None:
        """Call a method of a service in a separate task."""

        async def call() -> None:
            with suppress(Exception):
                await method()

        calls = service.calls.setdefault(action, [])
        self.act(action, service, lambda: calls.append(self.loop.start(call())), callbacks)

    def act(self, action: str, service: Directed, does: Callable[[], object], callbacks: int | None) -> None:
        """Take an action in the services and in the model."""
        before = {state for state in self._explaining(self._states) if visible(state) == self._seen()}
        assert before, f"no state of the model looks like {self._seen()}"
        does()
        taken = ACTIONS[action]
        permitted = {state for state in before if taken.permitted(self._world, state, service.number)}
        after = {taken.effect(self._world, state, service.number) for state in permitted}
        self._go_on(action, after | (before - permitted), callbacks)

    def end(self, service: Directed, raises: bool, callbacks: int | None) -> None:
        """End the hook or the work of a service that runs."""
        by_raising = FAILURES[service.on_failure] if service.activity == WORK else ENDS[service.activity][1:]
        names = by_raising if raises else ENDS[service.activity][:1]
        told = service.told
        told.set_result(raises)
        while service.ended is not told:
            self.loop.step()
        after = set()
        for state in self._explaining(self._states):
            permitted = (ACTIONS[name] for name in names if ACTIONS[name].permitted(self._world, state, service.number))
            if taken := next(permitted, None):
                self.met.add(taken.name)
                after.add(taken.effect(self._world, state, service.number))
        self._go_on(None, after, callbacks)

    def enter(self, action: str) -> None:
        """Enter a block, which begins to start all services; they must be STOPPED."""
        self._leaves, self._is_left = self.loop.create_future(), False

        def enter() -> None:
            self._block = self.loop.start(self._stay(**BLOCKS[action]))

        self.act(action, self.services[0], enter, 0)
        for service in self.services:
            self._states = {ACTIONS["start"].effect(self._world, state, service.number) for state in self._states}
        self.rest()

    async def _stay(self, **options: Any) -> None:
        with suppress(Failed, ExceptionGroup):
            async with run_services(self.services, **options) as stopped:
                stopped.add_done_callback(lambda stopped: None)  # somebody hears that all have stopped
                await self._leaves
                self._is_left = True

    def leave(self, callbacks: int | None) -> None:
        """Leave the block."""
        self._leaves.set_result(None)
        while not self._is_left:
            assert self.loop.step(), f"the block was not entered: {self._block!r}"
        after = {LEAVE.effect(self._world, state, 0) for state in self._explaining(self._states)}
        self._go_on(LEAVE.name, after, callbacks)

    def _go_on(self, action: str | None, states: set[State], callbacks: int | None) -> None:
        if action:
            self.met.add(action)
        self._states = states
        if callbacks is None:
            self.rest()
        else:
            for _ in range(callbacks):
                self.loop.step()
        for name, happens in SITUATIONS.items():
            if any(happens(self._world, state) for state in self._states):
                self.met.add(name)

    def finish(self) -> None:
        """Ask every service to stop, and let hooks and work end, until all are STOPPED."""
        if self.is_in_a_block:
            self.leave(None)
        self.rest()
        for _ in range(10 * len(self.services)):
            for service in self.services:
                if service.state in (ServiceState.STARTING, ServiceState.RUNNING):
                    self.call("stop", service, service.stop, None)
                if service.activity in ENDS and not service.told.done():
                    self.end(service, False, None)
        assert {service.state for service in self.services} == {ServiceState.STOPPED}
        assert not [service for service in self.services if service.waiting]
        assert self._block is None or self._block.done()

    # Observing the outcome

    def rest(self) -> None:
        """Let the loop run until nothing is left to run; then some state must explain what is observed."""
        self.loop.run_until_rest(seen=object)
        assert not self.loop.escapes, self.loop.escapes
        assert not self.loop.errors, self.loop.errors
        resting = {state for state in self._explaining(self._states) if not any(steps(self._world, state, HIDDEN))}
        fitting = {state for state in resting if visible(state) == self._seen() and self._is_known(state)}
        waiting = [service.callers for service in self.services]
        assert fitting, (
            f"at rest the services are {self._seen()}, {waiting} wait for their starts, {self._block=}; explained were {resting}"
        )
        self._states = fitting

    @property
    def is_in_a_block(self) -> bool:
        return self._block is not None and not self._leaves.done()

    @property
    def may_enter(self) -> bool:
        """Whether all is over, so that a block starts every service."""
        over = all(service.state is ServiceState.STOPPED for service in self.services) and not self.restarting
        return over and (self._block is None or self._block.done())

    @property
    def heeds_signals(self) -> bool:
        return all(state.heeds_signals for state in self._states)

    @property
    def signals(self) -> int:
        """The number of signals since services run."""
        return max(state.signals for state in self._states)

    def may_start_again(self, service: Directed) -> bool:
        """Whether a restart after a failure may be about to start a service that is STOPPED."""
        states = [state for state in self._explaining(self._states) if visible(state) == self._seen()]
        return all(STOPPED_MEANWHILE[0].permitted(self._world, state, service.number) for state in states)

    @property
    def restarting(self) -> set[int]:
        """The services of which a restart may be under way."""
        return {state.restart.of for state in self._states if state.restart}

    def _seen(self) -> tuple[tuple[str, str], ...]:
        return tuple((service.state.name, service.activity) for service in self.services)

    def _is_known(self, state: State) -> bool:
        """Whether so many wait for their starts in a state, and whether its block goes on."""
        if (state.block == NO_BLOCK) != (self._block is None or self._block.done()):
            return False
        return all(
            self.services[s].callers == service.callers
            for s, service in enumerate(state.services)
            if service.phase in (STARTING, STOPPED)
        )

    def _explaining(self, states: Iterable[State]) -> set[State]:
        """These states, and those to which internal actions lead from them."""
        found = set(states)
        fringe = list(found)
        while fringe:
            new = {after for _, after in steps(self._world, fringe.pop(), HIDDEN)} - found
            found |= new
            fringe.extend(new)
        return found


def visible(state: State) -> tuple[tuple[str, str], ...]:
    """What is visible of the services in a state: their phases, and which user code runs."""
    due = (FAILED, READY, IDLE, DONE)
    return tuple((s.phase, NOTHING if s.activity in due else s.activity) for s in state.services)
