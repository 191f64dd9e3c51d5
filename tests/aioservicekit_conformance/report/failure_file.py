"""A failure as a thing to keep: a small file that replays exactly, and a program that shows it with no suite installed."""

import re
import threading
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import NamedTuple

from aioservicekit_model.history import JOINS, Event
from aioservicekit_model.rules import RULES

from .. import checks
from ..checks.checking import Broken, Check, Escaped, NotTakenOn
from ..checks.registry import CHECKS
from ..running.case import Action, Case
from ..running.watchdog import describe_error
from ..target import Target, is_path, split

__all__ = ["KeptFailure", "as_program", "as_text", "broken", "program_of_check", "read"]

HEAD = "aioservicekit-conformance failure"
HEADS = (
    (HEAD, repr(HEAD)),
    (r"target (.+)", "'target' and its name"),
    (r"rule (\S+)", "'rule' and its id"),
    (r"(?:channel of size (\d+)|check (.+))", "'channel of size' and a number, or 'check' and its name"),
)
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
    found: list[str] = []
    for number, (pattern, words) in enumerate(HEADS):
        line = lines[number] if number < len(lines) else ""
        match = re.fullmatch(pattern, line)
        if not match:
            raise ValueError(f"line {number + 1}: expected {words}, not {line!r}")
        found += match.groups()
    target, rule, size, check = found
    if rule not in RULES:
        raise ValueError(f"line 3: there is no rule {rule!r}")
    if check:
        if len(lines) > len(HEADS) or not any((each.rule, each.name) == (rule, check) for each in CHECKS):
            raise ValueError(f"line 4: there is no check of {rule} by this name alone: {check!r}")
        return KeptFailure(target, rule, check=check)
    actions: list[Action] = []
    for number, line in enumerate(lines[len(HEADS) :], len(HEADS) + 1):
        actions.append(_action(line, number))
        if missing := _missing(actions):
            raise ValueError(f"line {number}: {missing}: {line!r}")
    return KeptFailure(target, rule, int(size), tuple(actions))


def _action(line: str, number: int) -> Action:
    if match := CANCEL.fullmatch(line):
        return Action(int(match["op"]), "cancel", after=_number(match["after"]))
    if match := CALL.fullmatch(line):
        return Action(
            int(match["op"]), match["what"], match["on"], _number(match["size"]), after=_number(match["after"])
        )
    raise ValueError(f"line {number}: no action: {line!r}")


def _missing(actions: list[Action]) -> str:
    """What the last action needs and is not there by then."""
    *before, last = actions
    called = [action for action in before if action.what != "cancel"]
    if last.what == "cancel":
        return "" if last.op in {action.op for action in called} else f"there is no operation {last.op} to cancel"
    if last.op in {action.op for action in called}:
        return f"operation {last.op} has been called already"
    kinds = {"send": "connect", "read": "subscribe", "next": "subscribe"}
    joined = {action.on: action.what for action in called if action.what in JOINS}
    if last.what in JOINS:
        return f"there is an endpoint {last.on} already" if last.on in joined or last.on == "channel" else ""
    if last.what == "close" and last.on == "channel":
        return ""
    if last.on not in joined:
        return f"there is no endpoint {last.on}"
    wanted = kinds.get(last.what, joined[last.on])
    return "" if joined[last.on] == wanted else f"{last.on} has no {last.what}()"


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def broken(check: Check, target: Target) -> Broken | None:
    """What a check finds, if it finds something.

    Raises:
        NotTakenOn: the target does nothing about the check's rule, or fails before that comes into play: other rules tell.
        Escaped: the target uses what no hand-stepped loop offers.
    """
    threads = threading.active_count()
    found: Broken | NotTakenOn | Escaped | None = None
    try:
        check.program(target)
    except (Broken, NotTakenOn, Escaped) as error:
        found = error
    except (Exception, SystemExit) as error:
        found = NotTakenOn(f"it could not be looked at: {describe_error(error)}")
    if threading.active_count() > threads:
        raise Escaped("a thread of its own")
    if isinstance(found, NotTakenOn | Escaped):
        raise found
    return found


def check_of(failure: KeptFailure) -> Check:
    """The check that a failure names."""
    return next(each for each in CHECKS if (each.rule, each.name) == (failure.rule, failure.check))


def program_of_check(failure: KeptFailure, error: Broken) -> str:
    """A program of plain asyncio that runs a check as it stands in the suite, and says whether the same comes of it."""
    sources = files(checks)
    names = ("checking.py", f"{check_of(failure).program.__module__.rpartition('.')[2]}.py")
    texts = [sources.joinpath(name).read_text(encoding="utf-8") for name in names]
    return Template(_template("check.txt")).substitute(
        steps=_template("steps.txt"),
        rule=failure.rule,
        check=failure.check,
        expected=error.expected,
        observed=error.observed,
        **_importing(failure),
        checks="\n".join(
            re.sub(r"^from \.[.\w]+ import (\([^)]*\)|.*)\n", "", text, flags=re.MULTILINE) for text in texts
        ),
    )


def _template(name: str) -> str:
    return files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def _importing(failure: KeptFailure) -> dict[str, str]:
    """What a program needs to come to the target: a folder, the module to import, and what to write behind it."""
    source, attribute = split(failure.target)
    folder, module = (str(Path(source).parent), Path(source).stem) if is_path(source) else ("", source)
    return {"folder": folder, "module": module, "attribute": f".{attribute}" if attribute else ""}


def as_program(failure: KeptFailure, case: Case, expected: str, observed: str) -> str:
    """A program of plain asyncio that does the same to the target, and says whether the same comes of it."""
    template = Template(_template("program.txt"))
    return template.substitute(
        steps=_template("steps.txt"),
        rule=failure.rule,
        expected=expected,
        observed=observed,
        **_importing(failure),
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
