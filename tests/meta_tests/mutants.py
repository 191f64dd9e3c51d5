"""Mutation testing: each small change of the channel, and whether the conformance suite alone notices it.

`python tests/meta_tests/mutants.py` makes `specs/mutants.md` anew, in about half an hour, with cosmic-ray. A mutant that
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
MODULES = ("aioservicekit/_core.py", "aioservicekit/channels.py")
EXAMPLES = 300
CONFIGURATION = f"""
[cosmic-ray]
module-path = {list(MODULES)}
timeout = 60.0
test-command = "{sys.executable} tests/meta_tests/mutants.py --judge"
distributor.name = "local"

[cosmic-ray.filters.operators-filter]
# States, buffers and places are equal only if identical, so comparing them the other way changes nothing.
exclude-operators = ["core/ReplaceComparisonOperator_(Is_Eq|Eq_Is|IsNot_NotEq|NotEq_IsNot)"]
"""

# Why mutants survive, by "function operator line-before".
EXPLANATIONS = {
    r"None .*TypeVar.*": "Only type checkers and the typing tests see it: no rule is about types.",
    r"(Channel RemoveDecorator|__init__ .*_closed_itself|_close .*_closed_itself|_closed_error|_quoted|_checked_name) ?.*": (
        "Names and error texts: no rule says how they read. `tests/reference/test_robustness.py` tests them."
    ),
    r"(is_full ReplaceComparisonOperator_LtE|commit ReplaceComparisonOperator_GtE)_(Eq|Is) .*": (
        "On one event loop a buffer never holds more than its size, and small numbers are equal only if identical."
    ),
    r"is_full ReplaceComparisonOperator_Lt_(IsNot|NotEq) .*": "No size is negative (CH-2.3).",
    r"_is_any_full .*full\[-1\].*": "It is slower, no more: the list runs empty, and all bounded buffers are looked at again.",
    r"(disconnect|unsubscribe) ReplaceComparisonOperator_Eq_LtE .*": "The one that closes is connected, so there is one.",
    r"send .*self\._token in core\.publishers and .*": "It is slower, no more: the send joins the line and commits there.",
    r"line_up_read .*if self\.sends or buffer\.handed.*": "It concerns what closed loops and interrupts leave: CH-6.3, CH-3.7.",
    r"(_hand|_move|_settle|take_back|_put_back|abandon_read|tell_if_lost) .*": (
        "It needs several event loops, or a closed one: CH-6, which `tests/reference/test_loops.py` covers."
    ),
    r"(commit .*running|commit_waiting .*is_closed|line_up_read .*buffer\.home|read .*messages and not buffer\.handed).*": (
        "It needs several event loops, or a closed one: CH-6, which `tests/reference/test_loops.py` covers."
    ),
    r"commit_waiting .*send\.committed.*": "It needs an interrupt at that very instruction: CH-3.7.",
    r"(send|read) ExceptionReplacer .*": "It needs an interrupt at that very instruction: CH-3.7, `test_robustness.py`.",
    r"line_up_(read|send) .*(heard = |task\.cancelling).*": (
        "It needs an operation outside of any task, or a request that was withdrawn: `tests/reference/test_cancelling.py`."
    ),
    r"subscribe ReplaceBinaryOperator_Mul_Div .*": "The size may be passed by position too: an implementation may offer more.",
    r"_connection_of AddNot .*": (
        "`repr()` has words of its own, of which CH-7.3 asks that they change when an endpoint closes."
        " `tests/reference/test_care.py` tests them."
    ),
    r"__del__ NumberReplacer .*stacklevel.*": "The line for which a warning is shown: no rule says which.",
    r"_hand_oldest ReplaceTrueWithFalse .*": "The completed read stays in line, where the next commit passes it over.",
    r"_hand_oldest ReplaceFalseWithTrue .*|(read|_hand_oldest) ExceptionReplacer .*IndexError.*": (
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


def judge_the_channel() -> bool:
    """Whether the suite passes every rule that the channel claims to keep."""
    from aioservicekit_conformance.judging import judge
    from aioservicekit_conformance.target import load
    from aioservicekit_conformance.verdicts import UNTESTED
    from aioservicekit_model.rules import RULES

    report = judge(load("aioservicekit"), frozenset(RULES) - set(UNTESTED), EXAMPLES, 0)
    return all(verdict.verdict == "pass" for verdict in report.verdicts)


def session() -> str:
    """Run cosmic-ray on a copy of the checkout; return its report, one line of JSON per mutant."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name, "checkout")
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        (copy / "mutation.toml").write_text(CONFIGURATION, encoding="utf-8")
        path = {"PYTHONPATH": f"{copy}:{copy / 'model'}:{copy / 'tests'}"}
        cosmic_ray, leave_out = "cosmic_ray.cli", "cosmic_ray.tools.filters.operators_filter"
        for arguments in (
            [cosmic_ray, "init", "mutation.toml", "session.sqlite"],
            [leave_out, "session.sqlite", "mutation.toml"],
            [cosmic_ray, "baseline", "mutation.toml"],
            [cosmic_ray, "exec", "mutation.toml", "session.sqlite"],
        ):
            subprocess.run([sys.executable, "-m", *arguments], cwd=copy, env=path, check=True)
        dump = [sys.executable, "-m", "cosmic_ray.cli", "dump", "session.sqlite"]
        return subprocess.run(dump, cwd=copy, capture_output=True, text=True, check=True).stdout


def survivors(dump: str) -> tuple[int, list[Survivor]]:
    """Return the number of mutants, and those that the suite did not notice."""
    lines = [json.loads(line) for line in dump.splitlines()]
    tried = [(work, result) for work, result in lines if not result or result.get("worker_outcome") != "skipped"]
    found = []
    for work, result in tried:
        assert result is not None, f"never run: {work}"
        if result["test_outcome"] == "survived":
            (mutation,) = work["mutations"]
            found.append((mutation["start_pos"], _survivor(mutation, result["diff"])))
    return len(tried), [survivor for _, survivor in sorted(found)]


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
    modules = " and ".join(f"`{module}`" for module in MODULES)
    parts = [
        "# Mutants\n",
        "<!-- Made by: python tests/meta_tests/mutants.py -->\n",
        f"cosmic-ray makes small changes of {modules}, one at a time, and the conformance suite alone judges each mutant with"
        f" {EXAMPLES} cases. It refuses {killed} of {mutants}: {killed / mutants:.1%}. The others are listed here, each with the"
        " reason: it changes nothing visible, or it breaks something that the suite does not claim to judge.\n\n"
        "Mutants that compare identities instead of values, or values instead of identities, are left out: states, buffers and"
        " places are equal only if they are identical.\n",
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
    if sys.argv[1:] == ["--judge"]:
        sys.exit(not judge_the_channel())
    mutants, survived = survivors(session())
    DOCUMENT.write_text(as_markdown(mutants, survived), encoding="utf-8")
    unexplained = [survivor for survivor in survived if survivor.reason is None]
    sys.exit(f"not explained: {unexplained}" if unexplained else 0)
