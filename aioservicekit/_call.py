"""One call of a service's work, and what is observed about it."""

from collections.abc import Callable, Coroutine, Generator
from functools import partial
from typing import Any

from . import shutdown

__all__ = ["Call"]

_WATCHED = 100  # steps of a call: a server sets its signal handlers within the first few


class Call:
    """A call of work. It notes whether the work has waited for anything, and whether it has set signal handlers."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self.has_waited = False

    def __call__(self) -> "Call":
        return self

    def __await__(self) -> Generator[Any, Any, None]:
        steps = self._work().__await__()
        resume = first = steps.__next__
        left = _WATCHED
        while left > 0 or resume is not first:
            left -= 1
            try:
                waits_for = resume()
            except StopIteration:
                return
            if waits_for is not None:  # otherwise it only lets others run, as `sleep(0)` does
                self.has_waited = True
            shutdown.take_over_from_loops()
            try:
                yield waits_for
            except BaseException as error:
                resume = partial(steps.throw, error)
            else:
                resume = first
        yield from steps
