"""Services and their model, step by step: random graphs, calls and schedules on the stepped loop (SV-1 to SV-6)."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from stepping import EAGER, EagerLoop

from aioservicekit import Service, ServiceState
from aioservicekit_conformance.running.loop import SteppedLoop
from aioservicekit_model.explorer import graphs
from aioservicekit_model.service import (
    CALLS,
    DONE,
    FAILED,
    IDLE,
    NOTHING,
    READY,
    STARTING,
    STOPPED,
    UNSEEN,
    USERS_PART,
    WORK,
    Dependencies,
    Row,
    State,
    World,
    initial,
    steps,
)

ROWS = {row.name: row for row in CALLS + USERS_PART}
GRAPHS = [graph for size in (1, 2, 3) for graph in graphs(size)] + [((), (0,), (0,), (1, 2))]


class Failed(Exception):
    """Raised by hooks and work, when they are told to."""


class Directed(Service):
    """A service whose hooks and work end when they are told to, also after they were cancelled."""

    def __init__(self, dependences: "list[Directed]") -> None:
        super().__init__(dependences=dependences, grace=None, on_failure="stop")
        self.uses = dependences
        self.own = NOTHING
        self.told: asyncio.Future[bool]
        self.ended: asyncio.Future[bool] | None = None

    async def __on_start__(self) -> None:
        await self._do("start hook")

    async def __work__(self) -> None:
        await self._do("work")

    async def __on_stop__(self) -> None:
        await self._do("stop hook")

    async def _do(self, what: str) -> None:
        self.own = what
        assert self.state is not ServiceState.STOPPED
        assert not [used for used in self.uses if used.own in ("cancelled work", "stop hook")], "torn down"
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
                self.own = "cancelled work" if what == "work" else what
        self.own, self.ended = NOTHING, self.told
        if fails:
            raise Failed
        if cancelled and what == "work":
            raise asyncio.CancelledError


def visible(state: State) -> tuple[tuple[str, str], ...]:
    return tuple((s.phase, NOTHING if s.own in (FAILED, READY, IDLE, DONE) else s.own) for s in state.services)


class Comparison:
    """Services, and all model states that explain what was done to them and seen of them."""

    def __init__(self, graph: Dependencies, eager: bool) -> None:
        self.world = World(graph)
        self.loop = EagerLoop() if eager else SteppedLoop()
        self.services: list[Directed] = []
        for dependencies in graph:
            self.services.append(Directed([self.services[d] for d in dependencies]))
        self.states = {initial(graph)}
        self.callers: list[list[asyncio.Task[Any]]] = [[] for _ in graph]
        self.restart: asyncio.Task[Any] | None = None
        self.others: list[asyncio.Task[Any]] = []
        self.met: Counter[str] = Counter()

    def act(self, row: str, s: int, action: Callable[[], Any], after: int | None) -> None:
        """Do something between two callbacks, in the services and in the model, and let the loop run on."""
        before = {state for state in self._closed(self.states) if visible(state) == self._seen()}
        assert before, f"no model state looks like {self._seen()}"
        self.met[row] += 1
        action()
        self.states = {self._applied(ROWS[row], state, s) for state in before}
        self.run(after)

    def run(self, callbacks: int | None) -> None:
        if callbacks is not None:
            for _ in range(callbacks):
                self.loop.step()
            return
        self.loop.run_until_rest(seen=object)
        assert not self.loop.escapes, self.loop.escapes
        assert not self.loop.errors, self.loop.errors
        resting = {state for state in self._closed(self.states) if not any(steps(self.world, state, UNSEEN))}
        fitting = {state for state in resting if visible(state) == self._seen() and self._callers_fit(state)}
        callers = [sum(not task.done() for task in tasks) for tasks in self.callers]
        assert fitting, (
            f"at rest the services are {self._seen()}, {callers} wait for their starts, and could be {resting}"
        )
        self.states = fitting

    def _seen(self) -> tuple[tuple[str, str], ...]:
        return tuple((service.state.name, service.own) for service in self.services)

    def _callers_fit(self, state: State) -> bool:
        waiting = [sum(not task.done() for task in tasks) for tasks in self.callers]
        return all(
            waiting[s] == service.callers
            for s, service in enumerate(state.services)
            if service.phase in (STARTING, STOPPED)
        )

    def _closed(self, states: Iterable[State]) -> set[State]:
        found = set(states)
        fringe = list(found)
        while fringe:
            new = {step.after for step in steps(self.world, fringe.pop(), UNSEEN)} - found
            found |= new
            fringe.extend(new)
        return found

    def _applied(self, row: Row, state: State, s: int) -> State:
        return row.effect(self.world, state, s) if row.when(self.world, state, s) else state

    # What can be done

    def start(self, s: int, after: int | None) -> None:
        async def call() -> None:
            with suppress(Exception):
                await self.services[s].start()

        if sum(not task.done() for task in self.callers[s]) < 2:
            self.act("start", s, lambda: self.callers[s].append(self.loop.start(call())), after)

    def cancel_a_start(self, s: int, after: int | None) -> None:
        waiting = [task for task in self.callers[s] if not task.done() and not task.cancelling()]
        if waiting and self.services[s].state is ServiceState.STARTING:
            self.act("cancel a start", s, waiting[-1].cancel, after)

    def stop(self, s: int, after: int | None) -> None:
        async def call() -> None:
            self.services[s].stop()

        self.act("stop", s, lambda: self.others.append(self.loop.start(call())), after)

    def restart_one(self, s: int, after: int | None) -> None:
        async def call() -> None:
            with suppress(Exception):
                await self.services[s].restart()

        def restart() -> None:
            self.restart = self.loop.start(call())

        if self.restart is None or self.restart.done():
            self.run(None)
            self.act("restart", s, restart, after)

    def end(self, s: int, fails: bool, after: int | None) -> None:
        """End what of the user's part runs, if anything does."""
        service = self.services[s]
        row = {
            "start hook": "the start hook raises" if fails else "the start hook returns",
            "work": "the work fails" if fails else "the work ends",
            "cancelled work": "the cancelled work ends, or is left behind",
            "stop hook": "the stop hook raises" if fails else "the stop hook returns",
        }.get(service.own)
        if row and not service.told.done():
            told = service.told
            told.set_result(fails)
            while service.ended is not told:
                self.loop.step()
            before = self._closed(self.states)
            self.met[row] += 1
            self.states = {
                ROWS[row].effect(self.world, state, s) for state in before if ROWS[row].when(self.world, state, s)
            }
            self.run(after)

    def signal(self) -> None:
        self.run(None)
        runs = any(service.state is not ServiceState.STOPPED for service in self.services)
        if runs and max(state.signals for state in self.states) < 2:
            self.act("signal", 0, lambda: signal.raise_signal(signal.SIGTERM), None)

    def finish(self) -> None:
        """Everything ends: asked to stop, and with hooks and work that end, every service is STOPPED."""
        self.run(None)
        for _ in range(10 * len(self.services)):
            for s, service in enumerate(self.services):
                if service.state in (ServiceState.STARTING, ServiceState.RUNNING):
                    self.stop(s, None)
                self.end(s, False, None)
        assert {service.state for service in self.services} == {ServiceState.STOPPED}
        assert all(task.done() for tasks in self.callers for task in tasks)


AFTER = st.sampled_from((None, None, 0, 1, 2, 3, 5))
WHICH = st.integers(0, 3)
MET: Counter[str] = Counter()


class Machine(RuleBasedStateMachine):
    comparison: Comparison
    eager = False

    @initialize(graph=st.sampled_from(GRAPHS))
    def build(self, graph: Dependencies) -> None:
        self.comparison = Comparison(graph, self.eager)

    def which(self, number: int) -> int:
        return number % len(self.comparison.services)

    @rule(s=WHICH, after=AFTER)
    def start(self, s: int, after: int | None) -> None:
        self.comparison.start(self.which(-1 - s), after)

    @rule(s=WHICH, fails=st.sampled_from((False, False, True)), after=AFTER)
    def end(self, s: int, fails: bool, after: int | None) -> None:
        self.comparison.end(self.which(s), fails, after)

    @rule()
    def let_all_start(self) -> None:
        for s, service in enumerate(self.comparison.services):
            if service.own == "start hook":
                self.comparison.end(s, False, None)

    @rule(
        s=WHICH,
        what=st.sampled_from(("stop", "cancel_a_start", "restart_one", "cancel_a_start", "signal")),
        after=AFTER,
    )
    def disturb(self, s: int, what: str, after: int | None) -> None:
        if what == "signal":
            self.comparison.signal()
        else:
            getattr(self.comparison, what)(self.which(s), after)

    @rule()
    def hurry(self) -> None:
        """Two signals, while something works: that ends the grace."""
        if any(service.own == WORK for service in self.comparison.services):
            self.comparison.signal()
            self.comparison.signal()

    def teardown(self) -> None:
        if hasattr(self, "comparison"):
            try:
                self.comparison.finish()
            finally:
                self.comparison.loop.close()
            MET.update(self.comparison.met.keys())


class EagerMachine(Machine):
    eager = True


@pytest.mark.parametrize("eager", EAGER)
def test_services_follow_the_model(eager: bool) -> None:
    """Whatever is called, cancelled and signalled, between any two callbacks, some model state explains what is seen.

    Also with tasks that run at once (`asyncio.eager_task_factory`).
    """
    MET.clear()
    cases = settings(
        max_examples=150 if eager else 300,
        stateful_step_count=25,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(EagerMachine if eager else Machine, settings=cases)
    assert set(MET) == set(ROWS) - {"the grace runs out"}, "what the cases have met"
