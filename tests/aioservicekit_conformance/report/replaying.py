"""`--replay`: run one kept failure again on a target."""

from rich.console import Console
from rich.markup import escape

from aioservicekit_model.channel.blame import blame

from ..agents.agent import Agent
from ..checks.check import Escaped, NotTakenOn
from ..checks.registry import BY_NAME
from ..checks.runner import run_check
from ..judging import undisturbed
from ..live.drawing import NO_ORDER, live_timeline
from ..live.drawing import explain as live_explain
from ..live.exploring import refused_at
from ..running.case import MOST_STATES, Subject, replay
from ..running.stepped import hanging
from ..running.watchdog import Hang
from ..target import Target, TargetError
from .explaining import because, explain
from .failure_file import KeptFailure
from .terminal import print_finding, say
from .timeline import timeline
from .wording import KEY

__all__ = ["replayed"]


def replayed(console: Console, target: Target | Agent, failure: KeptFailure) -> int:
    """Run the failure again, and say what happens; return the exit status.

    Raises:
        TargetError: the failure is that of a check, a program in Python, which an agent can't run.
    """
    if failure.check and isinstance(target, Agent):
        raise TargetError(f"agent {target.name!r} can't run a check, a program in Python: {failure.check}")
    try:
        with undisturbed():
            if failure.recorded:
                return _history(console, failure)
            if isinstance(target, Target) and failure.check:
                return _check(console, target, failure)
            return _case(console, target, failure)
    except Hang as hang:
        return _hangs(console, target, hanging(hang))


def _hangs(console: Console, target: Subject, how: str) -> int:
    console.print(f"{escape(target.name)} {escape(how)}")
    return 1


def _keeps(console: Console, target: Subject) -> int:
    console.print(f"{escape(target.name)} [green]keeps the rules here[/]")
    return 0


def _cant_be_judged(console: Console, target: Subject, escape_: object) -> int:
    console.print(f"{escape(target.name)} can't be judged: it uses {escape(str(escape_))}")
    return 1


def _given_up(console: Console, target: Subject) -> int:
    console.print(f"{escape(target.name)} can't be judged: more than {MOST_STATES} states explain the history")
    return 1


def _case(console: Console, target: Subject, failure: KeptFailure) -> int:
    case = replay(target, failure.default_size, failure.actions)
    for each in timeline(case):
        console.print(escape(each), soft_wrap=True)
    if case.hung:
        return _hangs(console, target, case.hung)
    if case.escaped:
        return _cant_be_judged(console, target, case.escaped)
    if case.refused is None:
        return _given_up(console, target) if case.given_up else _keeps(console, target)
    expected, observed = explain(case)
    rules = ", ".join(sorted(blame(case.default_size, case.history))) or "no single rule"
    print_finding(console, 0, expected, observed, because(case))
    console.print(f"explained by a breach of: {rules}")
    console.print(f"[dim]{escape(KEY)}[/]")
    return 1


def _history(console: Console, failure: KeptFailure) -> int:
    """Judge a kept live history again: threads would never repeat it."""
    history = [event for _, event in failure.recorded]
    refused = refused_at(failure.default_size, history)
    for each in live_timeline(failure.default_size, failure.recorded, refused):
        console.print(escape(each), soft_wrap=True)
    if refused is None:
        console.print("this history [green]keeps the rules[/]")
        return 0
    print_finding(console, 0, *live_explain(failure.default_size, history[: refused + 1], {}), NO_ORDER)
    console.print(f"[dim]{escape(KEY)}[/]")
    return 1


def _check(console: Console, target: Target, failure: KeptFailure) -> int:
    check = BY_NAME[failure.rule, failure.check]
    try:
        error = run_check(check, target)
    except NotTakenOn as reason:
        console.print(escape(str(reason)))
        return 0
    except Escaped as reason:
        return _cant_be_judged(console, target, reason)
    if error is None:
        return _keeps(console, target)
    say(console, 0, "check:", check.name, 10)
    print_finding(console, 0, error.expected, error.observed)
    return 1
