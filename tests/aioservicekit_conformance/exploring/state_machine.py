"""The Hypothesis state machine: draws operations, and how far the loop runs between them.

Every operation runs at once up to where it first waits, and then, by default, everything runs until it rests. A deviation is a
small number of callbacks after which the next operation comes instead: that puts calls, cancellations and closings between any
two callbacks, also between a waiter's wake-up and its resumption. Without its deviations a case reads as a plain sequence.

What is drawn never depends on what the target does, for a target may behave differently each time; an operation whose endpoint
is not there, or that would be one too many, is left out.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ..running.case import Action, Case
from ..target import Target

__all__ = ["machine"]

MOST = {"subscribe": 3, "connect": 3}
MOST_PENDING = 5
ENDPOINT = {"subscribe": "s", "connect": "p"}

AFTER = (None, None, 0, 1, 0, 2, 3)
SIZES = (1, 2, 0, 3, 1)
FIRST_MEMBERS = (
    ("subscribe", "connect"),
    ("connect", "subscribe"),
    ("subscribe", "connect", "connect"),
    ("subscribe", "subscribe", "connect"),
    ("connect", "connect", "subscribe", "subscribe"),
    (),
    ("connect",),
    ("subscribe",),
)

# What comes more often in a list is drawn more often. Hypothesis takes its time for each draw and for each rule to choose from: one
# number for a whole move, drawn by one rule, makes a case in two thirds of the time. The first number of a case makes its channel.
MAKINGS = (*product((0, 0, 4, 8), SIZES, (None, 1, 2), FIRST_MEMBERS),)
USES = product(("send", "read", "send", "next", "send", "read"), (0, 1, 2), (1, 1, 2), AFTER)
CHANGES = product(
    ("cancel", "subscribe", "close", "cancel", "connect", "subscribe of a size"), range(sum(MOST.values()) + 1), AFTER
)
INTERRUPTIONS = product(
    ("read", "read", "send", "close"), ("cancel", "close", "subscribe", "send", "read"), range(4), (None, None, 0, 1)
)
MOVES: tuple[tuple[str, tuple[Any, ...]], ...] = (
    *[("use", move) for move in USES] * 2,
    *[("change", move) for move in CHANGES],
    *[("interrupt", move) for move in INTERRUPTIONS],
)

# Hypothesis prefers small numbers, and takes some from the sources of the modules that it finds. Far from all of these it draws
# each number as often as any other, and the same ones for the same seed, wherever suite and target are installed.
FAR = 3**200
MOVE = st.integers(FAR, FAR + len(MAKINGS) * len(MOVES) - 1)


def machine(target: Target, done: Callable[[Case], None]) -> type[RuleBasedStateMachine]:
    """A state machine that makes one case after the other and hands each finished one to `done`."""

    class Machine(RuleBasedStateMachine):
        case: Case
        number = 0
        calm = 0
        tried: dict[str, int]

        @rule(number=MOVE)
        def step(self, number: int) -> None:
            if not hasattr(self, "case"):
                self.make(*MAKINGS[(number - FAR) % len(MAKINGS)])
            else:
                name, move = MOVES[(number - FAR) % len(MOVES)]
                getattr(self, name)(*move)

        def make(self, calm: int, size: int, own: int | None, members: tuple[str, ...]) -> None:
            """`calm` is how many operations come before the first closing, which ends most of what is interesting."""
            self.calm = calm
            self.case = Case(target, size)
            self.tried = {"subscribe": 0, "connect": 0}
            for what in members:
                self.join(what, size=own if what == "subscribe" else None)

        def use(self, what: str, which: int, times: int, after: int | None) -> None:
            names = self.case.names("connect" if what == "send" else "subscribe")
            for _ in range(times if names else 0):
                self.do(what, names[which % len(names)], after)

        def change(self, what: str, which: int, after: int | None) -> None:
            match what:
                case "cancel":
                    self.cancel(which, after)
                case "close":
                    self.close(which, after)
                case "subscribe of a size":
                    self.join("subscribe", after, SIZES[which % len(SIZES)])
                case _:
                    self.join(what, after)

        def interrupt(self, granting: str, interrupting: str, which: int, after: int | None) -> None:
            """Something that lets another operation go on, and before that runs, something that comes between."""
            if granting == "close":
                self.close(which, 0)
            else:
                self.use(granting, which, 1 + which % 2, 0)
            match interrupting:
                case "cancel":
                    self.cancel(which, after)
                case "close":
                    self.close(which, after)
                case "subscribe":
                    self.join("subscribe", after, 1)
                case _:
                    self.use(interrupting, which, 1, after)

        def join(self, what: str, after: int | None = None, size: int | None = None) -> None:
            if self.tried[what] < MOST[what]:
                self.tried[what] += 1
                self.do(what, f"{ENDPOINT[what]}{self.tried[what]}", after, size)

        def cancel(self, which: int, after: int | None) -> None:
            pending = list(self.case.pending)
            if pending:
                self.case.perform(Action(pending[which % len(pending)], "cancel", after=after))

        def close(self, which: int, after: int | None) -> None:
            names = [*self.case.names("subscribe"), *self.case.names("connect"), "channel"]
            if self.number >= self.calm:
                self.do("close", names[which % len(names)], after)

        def do(self, what: str, on: str, after: int | None, size: int | None = None) -> None:
            if what == "close" or len(self.case.pending) < MOST_PENDING:
                self.number += 1
                self.case.perform(Action(self.number, what, on, size, after))

        def teardown(self) -> None:
            if hasattr(self, "case"):
                self.case.finish()
                done(self.case)

    return Machine
