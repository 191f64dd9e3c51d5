"""`--replay`: one kept failure, run again on a target."""

from rich.console import Console
from rich.markup import escape

from aioservicekit_model.checker import blame

from ..checks.checking import Escaped, NotTakenOn
from ..running.case import replay
from ..running.watchdog import Hang, watched
from ..target import Target
from .failure_file import KeptFailure, broken, check_of
from .terminal import say
from .wording import KEY, because, explain, timeline

__all__ = ["replayed"]


def replayed(console: Console, target: Target, failure: KeptFailure) -> int:
    """Run the failure again, and say what comes of it; returns the exit status."""
    try:
        with watched():
            return _check(console, target, failure) if failure.check else _case(console, target, failure)
    except Hang as hang:
        console.print(f"{escape(target.name)} does not come back: for seconds it ran at {hang}")
        return 1


def _keeps(console: Console, target: Target) -> int:
    console.print(f"{escape(target.name)} [green]keeps the rules here[/]")
    return 0


def _cant_be_judged(console: Console, target: Target, escape_: object) -> int:
    console.print(f"{escape(target.name)} can't be judged: it uses {escape(str(escape_))}")
    return 1


def _case(console: Console, target: Target, failure: KeptFailure) -> int:
    case = replay(target, failure.default_size, failure.actions)
    for each in timeline(case):
        console.print(escape(each), soft_wrap=True)
    if case.hung:
        raise Hang(case.hung)
    if case.escaped:
        return _cant_be_judged(console, target, case.escaped)
    if case.refused is None:
        return _keeps(console, target)
    expected, observed = explain(case)
    rules = ", ".join(sorted(blame(case.default_size, case.history))) or "no single rule"
    say(console, 0, "expected:", escape(expected), 10)
    say(console, 0, "observed:", f"[red]{escape(observed)}[/]", 10)
    say(console, 0, "because:", escape(because(case)), 10)
    console.print(f"explained by a breach of: {rules}")
    console.print(f"[dim]{escape(KEY)}[/]")
    return 1


def _check(console: Console, target: Target, failure: KeptFailure) -> int:
    check = check_of(failure)
    try:
        error = broken(check, target)
    except NotTakenOn as reason:
        console.print(escape(str(reason)))
        return 0
    except Escaped as reason:
        return _cant_be_judged(console, target, reason)
    if error is None:
        return _keeps(console, target)
    say(console, 0, "check:", check.name, 10)
    say(console, 0, "expected:", escape(error.expected), 10)
    say(console, 0, "observed:", f"[red]{escape(error.observed)}[/]", 10)
    return 1
