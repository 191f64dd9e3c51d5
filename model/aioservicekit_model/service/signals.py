"""What signals do: each of the first two stops the services, and reaches the program's own handler too (SV-6.3, SV-6.5)."""

from .machine import Action, all_are_stopped, ask_to_stop, no, once
from .state import FAILS_FAST, HAS_FAILED, OPEN, SHUT_DOWN, State, World

__all__ = ["SIGNALS", "signal", "stop_all"]


def fewer_than_two_signals(world: World, state: State, s: int) -> bool:
    """A third signal has its default effect: it ends the process (SV-6.3)."""
    return state.signals < 2


def something_runs(world: World, state: State, s: int) -> bool:
    """A service runs, or a restart is about to start one: handlers are in place (SV-6.3)."""
    return state.restart is not None or not all_are_stopped(world, state, s)


def heeds_signals(world: World, state: State, s: int) -> bool:
    """The services are not in a block with `signals=False` (SV-6.5)."""
    return state.heeds_signals


def stop_all(world: World, state: State) -> State:
    """Every service stops; no caller gets its start, and no restart goes on (SV-6.2, SV-6.3)."""
    for s in range(len(state.services)):
        state = ask_to_stop(world, state, s)
        state = state.but(s, state.services[s]._replace(callers=0))
    return state._replace(restart=None)


def signal(world: World, state: State, s: int) -> State:
    """Every service stops, including what the block goes on to start, and the program hears of it (SV-6.3, SV-6.5)."""
    block = SHUT_DOWN if state.block in (OPEN, FAILS_FAST, HAS_FAILED) else state.block
    state = stop_all(world, state)._replace(block=block)
    if all_are_stopped(world, state, s):
        return state  # it has ended a restart, and the shutdown is over
    return state._replace(signals=state.signals + 1, heard=state.heard + 1)


def pass_by(world: World, state: State, s: int) -> State:
    return state


# fmt: off
SIGNALS = (
    Action("signal", ("SV-6.3", "SV-6.5"), (once, heeds_signals, fewer_than_two_signals, something_runs), signal),
    Action("an ignored signal", ("SV-6.5",), (once,), pass_by),
    Action("a signal that the block does not heed", ("SV-6.5",), (once, no(heeds_signals)), pass_by),
)
# fmt: on
