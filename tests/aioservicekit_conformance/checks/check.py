"""What named checks are made of: programs that use a target as its users do, on a hand-stepped loop."""

import re
import string
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from ..running.loop import SteppedLoop
from ..target import Target

__all__ = [
    "Broken",
    "Check",
    "Escaped",
    "NotTakenOn",
    "check",
    "expect",
    "outcome",
    "run",
    "started",
    "state_of",
    "without_addresses",
]

_T = TypeVar("_T")

# How often something may come again, with nothing to be seen of it, before a program is said to wait for ever.
PATIENCE = 500


def without_addresses(text: str) -> str:
    """A text without what differs from run to run in a default `repr()`."""
    return re.sub("0x[0-9a-fA-F]+", "0x...", text)


class Broken(Exception):
    """What a rule asks for, and what was seen instead."""

    def __init__(self, expected: str, observed: str) -> None:
        self.expected = without_addresses(expected)
        self.observed = without_addresses(observed)
        super().__init__(f"expected {self.expected}; observed {self.observed}")


class NotTakenOn(Exception):
    """The target does nothing about a rule that it need not take on; the text says what it does not do."""


class Escaped(Exception):
    """The target uses what no hand-stepped loop offers, so that nothing can be said of it; the text says what."""


class Stuck(Broken):
    """A program of a check waits for ever."""


class Check(NamedTuple):
    """A program that uses a target as its users do, and raises `Broken` where the target breaks the rule.

    Attributes:
        obligation: what it judges: a rule's id, with the letter of a clause if the rule has several obligations: "CH-3.9b".
    """

    obligation: str
    name: str
    program: Callable[[Target], None]

    @property
    def rule(self) -> str:
        return self.obligation.rstrip(string.ascii_lowercase)


def check(obligation: str) -> Callable[[Callable[[Target], None]], Check]:
    """Make a check of a program; the check is named as the program is."""

    def made(program: Callable[[Target], None]) -> Check:
        return Check(obligation, program.__name__.replace("_", " "), program)

    return made


def run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """What a coroutine function returns, or raises, on a loop that is stepped until it rests.

    Raises:
        Stuck: it waits for something that never comes.
        Escaped: it uses what no hand-stepped loop offers.
    """
    loop = SteppedLoop()
    task = loop.start(main())
    loop.run_until_rest(task.done, PATIENCE)
    if not (task.done() or loop.escapes):
        task.cancel()
        loop.run_until_rest(task.done, PATIENCE)
        loop.retire()
        raise Stuck("an end", "an operation that waits for ever")
    loop.retire()
    if loop.escapes:
        raise Escaped(loop.escapes[0])
    return task.result()


def started(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T | None:
    """As `run`, but None where it waits for ever: whatever rule that breaks, it is not the one that is looked at."""
    try:
        return run(main)
    except Stuck:
        return None


async def outcome(operation: Coroutine[Any, Any, object]) -> str:
    """How an operation ended, in words."""
    try:
        value = await operation
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__} raised"
    return f"{value!r} returned"


def state_of(target: Target, channel: Any) -> str:
    """A channel's state by its name, or what it says in its stead."""
    return target.states.get(channel.state, repr(channel.state))


def expect(expected: str, observed: str, what: str) -> None:
    if expected != observed:
        raise Broken(f"{what}: {expected}", observed)
