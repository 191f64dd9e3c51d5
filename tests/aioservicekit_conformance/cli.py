"""The command `aioservicekit-conformance`: judge targets, and report section by section, rule by rule."""

import argparse
import sys
import traceback
from contextlib import ExitStack
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from aioservicekit_model.rules import RULES

from .agents.agent import Agent
from .judging import Interrupted, judge
from .known_failing import known_failing
from .live.judging import judge_live
from .report.failure_file import KeptFailure, read
from .report.output_files import Outputs
from .report.replaying import replayed
from .report.terminal import Judge, judged, print_known, print_report, print_summary
from .running.watchdog import Hang
from .target import Target, TargetError, load
from .verdicts import Report

__all__ = ["main"]

CASES, RUNS = 2000, 500  # per target: a minute or less

EPILOG = """
Exit status: 0 if every MUST was judged and holds for every target, 1 if not, 2 if a target can't be loaded or lacks a part of the
interface or the command line is wrong, 3 for an error of the suite itself, 130 if interrupted.
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="aioservicekit-conformance",
        description="Judge broadcast channels by the rules of aioservicekit's specification.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="module, module:attribute or path/to/file.py that offers Channel, ChannelState and ChannelClosedError;"
        " `aioservicekit` is the reference",
    )
    parser.add_argument(
        "--agent",
        action="append",
        default=[],
        metavar="COMMAND",
        help="judge a channel in any language through the agent that COMMAND starts, such as 'node agent.mjs'; may be repeated",
    )
    parser.add_argument(
        "--rule",
        action="append",
        metavar="ID",
        type=_rule,
        help="judge only this rule, which is faster; may be repeated",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the report to FILE as JSON")
    parser.add_argument(
        "--failures", metavar="DIR", type=Path, help="write each failure to DIR, as a file to replay and as a program"
    )
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the report to FILE as JUnit XML")
    parser.add_argument(
        "--html", metavar="FILE", type=Path, help="write the report to FILE as a page, with a drawing of each failure"
    )
    parser.add_argument("--replay", metavar="FILE", type=Path, help="only run a kept failure again")
    parser.add_argument(
        "--known-failing",
        metavar="FILE",
        type=Path,
        help="rules, one per line, that are known to fail; if one of them passes, the run fails",
    )
    parser.add_argument(
        "--live",
        action="store_true",
        default=None,
        help="judge real threads with an event loop each, as they run, instead of stepped cases; shows the rules of CH-6",
    )
    parser.add_argument(
        "--max-examples",
        metavar="N",
        type=_positive,
        help=f"cases per target (default: {CASES}), or runs with --live (default: {RUNS})",
    )
    parser.add_argument("--seed", metavar="N", type=int, help="the same seed makes the same cases (default: 0)")
    parser.add_argument(
        "--exhaustive",
        action="store_true",
        default=None,
        help="instead of drawing cases, try every placement of calls and cancellations within small bounds",
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
        raise argparse.ArgumentTypeError(f"expected a whole number, 1 or more, not {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.replay:
        _refuse_beside_replay(parser, options)
    elif options.exhaustive and (options.live or options.agent or options.seed is not None or options.max_examples):
        parser.error("--exhaustive can't be combined with --live, --agent, --seed or --max-examples")
    elif not options.targets and not options.agent:
        parser.error("name a TARGET to judge; `aioservicekit` is the reference")
    elif options.live and options.agent:
        parser.error("--live judges targets in Python: it can't be combined with --agent")
    try:
        return _run(options)
    except TargetError as error:
        return _say(str(error), 2)
    except KeyboardInterrupt:
        return _say("interrupted", 130)
    except Hang as hang:
        return _say(f"an error of the suite itself, please report it: for seconds it ran at {hang}", 3)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        return _say(f"an error of the suite itself, please report it: {type(error).__name__}: {error} ({where})", 3)


def _say(text: str, status: int) -> int:
    print(f"aioservicekit-conformance: {text}", file=sys.stderr)
    return status


def _refuse_beside_replay(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    for name, value in vars(options).items():
        if name not in ("replay", "targets", "agent") and value is not None:
            parser.error(f"--replay runs one failure again: it can't be combined with --{name.replace('_', '-')}")


def _run(options: argparse.Namespace) -> int:
    failure = _failure(options.replay) if options.replay else None
    modules, agents = options.targets, options.agent
    if failure and not (modules or agents):
        modules, agents = ([], [failure.target]) if failure.kind == "agent" else ([failure.target], [])
    targets = [load(name) for name in modules]
    if options.live:
        return _judged(options, [(target.name, partial(judge_live, target)) for target in targets])
    if options.exhaustive:
        return _judged(options, [(target.name, partial(judge, target, exhaustive=True)) for target in targets])
    with ExitStack() as running:
        subjects: list[Target | Agent] = [*targets, *(running.enter_context(Agent(command)) for command in agents)]
        if failure:
            console = Console(highlight=False)
            return max(replayed(console, subject, failure) for subject in subjects)
        return _judged(options, [(subject.name, partial(judge, subject)) for subject in subjects])


def _judged(options: argparse.Namespace, judges: list[tuple[str, Judge]]) -> int:
    known = known_failing(options.known_failing) if options.known_failing else frozenset()
    max_examples, seed = options.max_examples or (RUNS if options.live else CASES), options.seed or 0
    with Outputs(options.json, options.junit, options.html, options.failures) as outputs:
        reports, interrupted = _judge(judges, frozenset(options.rule or RULES), max_examples, seed, known)
        complaints = outputs.write(reports, _version(), seed)
    for complaint in complaints:
        _say(complaint, 2)
    if interrupted:
        return _say(interrupted, 130)
    if complaints:
        return 2
    return 0 if all(report.conforms_but_for(known) for report in reports) else 1


def _judge(
    judges: list[tuple[str, Judge]], rules: frozenset[str], max_examples: int, seed: int, known: frozenset[str]
) -> tuple[list[Report], str]:
    """Judge the targets; return the reports and, after Ctrl+C, one line about that."""
    console = Console(highlight=False)
    reports: list[Report] = []
    what_they_printed: list[str] = []
    interrupted = ""
    for name, judge_it in judges:
        try:
            report, printed = judged(name, judge_it, rules, max_examples, seed)
        except Interrupted as error:
            interrupted = f"interrupted while {name} was judged: {error}"
            break
        reports.append(report)
        what_they_printed.append(printed)
    if len(reports) > 1:
        print_summary(console, reports)
    for report, printed in zip(reports, what_they_printed, strict=True):
        print_report(console, report, seed)
        if printed:
            console.print(f"  [dim]{escape(printed)}[/]")
        print_known(console, report, known)
    return reports, interrupted


def _failure(path: Path) -> KeptFailure:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        raise TargetError(f"--replay {path}: {error}") from error
