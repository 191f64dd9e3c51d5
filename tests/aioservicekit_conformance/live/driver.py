"""The driver: carries out a plan on a target, one lane per thread, and makes sure that this ends.

Between two bursts it waits until all is at rest, and records that.
"""

import threading
from collections.abc import Iterable
from contextlib import ExitStack
from random import Random

from aioservicekit_model.channel.history import Event, rest

from ..running.watchdog import alive
from ..target import Target
from .chaos import switching_often
from .lane import Lane, Shared
from .plan import Plan
from .recording import Recorded, Recording
from .rest import Hang, Rest

__all__ = ["Run", "perform"]

ENDING = 10.0  # seconds for a thread to end whose loop is at rest


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
        self._plan = plan
        self._shared = Shared(target, plan)
        self._lanes = [Lane(self._shared, number) for number in range(1, plan.threads + 1)]
        self._rest = Rest(self._shared, self._lanes, bystanders)
        self._run = Run(plan, self._shared.recording)

    def run(self) -> Run:
        with ExitStack() as stack:
            stack.enter_context(switching_often())
            stack.enter_context(self._shared.chaos.in_new_threads())
            for lane in self._lanes:
                lane.start()
            try:
                self._carry_out()
            except Hang as hang:
                self._run.hung = str(hang)
                self._shared.chaos.over = True
            for lane in self._lanes:
                lane.end()
            for lane in () if self._run.hung else self._lanes:
                alive()
                lane.thread.join(ENDING)
                if lane.thread.is_alive():
                    self._run.hung = self._rest.where()
        return self._run

    def _carry_out(self) -> None:
        chance = Random(self._plan.seed)
        for burst in self._plan.bursts:
            together = threading.Barrier(len(self._lanes))
            for lane, actions in zip(self._lanes, burst, strict=True):
                lane.begin(actions, together)
            if chance.random() < 0.5:
                self._rest.let_time_pass()
            self._come_to_rest()
        self._lanes[-1].drain()  # it has no chaos where the first alone has it
        self._come_to_rest()

    def _come_to_rest(self) -> None:
        self._rest.wait()
        if self._shared.work.strays:
            self._run.slept.add(len(self._run.recorded))
        self._shared.recording.see(0, rest())
