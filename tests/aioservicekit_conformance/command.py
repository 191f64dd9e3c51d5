"""The command `aioservicekit-conformance`: judges targets and reports, section by section, rule by rule."""

import argparse
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from aioservicekit_model.checker import blame
from aioservicekit_model.rules import RULES

from .care import CHECKS
from .case import replay
from .checks import NotTakenOn
from .page import as_html
from .replay import KeptFailure, broken, read
from .target import Target, TargetError, load
from .terminal import judged, print_known, print_report, say
from .verdict import Report, as_json, as_junit, explain, timeline

__all__ = ["main"]


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
        help="module or module:attribute that offers Channel, ChannelState and ChannelClosedError (default: aioservicekit)",
    )
    parser.add_argument(
        "--rule", action="append", metavar="ID", type=_rule, help="judge this rule alone; may be repeated"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report to FILE as JSON")
    parser.add_argument(
        "--failures", metavar="DIR", type=Path, help="write each failure to DIR, to replay and as a program"
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the report to FILE as JUnit XML")
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write the report to FILE as a page, with a drawing of each failure"
    )
    parser.add_argument("--replay", metavar="FILE", type=Path, help="run a failure again, and nothing else")
    parser.add_argument(
        "--known-failing",
        metavar="FILE",
        type=Path,
        help="rules, one a line, that are known to fail; one of them that passes fails the run",
    )
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
        failure = _failure(options.replay) if options.replay else None
        targets = [load(name) for name in options.targets or [failure.target if failure else "aioservicekit"]]
        known = _known_failing(options.known_failing) if options.known_failing else frozenset()
        for option, file in (("--json", options.json), ("--junit", options.junit), ("--html", options.html)):
            if file and not file.resolve().parent.is_dir():
                raise TargetError(f"{option} {file}: there is no directory {file.parent}")
        if options.failures:
            _make_directory(options.failures)
    except TargetError as error:
        print(f"aioservicekit-conformance: {error}", file=sys.stderr)
        return 2
    if failure:
        return max(_replayed(target, failure) for target in targets)
    rules = frozenset(options.rule or RULES)
    reports = [judged(target, rules, options.max_examples, options.seed) for target in targets]
    console = Console(highlight=False)
    for report in reports:
        print_report(console, report, options.seed)
        print_known(console, report, known)
        if options.failures:
            _write_failures(options.failures, report)
    if options.json:
        text = json.dumps(as_json(reports, _version()), indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")
    if options.junit:
        as_junit(reports).write(options.junit, encoding="utf-8", xml_declaration=True)
    if options.html:
        options.html.write_text(as_html(reports, _version(), options.seed), encoding="utf-8")
    return 0 if all(report.conforms_but_for(known) for report in reports) else 1


def _failure(path: Path) -> KeptFailure:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise TargetError(f"--replay {path}: {error}") from error


def _known_failing(path: Path) -> frozenset[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise TargetError(f"--known-failing {path}: {error}") from error
    known = frozenset(line.partition("#")[0].strip() for line in lines) - {""}
    if wrong := sorted(known - set(RULES)):
        raise TargetError(f"--known-failing {path}: there is no rule {wrong[0]!r}")
    return known


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TargetError(f"--failures {path}: {error}") from error


def _write_failures(directory: Path, report: Report) -> None:
    for verdict in report.verdicts:
        if verdict.replay:
            name = f"{report.target.replace(':', '.')}-{verdict.rule}"
            (directory / f"{name}.txt").write_text(verdict.replay, encoding="utf-8")
            (directory / f"{name}.py").write_text(verdict.program, encoding="utf-8")


def _replayed(target: Target, failure: KeptFailure) -> int:
    console = Console(highlight=False)
    if failure.check:
        return _check_replayed(console, target, failure)
    case = replay(target, failure.default_size, failure.actions)
    for line in timeline(case):
        console.print(escape(line))
    if case.escaped:
        console.print(f"{escape(target.name)} can't be judged: it uses {escape(case.escaped)}")
        return 1
    if case.refused is None:
        console.print(f"{escape(target.name)} [green]keeps the rules here[/]")
        return 0
    expected, observed = explain(case)
    rules = ", ".join(sorted(blame(case.default_size, case.history))) or "no single rule"
    say(console, 0, "expected:", escape(expected), 10)
    say(console, 0, "observed:", f"[red]{escape(observed)}[/]", 10)
    console.print(f"explained by a breach of: {rules}")
    return 1


def _check_replayed(console: Console, target: Target, failure: KeptFailure) -> int:
    check = next(each for each in CHECKS if (each.rule, each.name) == (failure.rule, failure.check))
    try:
        error = broken(check, target)
    except NotTakenOn as reason:
        console.print(escape(str(reason)))
        return 0
    if error is None:
        console.print(f"{escape(target.name)} [green]keeps the rules here[/]")
        return 0
    say(console, 0, "check:", check.name, 10)
    say(console, 0, "expected:", escape(error.expected), 10)
    say(console, 0, "observed:", f"[red]{escape(error.observed)}[/]", 10)
    return 1
