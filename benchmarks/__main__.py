"""`python -m benchmarks`: measure, print tables and the outcome of each line, and write JSON on request."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .lines import judge
from .measure import Effort, Record
from .peers import LOOPS, Missing, loop_factory
from .plan import Settings, groups
from .report import as_json, machine, print_lines, print_tables
from .soak import soak_for

__all__ = ["main"]

FULL = Settings(Effort(rounds=7, seconds=0.03, longest=1.5))
QUICK = Settings(Effort(rounds=3, seconds=0.006, longest=0.5), subscribers=(1, 10, 1_000))


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 1 if a line is missed or a soak finds a fault, and 2 if nothing could be measured."""
    options = parse(arguments)
    settings = QUICK if options.quick else FULL
    if options.rounds:
        settings = settings._replace(effort=settings.effort._replace(rounds=options.rounds))
    settings = settings._replace(loops=LOOPS if options.loop in (None, "both") else (options.loop,))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    if options.soak:
        return soak_for(console, options.soak)
    settings = settings._replace(loops=tuple(loop for loop in settings.loops if usable(console, loop)))

    start = perf_counter()
    records = run(console, settings, options.only or "")
    if not records:
        console.print("nothing was measured")
        return 2
    verdicts = judge(records)
    print_tables(console, records)
    print_lines(console, verdicts)
    python = machine()
    console.print(
        f"{python['implementation']} {python['python']}, {python['cpus']} cores, {perf_counter() - start:.0f} s"
    )
    if options.json:
        report = as_json(records, verdicts, {**settings.effort._asdict(), "loops": settings.loops})
        options.json.write_text(json.dumps(report) + "\n", encoding="utf-8")
    return int(any(verdict.word == "MISSED" for verdict in verdicts))


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter samples: a minute")
    parser.add_argument("--rounds", type=int, metavar="N", help="samples of each")
    parser.add_argument("--loop", choices=[*LOOPS, "both"], help="event loops; both by default")
    parser.add_argument(
        "--only", metavar="PATTERN", help="what matches this regular expression, as in behind/asyncio/64"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples and ratios")
    parser.add_argument(
        "--soak",
        type=seconds,
        nargs="?",
        const=60.0,
        metavar="SECONDS",
        help="measure nothing: use channels in every way, in several threads, for so long (60), and check what comes of it",
    )
    return parser.parse_args(arguments)


def seconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of seconds above 0 was expected, not {text!r}")
    return number


def usable(console: Console, loop: str) -> bool:
    try:
        loop_factory(loop)
    except Missing as error:
        console.print(f"not measured on {loop}: {error}")
        return False
    return True


def run(console: Console, settings: Settings, pattern: str) -> list[Record]:
    chosen = [group for group in groups(settings) if re.search(pattern, group.name)]
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    records: list[Record] = []
    # Drawn only between the groups: a thread that refreshes the display would disturb the measurement.
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as progress:
        task = progress.add_task("", total=len(chosen))
        for group in chosen:
            progress.update(task, description=group.name, refresh=True)
            records += group.run()
            progress.advance(task)
    return records


if __name__ == "__main__":
    sys.exit(main())
