"""The Hypothesis state machine: draws operations, and how far the loop runs between them, so that both shrink.

Every operation runs at once up to where it first waits, and then, by default, everything runs until it rests. A deviation is a
small number of callbacks after which the next operation comes instead: that puts calls, cancellations and closings between any
two callbacks, also between a waiter's wake-up and its resumption. Without its deviations a case reads as a plain sequence.

What is drawn never depends on what the target does, for a target may behave differently each time; an operation whose endpoint
is not there, or that would be one too many, is left out.
"""

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from .case import Action, Case
from .target import Target

__all__ = ["machine"]

MOST = {"subscribe": 3, "connect": 3}
MOST_PENDING = 7
ENDPOINT = {"subscribe": "s", "connect": "p"}

# Each strategy lists whole choices, the simplest first, so that one draw decides and shrinking goes down the list.
AFTER = (None, None, 0, 1, 0, 2, 3)
SIZES = (1, 2, 0, 3, 1)
MAKINGS = st.sampled_from(
    [
        (calm, size, members)
        for calm in (0, 4, 8, 12)
        for members in (("subscribe", "connect"), ("connect", "subscribe"), ())
        for size in SIZES
    ]
)
JOININGS = st.sampled_from([(size, after) for after in AFTER for size in (None, *SIZES)])
SENDINGS = st.sampled_from([(which, times, after) for after in AFTER for times in (1, 2, 3) for which in (0, 1, 2)])
READINGS = st.sampled_from(
    [
        (what, which, times, after)
        for after in AFTER
        for what in ("read", "read", "next")
        for times in (1, 2, 3)
        for which in (0, 1, 2)
    ]
)
CANCELLINGS = st.sampled_from([(which, after) for after in AFTER for which in range(MOST_PENDING)])
CLOSINGS = st.sampled_from(
    [(which, after) for after in AFTER for which in range(sum(MOST.values()) + 1)]
)


def machine(target: Target, done: Callable[[Case], None]) -> type[RuleBasedStateMachine]:
    """A state machine that makes one case after the other and hands each finished one to `done`."""

    class Machine(RuleBasedStateMachine):
        case: Case
        number = 0
        calm = 0
        tried: dict[str, int]

        @initialize(making=MAKINGS)
        def make(self, making: tuple[int, int, tuple[str, ...]]) -> None:
            """`calm` is how many operations come before the first closing, which ends most of what is interesting."""
            self.calm, size, members = making
            self.case = Case(target, size)
            self.tried = {"subscribe": 0, "connect": 0}
            for what in members:
                self.join(what)

        def do(self, what: str, on: str, after: int | None, size: int | None = None) -> None:
            if what == "close" or len(self.case.pending) < MOST_PENDING:
                self.number += 1
                self.case.perform(Action(self.number, what, on, size, after))

        def join(self, what: str, after: int | None = None, size: int | None = None) -> None:
            if self.tried[what] < MOST[what]:
                self.tried[what] += 1
                self.do(what, f"{ENDPOINT[what]}{self.tried[what]}", after, size)

        @rule(joining=JOININGS)
        def subscribe(self, joining: tuple[int | None, int | None]) -> None:
            size, after = joining
            self.join("subscribe", after, size)

        @rule(after=st.sampled_from(AFTER))
        def connect(self, after: int | None) -> None:
            self.join("connect", after)

        @rule(sending=SENDINGS)
        def send(self, sending: tuple[int, int, int | None]) -> None:
            which, times, after = sending
            names = self.case.names("connect")
            for _ in range(times if names else 0):
                self.do("send", names[which % len(names)], after)

        @rule(reading=READINGS)
        def read(self, reading: tuple[str, int, int, int | None]) -> None:
            what, which, times, after = reading
            names = self.case.names("subscribe")
            for _ in range(times if names else 0):
                self.do(what, names[which % len(names)], after)

        @rule(cancelling=CANCELLINGS)
        def cancel(self, cancelling: tuple[int, int | None]) -> None:
            which, after = cancelling
            pending = list(self.case.pending)
            if pending:
                self.case.perform(Action(pending[which % len(pending)], "cancel", after=after))

        @rule(closing=CLOSINGS)
        def close(self, closing: tuple[int, int | None]) -> None:
            which, after = closing
            names = [*self.case.names("subscribe"), *self.case.names("connect"), "channel"]
            if self.number >= self.calm:
                self.do("close", names[which % len(names)], after)

        def teardown(self) -> None:
            if hasattr(self, "case"):
                self.case.finish()
                done(self.case)

    return Machine
