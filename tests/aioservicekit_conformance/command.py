"""The command `aioservicekit-conformance`: judges targets and reports, section by section, rule by rule."""

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aioservicekit_model.rules import RULES, SECTIONS, section

from .target import Target, TargetError, load
from .verdict import Report, Verdict, as_json, judge

__all__ = ["main"]

MARKS = {
    "pass": "[green]pass[/]",
    "fail": "[red]FAIL[/]",
    "unsupported": "[yellow]unsupported[/]",
    "untested": "[dim]untested[/]",
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aioservicekit-conformance",
        description="Judge broadcast channels by the rules of aioservicekit's specification.",
        epilog="Exit status: 0 if every MUST holds for every target, 1 if one does not, 2 if a target can't be loaded.",
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        default=["aioservicekit"],
        help="module or module:attribute that offers Channel, ChannelState and ChannelClosedError (default: aioservicekit)",
    )
    parser.add_argument(
        "--rule", action="append", metavar="ID", type=_rule, help="judge this rule alone; may be repeated"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report to FILE as JSON")
    parser.add_argument(
        "--max-examples", metavar="N", type=_positive, default=2000, help="cases a target (default: 2000)"
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="the same seed makes the same cases (default: 0)"
    )
    parser.add_argument("--version", action="version", version=_version())
    return parser


def _version() -> str:
    try:
        return version("aioservicekit")
    except PackageNotFoundError:  # run from the sources
        return "unknown"


def _rule(text: str) -> str:
    if text not in RULES:
        raise argparse.ArgumentTypeError(
            f"there is no rule {text!r}; the rules are {next(iter(RULES))} to {list(RULES)[-1]}"
        )
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, not {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        targets = [load(name) for name in options.targets]
        if options.json and not options.json.resolve().parent.is_dir():
            raise TargetError(f"--json {options.json}: there is no directory {options.json.parent}")
    except TargetError as error:
        print(f"aioservicekit-conformance: {error}", file=sys.stderr)
        return 2
    rules = frozenset(options.rule or RULES)
    reports = [_judged(target, rules, options.max_examples, options.seed) for target in targets]
    console = Console(highlight=False, soft_wrap=True)
    for report in reports:
        _print(console, report, options.seed)
    if options.json:
        text = json.dumps(as_json(reports, _version()), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if all(report.conforms for report in reports) else 1


def _judged(target: Target, rules: frozenset[str], max_examples: int, seed: int) -> Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(f"{target.name}: exploring", total=max_examples)
        return judge(target, rules, max_examples, seed, lambda: progress.advance(task))


def _print(console: Console, report: Report, seed: int) -> None:
    console.print(f"\n[bold]{escape(report.target)}[/]  ({report.explored} cases, seed {seed})")
    last = ""
    for verdict in report.verdicts:
        if section(verdict.rule) != last:
            last = section(verdict.rule)
            console.print(f"\n  [bold]{last}[/] {SECTIONS[last]}")
        rule = RULES[verdict.rule]
        console.print(f"    {MARKS[verdict.verdict]}  {verdict.rule}  {rule.title}  [dim]{escape(_note(verdict))}[/]")
        if verdict.verdict == "fail":
            _print_failure(console, verdict)
    counts = {mark: sum(v.verdict == mark for v in report.verdicts) for mark in MARKS}
    summary = ", ".join(f"{count} {mark}" for mark, count in counts.items() if count)
    conforms = "[green]conforms[/]" if report.conforms else "[red]does not conform[/]"
    reached = "; ".join(f"{what}: {count}" for what, count in report.reached.items())
    console.print(f"\n  [dim]cases that reached {reached}[/]")
    console.print(f"  {escape(report.target)} {conforms}: {summary}")


def _note(verdict: Verdict) -> str:
    return verdict.evidence if verdict.verdict != "pass" else f"{verdict.cases} cases"


def _print_failure(console: Console, verdict: Verdict) -> None:
    rule = RULES[verdict.rule]
    console.print(f"          {rule.level}: {escape(rule.sentence)}")
    console.print(f"          expected: {escape(verdict.expected)}")
    console.print(f"          observed: [red]{escape(verdict.observed)}[/]")
    for number, line in enumerate(verdict.history, 1):
        console.print(f"          {number:>4}  {escape(line)}")
    console.print(f"          look at:  [dim]{escape(rule.look_at)}[/]")
