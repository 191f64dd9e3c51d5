"""What the command prints on a terminal: lines wrapped at the terminal's width, each below its heading."""

import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import RawIOBase, TextIOBase
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from aioservicekit_model.rules import RULES, SECTIONS, section

from ..verdicts import Report, Verdict, with_what_is_not_judged
from .wording import KEY

__all__ = ["Judge", "judged", "print_finding", "print_known", "print_report", "print_summary", "say"]

MARKS = {
    "pass": "[green]pass[/]",
    "fail": "[red]FAIL[/]",
    "masked": "[yellow]masked[/]",
    "unsupported": "[yellow]unsupported[/]",
    "untested": "[dim]untested[/]",
    "not applicable": "[dim]not applicable[/]",
}


def say(console: Console, indent: int, label: str, text: str, width: int = 0) -> None:
    """Print a text beside its label, wrapped at words; both may contain markup.

    Args:
        indent: columns to the left of the label.
        width: columns for the label.
    """
    start = indent + width
    head = Text(" " * indent) + Text.from_markup(label)
    head.pad_right(start - len(head))
    for number, row in enumerate(Text.from_markup(text).wrap(console, max(console.width - start, 20))):
        row.rstrip()
        console.print((Text(" " * start) if number else head) + row, soft_wrap=True)


Judge = Callable[[frozenset[str], int, int, Callable[[int, int], None]], Report]


def judged(name: str, judge: Judge, rules: frozenset[str], max_examples: int, seed: int) -> tuple[Report, str]:
    """Judge, with a counter on the terminal that runs from zero to the number of cases.

    Returns:
        The report, and a line about what the target printed meanwhile, which is not shown.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(file=sys.stderr)
    printed = _Printed()
    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        redirect_stdout(printed),
        redirect_stderr(printed),
    ):
        task = progress.add_task(f"{escape(name)}: exploring", total=max_examples)

        def made(cases: int, total: int) -> None:
            progress.update(task, completed=cases, total=total)

        report = judge(rules, max_examples, seed, made)
    return report, printed.summary


class _Printed(TextIOBase):
    """Takes what a target prints, as text or as bytes, and keeps its first line."""

    def __init__(self) -> None:
        self._lines = 0
        self._first = ""
        self.buffer = _PrintedBytes(self)

    def write(self, text: str) -> int:
        self._lines += text.count("\n")
        if not self._first:
            self._first = text.strip()[:60]
        return len(text)

    @property
    def summary(self) -> str:
        return f"it printed {self._lines} lines, which are not shown, from {self._first!r} on" if self._first else ""


class _PrintedBytes(RawIOBase):
    def __init__(self, text: _Printed) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._text.write(bytes(data).decode(errors="replace"))


def print_report(console: Console, report: Report, seed: int) -> None:
    how = "everything within bounds" if report.exhausted else f"seed {seed}"
    console.print(f"\n[bold]{escape(report.target)}[/]  ({report.made}, {how})")
    for line in report.exhausted:
        say(console, 2, "", escape(line))
    last = ""
    for verdict in report.verdicts:
        if section(verdict.rule) != last:
            last = section(verdict.rule)
            console.print(f"\n  [bold]{last}[/] {SECTIONS[last]}")
        rule = RULES[verdict.rule]
        text = f"{verdict.rule}  {rule.title}  [dim]{escape(_note(verdict))}[/]"
        say(console, 4, MARKS[verdict.verdict], text, len(verdict.verdict) + 2)
        if verdict.verdict == "fail":
            _print_failure(console, verdict)
    console.print()
    if any(verdict.history for verdict in report.verdicts):
        say(console, 2, "", f"[dim]{escape(KEY)}[/]")
    reached = "; ".join(f"{what}: {n}" for what, n in report.reached.items())
    if not report.exhausted:
        say(console, 2, "", f"[dim]cases that reached {reached}[/]")
    if report.given_up:
        told = (
            f"{report.given_up} of {report.explored} {report.cases} were given up, because too many states explain them"
        )
        say(console, 2, "", f"[yellow]{told}[/]")
    say(console, 2, "", _summary(report))


def print_summary(console: Console, reports: list[Report]) -> None:
    """Print one line per target."""
    console.print()
    for report in reports:
        say(console, 2, "", _summary(report))


def _summary(report: Report) -> str:
    counts = {mark: sum(v.verdict == mark for v in report.verdicts) for mark in MARKS}
    claim = f"[{'green' if report.conforms else 'red'}]{report.claim}[/]"
    return f"{escape(report.target)} {claim}: " + ", ".join(f"{n} {mark}" for mark, n in counts.items() if n)


def print_known(console: Console, report: Report, known: frozenset[str]) -> None:
    for verdict in report.verdicts:
        if verdict.rule in known and verdict.verdict == "pass":
            say(console, 2, "", f"[red]{verdict.rule} is listed as known to fail, but passes: take it off the list[/]")


def _note(verdict: Verdict) -> str:
    if verdict.verdict != "pass":
        return verdict.evidence
    return with_what_is_not_judged(verdict.rule, f"{verdict.cases} cases")


def print_finding(console: Console, indent: int, expected: str, observed: str, because: str = "") -> None:
    """Print what was expected, what was observed instead, and why that is impossible, if a reason is known."""
    say(console, indent, "expected:", escape(expected), 10)
    say(console, indent, "observed:", f"[red]{escape(observed)}[/]", 10)
    if because:
        say(console, indent, "because:", escape(because), 10)


def _print_failure(console: Console, verdict: Verdict) -> None:
    rule = RULES[verdict.rule]
    say(console, 10, f"{rule.level}:", escape(rule.sentence), 10)
    for number, clause in enumerate(verdict.clauses):
        say(console, 10, "or:" if number else "broken:", escape(clause), 10)
    print_finding(console, 10, verdict.expected, verdict.observed, verdict.because)
    for number, text in enumerate(verdict.history, 1):
        say(console, 10, f"{number:>4}", escape(text), 6)
    say(console, 10, "look at:", f"[dim]{escape(rule.look_at)}[/]", 10)
