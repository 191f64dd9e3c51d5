"""Try everything within the scopes: walk the target, collect what is refused, and count the machine's edges that it has shown."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from aioservicekit_model.channel import machine
from aioservicekit_model.channel.blame import exercised
from aioservicekit_model.channel.checker import advance

from ..exploring.explorer import Exploration, silent
from ..running.case import Case, replay
from ..target import Target
from .edges import Shown, shown
from .scopes import SCOPES, Scope, text
from .walk import Walk, walk

__all__ = ["Exhausted", "exhaust", "freedom"]


class Exhausted(NamedTuple):
    """What was tried within a scope.

    Attributes:
        scope: how much the users did, in words.
        states, runs: the number of the target's states, and of runs from the beginning.
        stopped: why not everything was tried, or "".
        shown: the edges of the machine; None if not everything was tried, something was refused, or there are too many.
    """

    scope: str
    states: int
    runs: int
    stopped: str
    shown: Shown | None

    def __str__(self) -> str:
        done = "stopped" if self.stopped else "exhaustive"
        told = f"{done} for {self.scope}: {self.states:,} states of the target, {self.runs:,} runs"
        if self.stopped:
            told += f"; {self.stopped}"
        if self.shown:
            told += f"; {self.shown.shown:,} of the machine's {self.shown.edges:,} edges, the others by other implementations only"
        return told


def exhaust(
    target: Target,
    exploration: Exploration,
    progress: Callable[[int, int], object] = silent,
    within: Iterable[Scope] = SCOPES,
) -> list[Exhausted]:
    """Try everything within each of some scopes.

    Args:
        exploration: collects what is refused, and which rules could have been broken.
        progress: called after each state, with the numbers of states that were left and that are known.
    """
    found: list[Exhausted] = []
    runs = 0
    for scope in within:
        refused = 0

        def failed(case: Case) -> bool:
            nonlocal refused
            refused += 1
            whole = replay(target, case.default_size, case.actions)
            exploration.add(whole)
            if whole.refused is None and not whole.escaped and not whole.hung:
                exploration.escapes["more freedom than can be judged"] += 1
            return exploration.enough(MANY)

        walked = walk(target, scope, failed, progress=progress)
        runs += walked.runs
        _count_exercised(walked, exploration)
        if walked.stopped and not exploration.failures:
            exploration.escapes[walked.stopped] += 1
        complete = not (walked.stopped or refused)
        edges = shown(walked, scope.bounds) if complete and scope.counted else None
        found.append(Exhausted(text(scope), len(walked.nodes), walked.runs, walked.stopped, edges))
        if exploration.enough(MANY):
            break
    exploration.cases += runs
    exploration.unit = "moves, " + "; ".join(map(str, found))
    return found


def freedom(found: Iterable[Exhausted]) -> Iterator[str]:
    """One line about the edges that the target has not shown, by kind, if there are any."""
    others = sum((each.shown.others for each in found if each.shown), Counter[str]())
    if others:
        yield "freedom that the target does not use: " + ", ".join(
            f"{count:,} edges where {kind}" for kind, count in others.most_common()
        )


MANY = 10**9  # cases: rules that are judged alone are tried as all others are


def _count_exercised(walked: Walk, exploration: Exploration) -> None:
    """Count for each rule the moves in which it alone forbade something."""
    for step in walked.steps:
        states = walked.nodes[step.before].states
        rules: set[str] = set()
        for event in step.events:
            rules |= exercised(states, event)
            states = advance(machine, states, event)
        exploration.sampled += 1
        exploration.exercised.update(rules)
