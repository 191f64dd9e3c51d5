"""A failure as a thing to keep: a small file that replays exactly, and a program that shows it with no suite installed."""

import re
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from aioservicekit_model.history import Event

from .care import CHECKS
from .case import Action, Case
from .checks import OPTIONAL, Broken, Check, NotTakenOn
from .target import Target

__all__ = ["KeptFailure", "as_program", "as_text", "broken", "program_of_check", "read"]

HEAD = "aioservicekit-conformance failure"
THEN = r"(, then (?P<after>\d+) callbacks?)?"
CALL = re.compile(
    r"(?P<op>\d+) (?P<what>subscribe|connect|send|read|next|close) (?P<on>\w+)( size (?P<size>\d+))?" + THEN
)
CANCEL = re.compile(r"cancel (?P<op>\d+)" + THEN)


class KeptFailure(NamedTuple):
    """What a file holds.

    Attributes:
        target: as on the command line.
        rule: the one that is to blame.
        default_size: of the channel.
        actions: what to do to it.
        check: the name of the check that fails, in place of a channel and actions.
    """

    target: str
    rule: str
    default_size: int = 0
    actions: tuple[Action, ...] = ()
    check: str = ""


def as_text(failure: KeptFailure) -> str:
    """The file's text: a line an action."""
    lines = [HEAD, f"target {failure.target}", f"rule {failure.rule}"]
    lines.append(f"check {failure.check}" if failure.check else f"channel of size {failure.default_size}")
    for action in failure.actions:
        what = f"cancel {action.op}" if action.what == "cancel" else f"{action.op} {action.what} {action.on}"
        size = "" if action.size is None else f" size {action.size}"
        after = "" if action.after is None else f", then {action.after} callback{'' if action.after == 1 else 's'}"
        lines.append(f"{what}{size}{after}")
    return "\n".join(lines) + "\n"


def read(path: Path) -> KeptFailure:
    """The failure that a file holds.

    Raises:
        OSError: it can't be read.
        ValueError: it holds none; the text says which line is wrong.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [HEAD, r"target (\S+)", r"rule (\S+)", r"(?:channel of size (\d+)|check (.+))"]
    found: list[str] = []
    for number, pattern in enumerate(head):
        line = lines[number] if number < len(lines) else ""
        match = re.fullmatch(pattern, line)
        if not match:
            raise ValueError(f"line {number + 1}: expected {pattern!r}, not {line!r}")
        found += match.groups()
    target, rule, size, check = found
    if check:
        if len(lines) > len(head) or not any((each.rule, each.name) == (rule, check) for each in CHECKS):
            raise ValueError(f"line 4: there is no check of {rule} by this name alone: {check!r}")
        return KeptFailure(target, rule, check=check)
    actions = []
    for number, line in enumerate(lines[len(head) :], len(head) + 1):
        if match := CANCEL.fullmatch(line):
            actions.append(Action(int(match["op"]), "cancel", after=_number(match["after"])))
        elif match := CALL.fullmatch(line):
            own, after = _number(match["size"]), _number(match["after"])
            actions.append(Action(int(match["op"]), match["what"], match["on"], own, after))
        else:
            raise ValueError(f"line {number}: no action: {line!r}")
    return KeptFailure(target, rule, int(size), tuple(actions))


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def broken(check: Check, target: Target) -> Broken | None:
    """What a check finds, if it finds something.

    Raises:
        NotTakenOn: the target does nothing about the check's rule.
    """
    try:
        check.program(target)
    except Broken as error:
        return error
    except NotTakenOn:
        raise
    except Exception as error:
        if check.rule in OPTIONAL:
            raise NotTakenOn(f"it could not be looked at: {type(error).__name__}: {error}") from error
        return Broken("a check that runs to its end", f"{type(error).__name__}: {error}")
    return None


def program_of_check(failure: KeptFailure, error: Broken) -> str:
    """A program of plain asyncio that runs a check as it stands in the suite, and says whether the same comes of it."""
    package = files(__package__)
    names = ("checks.py", "care.py") if failure.rule[:4] == "CH-7" else ("checks.py",)
    sources = [package.joinpath(name).read_text(encoding="utf-8") for name in names]
    module, attribute = _importing(failure)
    return Template(package.joinpath("check.txt").read_text(encoding="utf-8")).substitute(
        rule=failure.rule,
        check=failure.check,
        expected=error.expected,
        observed=error.observed,
        module=module,
        attribute=attribute,
        checks="\n".join(
            re.sub(r"^from \.\w+ import (\([^)]*\)|.*)\n", "", source, flags=re.MULTILINE) for source in sources
        ),
    )


def _importing(failure: KeptFailure) -> tuple[str, str]:
    """The module to import, and what to write behind it to come to the target."""
    module, colon, attribute = failure.target.partition(":")
    return module, f".{attribute}" if colon else ""


def as_program(failure: KeptFailure, case: Case, expected: str, observed: str) -> str:
    """A program of plain asyncio that does the same to the target, and says whether the same comes of it."""
    module, attribute = _importing(failure)
    template = Template(files(__package__).joinpath("program.txt").read_text(encoding="utf-8"))
    return template.substitute(
        rule=failure.rule,
        expected=expected,
        observed=observed,
        module=module,
        attribute=attribute,
        size=failure.default_size,
        actions="".join(f"    {tuple(action)!r},\n" for action in _judged_actions(case)),
        seen="".join(f"    {_seen(event)!r},\n" for event in case.judged),
    )


def _judged_actions(case: Case) -> list[Action]:
    """What was done up to the refused event; after the case's own actions all comes to rest, and the channel is emptied."""
    own = {action.op: action for action in case.actions if action.what != "cancel"}
    cancellations = {action.op: action for action in case.actions if action.what == "cancel"}
    actions, emptying = [], []
    for event in case.judged:
        if event.what == "cancel":
            actions.append(cancellations[event.op])
        elif event.what == "call":
            actions += [own[event.op]] if event.op in own else []
            emptying += [] if event.op in own else [Action(event.op, event.kind, event.on)]
    return [*actions, Action(0, "rest"), *emptying]


def _seen(event: Event) -> str:
    """An event, as the program notes it."""
    value = "" if event.value is None else f" {event.value}"
    match event.what:
        case "return" | "raise":
            return f"{event.op} {event.what}s{value}"
        case "observe":
            return f"state{value}"
        case "rest":
            return "at rest"
        case what:
            return f"{what} {event.op}"
