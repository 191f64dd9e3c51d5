"""A failure in a form that can be kept: a small file that replays exactly."""

import re
from pathlib import Path
from typing import NamedTuple

from aioservicekit_model.channel.history import JOINS, Event
from aioservicekit_model.rules import RULES

from ..checks.registry import BY_NAME
from ..live.recording import Recorded
from ..running.case import Action
from .wording import many

__all__ = ["KeptFailure", "as_text", "read"]

HEAD = "aioservicekit-conformance failure"
HEADS = (
    (HEAD, repr(HEAD)),
    (r"(target|agent) (.+)", "'target' and its name, or 'agent' and its command"),
    (r"rule (\S+)", "'rule' and its id"),
    (
        r"(?:(live )?channel of size (\d+)|check (.+))",
        "'channel of size' and a number, with 'live' before it or without, or 'check' and its name",
    ),
)
THEN = r"(, then (?P<after>\d+) callbacks?)?"
CALL = re.compile(
    r"(?P<op>\d+) (?P<what>subscribe|connect|send|read|next|close) (?P<on>\w+)( size (?P<size>\d+))?" + THEN
)
CANCEL = re.compile(r"cancel (?P<op>\d+)" + THEN)
SEEN = re.compile(  # an event of a live history, beginning with its thread
    r"(?P<thread>\d+): (?P<op>\d+) (?P<what>call|settle|cancel|return|raise|abandon|rest)"
    r"( (?P<kind>subscribe|connect|send|read|next|close|observe) (?P<on>\w+))?( (?P<value>.+))?"
)


class KeptFailure(NamedTuple):
    """The content of a failure file.

    Attributes:
        target: the target's name, as on the command line.
        rule: the blamed rule.
        default_size: the channel's default buffer size.
        actions: what to do to the channel.
        check: the name of the failing check, instead of a channel and actions.
        kind: "target", or "agent" if `target` is the command that starts an agent.
        recorded: a live history, which no run repeats, instead of actions.
    """

    target: str
    rule: str
    default_size: int = 0
    actions: tuple[Action, ...] = ()
    check: str = ""
    kind: str = "target"
    recorded: tuple[Recorded, ...] = ()


def as_text(failure: KeptFailure) -> str:
    """The file's text, with one line per action."""
    lines = [HEAD, f"{failure.kind} {failure.target}", f"rule {failure.rule}"]
    channel = f"{'live ' if failure.recorded else ''}channel of size {failure.default_size}"
    lines.append(f"check {failure.check}" if failure.check else channel)
    for thread, event in failure.recorded:
        words = (f"{thread}: {event.op}", event.what, event.kind, event.on, "" if event.value is None else event.value)
        lines.append(" ".join(str(word) for word in words if word != ""))
    for action in failure.actions:
        what = f"cancel {action.op}" if action.what == "cancel" else f"{action.op} {action.what} {action.on}"
        size = "" if action.size is None else f" size {action.size}"
        after = "" if action.after is None else f", then {many(action.after, 'callback')}"
        lines.append(f"{what}{size}{after}")
    return "\n".join(lines) + "\n"


def read(path: Path) -> KeptFailure:
    """Parse the failure in a file.

    Raises:
        OSError: the file can't be read.
        ValueError: the file contains no failure; the text says which line is wrong.
    """
    lines = path.read_text(encoding="utf-8").splitlines()
    found: list[str] = []
    for number, (pattern, words) in enumerate(HEADS):
        line = lines[number] if number < len(lines) else ""
        match = re.fullmatch(pattern, line)
        if not match:
            raise ValueError(f"line {number + 1}: expected {words}, not {line!r}")
        found += match.groups()
    kind, target, rule, live, size, check = found
    if rule not in RULES:
        raise ValueError(f"line 3: there is no rule {rule!r}")
    if check:
        if len(lines) > len(HEADS) or (rule, check) not in BY_NAME:
            raise ValueError(f"line 4: there is no check of {rule} by this name alone: {check!r}")
        return KeptFailure(target, rule, check=check, kind=kind)
    if live:
        seen = [_seen(line, number) for number, line in enumerate(lines[len(HEADS) :], len(HEADS) + 1)]
        return KeptFailure(target, rule, int(size), recorded=tuple(seen))
    actions: list[Action] = []
    for number, line in enumerate(lines[len(HEADS) :], len(HEADS) + 1):
        actions.append(_action(line, number))
        if missing := _missing(actions):
            raise ValueError(f"line {number}: {missing}: {line!r}")
    return KeptFailure(target, rule, int(size), tuple(actions), kind=kind)


def _action(line: str, number: int) -> Action:
    if match := CANCEL.fullmatch(line):
        return Action(int(match["op"]), "cancel", after=_number(match["after"]))
    if match := CALL.fullmatch(line):
        return Action(
            int(match["op"]), match["what"], match["on"], _number(match["size"]), after=_number(match["after"])
        )
    raise ValueError(f"line {number}: no action: {line!r}")


def _seen(line: str, number: int) -> Recorded:
    match = SEEN.fullmatch(line)
    if not match:
        raise ValueError(f"line {number}: no event of a live history: {line!r}")
    value = match["value"]
    event = Event(match["what"], int(match["op"]), match["kind"] or "", match["on"] or "", value)
    return Recorded(int(match["thread"]), event._replace(value=int(value)) if value and value.isdecimal() else event)


def _missing(actions: list[Action]) -> str:
    """Say what the last action needs and does not find."""
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
