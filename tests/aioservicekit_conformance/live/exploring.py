"""Explore a target live: many runs, each judged when it has ended, and the refused ones shrunk.

A history of a single thread is judged by the same rules as in steps, so the same rules are blamed. One of several threads that no
order explains breaks a rule of CH-6: CH-6.2 if a loop slept beside a callback that was ready, CH-6.3 if it takes loops that close,
and CH-6.1 otherwise. If runs of a single thread are refused too, only their rules are blamed: nobody can tell whether threads have
a part in the rest.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from aioservicekit_model.channel import foresight
from aioservicekit_model.channel.blame import blame
from aioservicekit_model.channel.checker import TooManyStates
from aioservicekit_model.channel.history import Event, observe

from ..exploring.failures import GENERAL
from ..running.watchdog import alive, computing
from ..target import Target
from .driver import Run, perform
from .plan import Plan, draw, smaller
from .recording import Recorded
from .situations import situations

__all__ = ["LiveExploration", "Refusal", "as_stepped", "explore_live", "refused_at"]

ENOUGH = 4  # refused runs of several threads
ENOUGH_ALONE = 12  # refused runs of a single thread: the more there are, the fewer rules explain all of them
NOTHING_NEW = 40  # once a run has been refused, this many more runs are enough
RUNS_ALONE = 60  # once a run has been refused, this many runs of a single thread are enough
AGAIN = 5  # how often a smaller plan is tried
SHRINKING = 150  # runs at most to shrink one failure
WITHOUT_DYING = 25  # runs after which a failure counts as one of loops that close


class Refusal(NamedTuple):
    """A refused run: `at` is the index of the event that no order explains; each of the `rules` would explain it alone."""

    run: Run
    at: int
    rules: frozenset[str]

    @property
    def recorded(self) -> list[Recorded]:
        return self.run.recorded[: self.at + 1]


class LiveExploration:
    """What many runs have shown.

    Attributes:
        runs: how many were made.
        given_up: how many of them had too many explanations to be judged.
        refusals: the refused runs.
        failures: for each rule to blame, a refused run that has been shrunk; once all runs are made.
        shown: for each situation, in how many runs it has come about, and in how many runs of a single thread.
        hung: the run in which the target hung, if there is one; no more were made after it.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.given_up = 0
        self.refusals: list[Refusal] = []
        self.failures: dict[str, Refusal] = {}
        self.shown: Counter[str] = Counter()
        self.shown_by_one_thread: Counter[str] = Counter()
        self.hung: Run | None = None
        self._first_refused = 0
        self._alone = 0  # runs of a single thread

    def add(self, run: Run) -> None:
        self.runs += 1
        self._alone += run.plan.threads == 1
        alive()
        if run.hung:
            self.hung = run
            return
        try:
            refusal = refused(run)
        except TooManyStates:
            self.given_up += 1
            return
        if refusal:
            self.refusals.append(refusal)
            self._first_refused = self._first_refused or self.runs
        seen = situations(run.recorded)
        self.shown.update(seen)
        if run.plan.threads == 1:
            self.shown_by_one_thread.update(seen)

    def needs(self, *, alone: bool) -> bool:
        """Whether more runs, of a single thread or of several, may show something new."""
        if self.hung:
            return False
        refused = sum((refusal.run.plan.threads == 1) == alone for refusal in self.refusals)
        if alone:
            return refused < ENOUGH_ALONE and not (self.refusals and self._alone >= RUNS_ALONE)
        return refused < ENOUGH and not (self.refusals and self.runs - self._first_refused >= NOTHING_NEW)


def explore_live(
    target: Target, runs: int, seed: int, progress: Callable[[int, int], None], exploration: LiveExploration
) -> None:
    """Make so many runs, or fewer if the target is refused again and again, and shrink the failures."""
    bystanders = threading.enumerate()
    for number in range(1, runs + 1):
        plan = draw(seed, number)
        if exploration.needs(alone=plan.threads == 1):
            exploration.add(perform(target, plan, bystanders))
        progress(number, runs)
        if not (exploration.needs(alone=True) or exploration.needs(alone=False)):
            break
    if not exploration.hung:
        exploration.failures = dict(
            _shortest(target, rule, refusal) for rule, refusal in _one_of_each(exploration.refusals).items()
        )
    progress(runs, runs)


def refused_at(default_size: int, history: list[Event]) -> int | None:
    """The index of the first event that no order of the overlapping operations explains.

    Raises:
        TooManyStates: there are too many explanations to keep.
    """
    with computing():
        return foresight.first_refused(default_size, history)


def refused(run: Run) -> Refusal | None:
    index = refused_at(run.plan.default_size, run.history)
    return None if index is None else Refusal(run, index, _rules(run, index))


def _rules(run: Run, index: int) -> frozenset[str]:
    if run.plan.threads == 1:
        return blame(run.plan.default_size, as_stepped(run.history[: index + 1])) or frozenset({"CH-6.1"})
    if index in run.slept:
        return frozenset({"CH-6.2"})
    closed = any(event.what == "abandon" for event in run.history[:index])
    return frozenset({"CH-6.3" if closed else "CH-6.1"})


def as_stepped(history: Iterable[Event]) -> list[Event]:
    """A history of a single thread, in which nothing overlaps unseen, as the stepped mode records it."""
    events = list(history)
    looks = {event.op for event in events if event.kind == "observe"}
    return [
        observe(str(event.value)) if event.op in looks else event
        for event in events
        if event.what != "settle" and not (event.op in looks and event.what == "call")
    ]


def _one_of_each(refusals: list[Refusal]) -> dict[str, Refusal]:
    """The shortest refusal for each rule to blame. One of a single thread explains those of several, except for a loop that slept;
    one that closes no loop explains those that do.
    """
    explained = Counter(rule for refusal in refusals for rule in refusal.rules)

    def blamed(refusal: Refusal) -> str:
        """The rule that explains the most, and of several the narrowest."""
        return min(
            refusal.rules, key=lambda rule: (-explained[rule], rule in GENERAL and GENERAL.index(rule) + 1, rule)
        )

    found: dict[str, Refusal] = {}
    for each in sorted(refusals, key=lambda refusal: refusal.at):
        found.setdefault(blamed(each), each)
    if not all(rule.startswith("CH-6") for rule in found):
        found.pop("CH-6.1", None)
        found.pop("CH-6.3", None)
    if "CH-6.1" in found:
        found.pop("CH-6.3", None)
    return found


def _shortest(target: Target, rule: str, refusal: Refusal) -> tuple[str, Refusal]:
    """Run smaller plans, several times each, and keep what is still refused for the same reason."""
    if rule == "CH-6.3" and (calmer := _again(target, refusal.run.plan.without("die"), "CH-6.1", WITHOUT_DYING)):
        rule, refusal = "CH-6.1", calmer
    left = SHRINKING
    found: Refusal | None = refusal
    while found and left > 0:
        refusal, found = found, None
        for plan in smaller(refusal.run.plan):
            left -= AGAIN
            found = _again(target, plan, rule, AGAIN)
            if found or left <= 0:
                break
    return rule, found or refusal


def _again(target: Target, plan: Plan, rule: str, times: int) -> Refusal | None:
    for number in range(times):
        alive()
        try:
            refusal = refused(perform(target, plan._replace(seed=plan.seed + number)))
        except TooManyStates:
            continue
        if refusal and rule in refusal.rules:
            return refusal
    return None
