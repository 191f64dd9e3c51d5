"""Mutation testing: each small change of `aioservicekit/channels.py`, and whether the conformance suite alone notices it.

`python tests/suite/mutants.py` makes `specs/mutants.md` anew, in about a quarter of an hour, with cosmic-ray. A mutant that
survives and that nothing here explains fails it.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "specs" / "mutants.md"
MODULE = "aioservicekit/channels.py"
EXAMPLES = 300
CONFIGURATION = f"""
[cosmic-ray]
module-path = "{MODULE}"
timeout = 120.0
test-command = "{sys.executable} -m aioservicekit_conformance --max-examples {EXAMPLES}"
distributor.name = "local"
"""

# Why mutants survive, by where they are and what they do: "function, operator, the line before".
EXPLANATIONS = {
    r"(_close|_room|_may_commit|send|read|_require_not_closed|_open_or_close) ReplaceComparisonOperator_(Is_Eq|Eq_Is) .*": (
        "Nothing changes: states, buffers and places are equal only if identical, and CPython has one object for a small int."
    ),
    r"(send|_require_not_closed|_open_or_close) ReplaceComparisonOperator_Is_(GtE|LtE) .*_state is .*": (
        "Nothing changes: states have an order, and neither a closed channel nor an open one has anything left to do there."
    ),
    r"_may_commit ReplaceComparisonOperator_Eq_GtE .*": "Nothing changes: a buffer never holds more than its size.",
    r"send ReplaceComparisonOperator_Eq_LtE .*": (
        "It is slower, no more: `_full` may have buffers that are not full, and the next send takes them out."
    ),
    r"_may_commit ReplaceComparisonOperator_Eq_LtE .*size:": (
        "It is slower, no more: it looks again once it has named the bottleneck."
    ),
    r"_room .*": "It is slower, no more: sends that are woken and find no room sleep again, in their places.",
    r"(__init__|subscribe) (NumberReplacer|ReplaceBinaryOperator_Mul_Div) .*buffer_size.*": (
        "The signature is no rule's: what an omitted default size is, and that `subscribe` wants its argument by name."
    ),
    r"(full|statistics|__repr__) .*": "`repr()` and `statistics()`: CH-7.3, which the suite does not judge yet.",
    r"_close NumberReplacer .*_publishers = 0": "Only `statistics()` tells: CH-7.3, which the suite does not judge yet.",
    r"(__del__|_connected) .*|(_Endpoint|_ChannelSubscriber) RemoveDecorator .*@property": (
        "Forgotten endpoints: CH-7.2, which the suite does not judge yet."
    ),
    r"\w+ RemoveDecorator .*@abstractmethod": "It is for readers and for type checkers: nobody makes instances of the base class.",
    r"read (ExceptionReplacer .*IndexError.*|AddNot .*one has come since)|"
    r"_may_commit ReplaceComparisonOperator_Eq_LtE .* still.*": (
        "It needs a second thread at that very instruction: CH-6.1, which `tests/reference/test_preemption.py` covers."
    ),
}


class Survivor(NamedTuple):
    function: str
    operator: str
    before: str
    after: str

    @property
    def reason(self) -> str | None:
        text = f"{self.function} {self.operator} {self.before or self.after}"
        return next((why for pattern, why in EXPLANATIONS.items() if re.fullmatch(pattern, text)), None)


def session() -> str:
    """What cosmic-ray has to say, a line of JSON a mutant; it works on a copy."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name, "checkout")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        (copy / "mutation.toml").write_text(CONFIGURATION, encoding="utf-8")
        path = {"PYTHONPATH": f"{copy}:{copy / 'model'}:{copy / 'tests'}"}
        for arguments in (["init"], ["baseline"], ["exec"]):
            database = [] if arguments == ["baseline"] else ["session.sqlite"]
            command = [sys.executable, "-m", "cosmic_ray.cli", *arguments, "mutation.toml", *database]
            subprocess.run(command, cwd=copy, env=path, check=True)
        dump = [sys.executable, "-m", "cosmic_ray.cli", "dump", "session.sqlite"]
        return subprocess.run(dump, cwd=copy, capture_output=True, text=True, check=True).stdout


def survivors(dump: str) -> tuple[int, list[Survivor]]:
    """How many mutants there were, and those that the suite did not notice."""
    lines = [json.loads(line) for line in dump.splitlines()]
    found = []
    for work, result in lines:
        assert result is not None, f"never run: {work}"
        if result["test_outcome"] == "survived":
            (mutation,) = work["mutations"]
            found.append((mutation["start_pos"], _survivor(mutation, result["diff"])))
    return len(lines), [survivor for _, survivor in sorted(found)]


def _survivor(mutation: dict[str, str], diff: str) -> Survivor:
    changed = [line for line in diff.splitlines() if re.match(r"[-+](?![-+]{2} )", line) and line[1:].strip()]
    before, after = (" ".join(line[1:].strip() for line in changed if line[0] == sign) for sign in "-+")
    return Survivor(mutation["definition_name"], mutation["operator_name"].rpartition("/")[2], before, after)


def as_markdown(mutants: int, survived: list[Survivor]) -> str:
    """The document."""
    groups = defaultdict(list)
    for survivor in survived:
        groups[survivor.reason or "**Not explained.**"].append(survivor)
    killed = mutants - len(survived)
    parts = [
        "# Mutants\n",
        "<!-- Made by: python tests/suite/mutants.py -->\n",
        f"Small changes of `{MODULE}`, made by cosmic-ray one at a time, and judged by the conformance suite alone, with"
        f" {EXAMPLES} cases each. It refuses {killed} of {mutants}: {killed / mutants:.0%}. Of the others, each is listed here"
        " with the reason: it changes nothing that can be seen, or it breaks what the suite says that it does not judge.\n",
    ]
    for reason, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        parts.append(f"## {len(group)} of them\n\n{reason}\n")
        parts.append("```diff\n" + "\n".join(_as_diff(survivor) for survivor in group) + "\n```\n")
    return "\n".join(parts)


def _as_diff(survivor: Survivor) -> str:
    lines = [f"@@ {survivor.function}"]
    lines += [f"{sign} {text}" for sign, text in (("-", survivor.before), ("+", survivor.after)) if text]
    return "\n".join(lines)


if __name__ == "__main__":
    mutants, survived = survivors(session())
    DOCUMENT.write_text(as_markdown(mutants, survived), encoding="utf-8")
    unexplained = [survivor for survivor in survived if survivor.reason is None]
    sys.exit(f"not explained: {unexplained}" if unexplained else 0)
