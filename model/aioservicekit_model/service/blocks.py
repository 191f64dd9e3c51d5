"""What a block of `run_services` adds: it stops its services when it is left, or at their first failure, and may limit the time for
it. Its services need not heed signals."""

from .machine import Action, Guard, activity, all_are_stopped, no, not_in_a_shutdown, once, phase, to
from .restarts import no_restart_is_under_way
from .signals import stop_all
from .state import (
    CANCELLED_WORK,
    DONE,
    FAILED,
    FAILS_FAST,
    HAS_FAILED,
    IDLE,
    LEFT,
    NO_BLOCK,
    OPEN,
    SHUT_DOWN,
    START_HOOK,
    STOP_HOOK,
    STOPPING,
    State,
    World,
)

__all__ = ["BLOCK", "CUT_SHORT", "ENTERING"]

CUT_SHORT = {START_HOOK: FAILED, CANCELLED_WORK: IDLE, STOP_HOOK: DONE}  # what follows an activity that is cut short


def block(*blocks: str) -> Guard:
    return lambda world, state, s: state.block in blocks


def time_is_over(world: World, state: State, s: int) -> bool:
    """The shutdown has used up the block's time (SV-6.6)."""
    return state.time_is_over


def enter(world: World, state: State, s: int) -> State:
    return state._replace(block=OPEN)


def enter_failing_fast(world: World, state: State, s: int) -> State:
    return state._replace(block=FAILS_FAST)


def enter_without_signals(world: World, state: State, s: int) -> State:
    return state._replace(block=OPEN, heeds_signals=False)


def stop_at_the_failure(world: World, state: State, s: int) -> State:
    """Every service stops, and nothing starts in the block any more (SV-6.6)."""
    return stop_all(world, state)._replace(block=SHUT_DOWN)


def leave(world: World, state: State, s: int) -> State:
    return stop_all(world, state)._replace(block=LEFT)


def end_block(world: World, state: State, s: int) -> State:
    return state._replace(block=NO_BLOCK, heeds_signals=True)


def run_out_of_time(world: World, state: State, s: int) -> State:
    return state._replace(time_is_over=True)


def cut_short(world: World, state: State, s: int) -> State:
    return to(CUT_SHORT[state.services[s].activity])(world, state, s)


# fmt: off
ENTERING = (
    Action("a block is entered", ("SV-6.1",), (once, block(NO_BLOCK), not_in_a_shutdown), enter),
    Action("a block that fails fast is entered", ("SV-6.1", "SV-6.6"),
           (once, block(NO_BLOCK), not_in_a_shutdown), enter_failing_fast),
    Action("a block without signals is entered", ("SV-6.1", "SV-6.5"),
           (once, block(NO_BLOCK), not_in_a_shutdown, all_are_stopped, no_restart_is_under_way), enter_without_signals),
)

BLOCK = (
    Action("a failure stops all", ("SV-6.6",), (once, block(HAS_FAILED)), stop_at_the_failure),
    Action("the block is left", ("SV-6.2",), (once, block(OPEN, FAILS_FAST, HAS_FAILED, SHUT_DOWN)), leave),
    Action("the block has ended", ("SV-6.2", "SV-6.3"), (once, block(LEFT), all_are_stopped), end_block),
    Action("the time of the shutdown is over", ("SV-6.6",),
           (once, block(SHUT_DOWN, LEFT), no(time_is_over), no(all_are_stopped)), run_out_of_time),
    Action("it is cut short", ("SV-6.6",), (time_is_over, phase(STOPPING), activity(*CUT_SHORT)), cut_short),
)
# fmt: on
