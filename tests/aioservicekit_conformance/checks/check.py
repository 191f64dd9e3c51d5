"""The building blocks of named checks: programs that use a target as its users do, on a hand-stepped loop."""

import asyncio
import re
import string
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

from ..running.loop import SteppedLoop
from ..target import Target

__all__ = [
    "Broken",
    "Check",
    "Escaped",
    "NotTakenOn",
    "Stuck",
    "check",
    "expect",
    "makes_no_difference",
    "outcome",
    "run",
    "started",
    "state_of",
    "turn",
    "without_addresses",
]

_T = TypeVar("_T")

# How often something may recur with no visible change before a program counts as waiting for ever.
PATIENCE = 500


def without_addresses(text: str) -> str:
    """A text without the parts of a default `repr()` that differ from run to run."""
    return re.sub("0x[0-9a-fA-F]+", "0x...", text)


class Broken(Exception):
    """What a rule requires, and what was observed instead."""

    def __init__(self, expected: str, observed: str) -> None:
        self.expected = without_addresses(expected)
        self.observed = without_addresses(observed)
        super().__init__(f"expected {self.expected}; observed {self.observed}")


class NotTakenOn(Exception):
    """The target does not claim a rule that is optional; the text says what it does not do."""


class Escaped(Exception):
    """The target uses something that a hand-stepped loop does not offer, so it can't be judged; the text says what."""


class Stuck(Broken):
    """A check's program waits for ever."""


class Check(NamedTuple):
    """A program that uses a target as its users do, and raises `Broken` if the target breaks the rule.

    Attributes:
        obligation: what it judges: a rule's id, plus the letter of a clause if the rule has several, such as "CH-3.9b".
    """

    obligation: str
    name: str
    program: Callable[[Target], None]

    @property
    def rule(self) -> str:
        return self.obligation.rstrip(string.ascii_lowercase)


def check(obligation: str) -> Callable[[Callable[[Target], None]], Check]:
    """Make a check from a program; the check has the program's name."""

    def made(program: Callable[[Target], None]) -> Check:
        return Check(obligation, program.__name__.replace("_", " "), program)

    return made


def run(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Return or raise what a coroutine function does, on a loop that is stepped until it rests.

    Raises:
        Stuck: it waits for something that never comes.
        Escaped: it uses something that a hand-stepped loop does not offer.
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
    """As `run`, but None if it waits for ever: whichever rule that breaks, it is not the one in question."""
    try:
        return run(main)
    except Stuck:
        return None


async def turn(times: int) -> None:
    """Let the loop turn so many times."""
    for _ in range(times):
        await asyncio.sleep(0)


async def outcome(operation: Awaitable[object]) -> str:
    """Say in words how an operation ended."""
    try:
        value = await operation
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__} raised"
    return f"{_shown(value)} returned"


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__} object>"


def state_of(target: Target, channel: Any) -> str:
    """A channel's state by name, or whatever the target gives instead."""
    return target.states.get(channel.state, repr(channel.state))


def expect(expected: str, observed: str, what: str) -> None:
    if expected != observed:
        raise Broken(f"{what}: {expected}", observed)


def makes_no_difference(
    obligation: str, what: str, program: Callable[[Target, bool], Coroutine[Any, Any, str]]
) -> Check:
    """A check that a program says the same whether or not it does what must make no difference."""

    def compare(target: Target) -> None:
        without = started(lambda: program(target, False))
        if without:
            expect(
                without,
                started(lambda: program(target, True)) or "an operation that waits for ever",
                f"{what}, as without",
            )

    compare.__name__, compare.__module__ = what, getattr(program, "func", program).__module__
    return check(obligation)(compare)
