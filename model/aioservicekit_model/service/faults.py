"""Natural mistakes in services, each of which breaks a rule.

The machine knows nothing of them. A mistake replaces one action, and differs from it only in what it changes.
"""

from typing import NamedTuple

from .machine import (
    Action,
    Effect,
    Guard,
    activity,
    ask_to_stop,
    begin,
    not_asked_to_end,
    not_in_a_shutdown,
    run,
    stop,
    to,
    unused,
)
from .policies import fail_and_start_again, try_again
from .restarts import may_start
from .signals import signal, stop_all
from .state import FAILS_FAST, HAS_FAILED, IDLE, READY, START_HOOK, STARTING, STOP_HOOK, STOPPED, WORK, State, World

__all__ = ["FAULTS", "Fault"]


class Fault(NamedTuple):
    """A mistake.

    Attributes:
        rule: the rule that it breaks.
        action: the action that it replaces.
        without: a guard of the action that it drops.
        only_if: a guard that the action does not have.
        effect: what it does, if this differs from the action's effect.
    """

    rule: str
    action: str
    without: Guard | None = None
    only_if: Guard | None = None
    effect: Effect | None = None

    def instead_of(self, action: Action) -> Action:
        guards = [guard for guard in action.guards if guard is not self.without]
        if self.only_if:
            guards.append(self.only_if)
        return action._replace(guards=tuple(guards), effect=self.effect or action.effect)

    def made_in(self, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        """The actions, with this mistake in place of the one that it replaces."""
        return tuple(self.instead_of(action) if action.name == self.action else action for action in actions)


def stop_unless_starting(world: World, state: State, s: int) -> State:
    return state if state.services[s].phase == STARTING else ask_to_stop(world, state, s)


def dependents_are_stopped(world: World, state: State, s: int) -> bool:
    return all(state.services[d].phase == STOPPED for d in world.dependents[s])


def no_signal(world: World, state: State, s: int) -> bool:
    return state.signals == 0


def complete_and_run(world: World, state: State, s: int) -> State:
    return run(world, to(READY)(world, state, s), s)


def stop_without_the_restart(world: World, state: State, s: int) -> State:
    return ask_to_stop(world, state, s)


def try_again_uncounted(world: World, state: State, s: int) -> State:
    restart = state.restart
    assert restart
    return try_again(world, state, s)._replace(restart=restart._replace(step="stop"))


def forget_who_is_left(world: World, state: State, s: int) -> State:
    return fail_and_start_again(world, state._replace(restart=None), s)


def fail_alone(world: World, state: State, s: int) -> State:
    return ask_to_stop(world, to(IDLE)(world, state, s), s)


def stop_what_has_failed(world: World, state: State, s: int) -> State:
    return stop(world, state, s)._replace(block=HAS_FAILED if state.block == FAILS_FAST else state.block)


def no_stop_hook_runs(world: World, state: State, s: int) -> bool:
    return all(service.activity != STOP_HOOK for service in state.services)


def signal_that_replaces(world: World, state: State, s: int) -> State:
    return signal(world, state, s)._replace(heard=state.heard)


def signal_unless_working(world: World, state: State, s: int) -> State:
    return state if any(service.activity == WORK for service in state.services) else signal(world, state, s)


def obey(world: World, state: State, s: int) -> State:
    return stop_all(world, state)


STUCK = to("stuck")  # no user code runs, and none ever will

# fmt: off
FAULTS = {
    "running because the hook has completed": Fault("SV-1.2", "the start hook returns", effect=complete_and_run),
    "stuck on a failed start": Fault("SV-2.3", "the start hook raises", effect=STUCK),
    "a start that is tried for ever": Fault("SV-2.3", "its start has failed", effect=begin),
    "work that is called after the stop": Fault("SV-3.4", "its work is called", without=not_asked_to_end),
    "no drain": Fault("SV-4.2", "its stop hook runs", without=unused),
    "a drain that waits for those who wait for it": Fault("SV-4.2", "its stop hook runs", only_if=dependents_are_stopped),
    "stuck on a failed stop": Fault("SV-4.4", "the stop hook raises", effect=STUCK),
    "stop ignored while starting": Fault("SV-4.6", "stop", effect=stop_unless_starting),
    "a start after the signal": Fault("SV-6.3", "start", without=not_in_a_shutdown),
    "a start that comes before the block has ended": Fault("SV-6.3", "start", without=not_in_a_shutdown, only_if=no_signal),
    "work that is called again after it has failed for good": Fault("SV-3.2", "the work fails", effect=to(READY)),
    "a restart that a stop does not end": Fault("SV-3.2", "stop", effect=stop_without_the_restart),
    "a restart that starts a stopped dependency": Fault("SV-3.2", "the restart starts it", without=may_start),
    "a dependent that starts a stopped dependency": Fault("SV-3.2", "the restart starts it again", without=may_start),
    "restarts that nobody counts": Fault("SV-3.2", "its start is tried again", effect=try_again_uncounted),
    "a second failure that forgets the first": Fault("SV-3.2", "the work fails, and it starts again", effect=forget_who_is_left),
    "a handler that is replaced and not called": Fault("SV-6.5", "signal", effect=signal_that_replaces),
    "a signal that work keeps to itself": Fault("SV-6.5", "signal", effect=signal_unless_working),
    "an ignored signal that is taken over": Fault("SV-6.5", "an ignored signal", effect=obey),
    "a signal that stops a block without signals": Fault("SV-6.5", "a signal that the block does not heed", effect=obey),
    "a failure that stops nobody else": Fault("SV-6.6", "the work fails", effect=fail_alone),
    "a stop before the restart that fails the block": Fault(
        "SV-6.6", "it is stopped before it starts again", effect=stop_what_has_failed
    ),
    "a failure that is noticed after the stop hook": Fault("SV-6.6", "a failure stops all", only_if=no_stop_hook_runs),
    "a limit that spares stop hooks": Fault("SV-6.6", "it is cut short", only_if=activity(START_HOOK)),
}
# fmt: on
