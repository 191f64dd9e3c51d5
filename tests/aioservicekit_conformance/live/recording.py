"""A recording: what the threads of one run do and see, in one order that agrees with real time.

A call is recorded before it is made, and its end after it has ended. So two operations that overlap in the recording may have
taken place in any order, and two that don't have taken place in this one.
"""

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from aioservicekit_model.channel.history import Event

__all__ = ["Recorded", "Recording", "Settling"]


class Recorded(NamedTuple):
    """An event, and the thread that it comes from: 0 is none of them."""

    thread: int
    event: Event


class Recording:
    """Events, appended by many threads; an append is atomic.

    Attributes:
        errors: for operations that raised, the error with its text, and the file and line that raised it.
    """

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self.errors: dict[int, str] = {}
        self._numbers = count(1)

    def next_number(self) -> int:
        """The number of a new operation."""
        return next(self._numbers)

    def see(self, thread: int, event: Event) -> None:
        self.events.append(Recorded(thread, event))


class Settling:
    """Awaits an operation, and says when it first suspends."""

    def __init__(self, operation: Awaitable[Any], settled: Callable[[], None]) -> None:
        self._operation = operation
        self._settled = settled

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._operation.__await__()
        resume: Callable[[], Any] = steps.__next__
        settled = False
        while True:
            try:
                waits_for = resume()
            except StopIteration as end:
                return end.value
            if not settled:
                settled = True
                self._settled()
            try:
                yield waits_for
            except GeneratorExit:  # its task is collected
                steps.close()
                raise
            except BaseException as error:
                resume = partial(steps.throw, error)
            else:
                resume = steps.__next__
