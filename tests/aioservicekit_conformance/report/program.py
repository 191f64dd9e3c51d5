"""A failure as a program in plain asyncio that shows it without the suite."""

import re
from importlib.resources import files
from inspect import getsource
from pathlib import Path
from string import Template

from aioservicekit_model.channel.history import Event

from .. import checks
from ..checks.check import Broken
from ..checks.registry import BY_NAME
from ..running.case import Action, Case
from ..target import is_path, split
from .failure_file import KeptFailure
from .wording import IMPOSSIBLE, call_in_words, event_in_words, line

__all__ = ["as_program", "program_of_check"]


def program_of_check(failure: KeptFailure, error: Broken) -> str:
    """A program in plain asyncio that runs a check as the suite does, and says whether the outcome is the same."""
    sources = files(checks)
    program = BY_NAME[failure.rule, failure.check].program
    own = sources.joinpath(f"{program.__module__.rpartition('.')[2]}.py").read_text(encoding="utf-8")
    beside = dict.fromkeys(["check", *re.findall(r"^from \.(\w+) import", own, flags=re.MULTILINE)])
    texts = [*(sources.joinpath(f"{name}.py").read_text(encoding="utf-8") for name in beside), own]
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
    """What a program needs to load the target: a folder, the module to import, and the attribute path after it."""
    source, attribute = split(failure.target)
    folder, module = (str(Path(source).parent), Path(source).stem) if is_path(source) else ("", source)
    return {"folder": folder, "module": module, "attribute": f".{attribute}" if attribute else ""}


def as_program(failure: KeptFailure, case: Case, expected: str, observed: str) -> str:
    """A program in plain asyncio that does the same to the target, and says whether the outcome is the same."""
    template = Template(_template("program.txt"))
    return template.substitute(
        steps=_template("steps.txt"),
        rule=failure.rule,
        expected=expected,
        observed=observed,
        **_importing(failure),
        wording="\n\n".join(getsource(each) for each in (Event, line, event_in_words, call_in_words)),
        impossible=IMPOSSIBLE,
        size=failure.default_size,
        actions="".join(f"    {tuple(action)!r},\n" for action in _judged_actions(case)),
        seen="".join(f"    {_as_code(event)},\n" for event in case.judged),
    )


def _judged_actions(case: Case) -> list[Action]:
    """The actions up to the refused event; after the case's own actions, all comes to rest and the channel is emptied."""
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


def _as_code(event: Event) -> str:
    """An event as an expression, without the arguments that have their default values."""
    given = {name: value for name, value in event._asdict().items() if value != Event._field_defaults.get(name)}
    return f"Event({', '.join(f'{name}={value!r}' for name, value in given.items())})"
