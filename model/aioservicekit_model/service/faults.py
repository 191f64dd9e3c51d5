"""Services with deliberate faults: the natural mistakes, each of which changes some rows and breaks a property.

They stand apart from the tables, which hold nothing for them: a fault is some rows that take the place of those of the same name.
"""

from typing import NamedTuple

from .guards import runs
from .machine import Row, start, stop, to
from .states import (
    CUT_SHORT,
    IDLE,
    READY,
    RUNNING,
    START_HOOK,
    STARTING,
    STOP_HOOK,
    STOPPED,
    STOPPING,
    WORK,
    State,
    World,
)

__all__ = ["FAULTS", "STUCK", "Fault"]

STUCK = "stuck"  # nothing of the user's part runs, and nothing ever will


class Fault(NamedTuple):
    rule: str
    rows: tuple[Row, ...]

    def of(self, table: tuple[Row, ...]) -> tuple[Row, ...]:
        """A table with this fault."""
        changed = {row.name: row for row in self.rows}
        return tuple(changed.get(row.name, row) for row in table)


def stop_unless_starting(world: World, state: State, s: int) -> State:
    return state if state.services[s].phase == STARTING else stop(world, state, s)


def stop_hook_may_run(world: World, state: State, s: int) -> bool:
    return state.services[s].phase == STOPPING and state.services[s].own in (READY, IDLE)


def stop_hook_may_run_when_all_are_stopped(world: World, state: State, s: int) -> bool:
    dependents_are_stopped = all(state.services[d].phase == STOPPED for d in world.dependents(s))
    return stop_hook_may_run(world, state, s) and dependents_are_stopped


def always(world: World, state: State, s: int) -> bool:
    return True


def work_may_be_called(world: World, state: State, s: int) -> bool:
    return state.services[s].own == READY and state.services[s].phase in (RUNNING, STOPPING)


def hook_is_cut_short(world: World, state: State, s: int) -> bool:
    return state.time_is_over and state.services[s].phase == STOPPING and state.services[s].own == START_HOOK


# fmt: off
FAULTS = {
    "stop ignored while starting": Fault("SV-4.6", (
        Row("stop", ("SV-4.6",), lambda world, state, s: state.services[s].phase != STOPPED, stop_unless_starting),
    )),
    "no drain": Fault("SV-4.2", (
        Row("its stop hook runs", ("SV-4.2",), stop_hook_may_run, to(STOP_HOOK)),
    )),
    "a drain that waits for those who wait for it": Fault("SV-4.2", (
        Row("its stop hook runs", ("SV-4.2",), stop_hook_may_run_when_all_are_stopped, to(STOP_HOOK)),
    )),
    "work that is called after the stop": Fault("SV-3.4", (
        Row("its work is called", ("SV-3.4",), work_may_be_called, to(WORK)),
    )),
    "stuck on a failed start": Fault("SV-2.3", (
        Row("the start hook raises", ("SV-2.3",), runs(START_HOOK, STARTING, STOPPING), to(STUCK)),
    )),
    "stuck on a failed stop": Fault("SV-4.4", (
        Row("the stop hook raises", ("SV-4.4",), runs(STOP_HOOK, STOPPING), to(STUCK)),
    )),
    "a start after the signal": Fault("SV-6.3", (
        Row("start", ("SV-6.3",), always, start),
    )),
    "a start that comes before the block has ended": Fault("SV-6.3", (
        Row("start", ("SV-6.3",), lambda world, state, s: state.signals == 0, start),
    )),
    "a limit that spares stop hooks": Fault("SV-6.6", (
        Row("it is cut short", ("SV-6.6",), hook_is_cut_short, to(CUT_SHORT[START_HOOK])),
    )),
}
# fmt: on
