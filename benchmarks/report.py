"""The measurements as tables, as JSON and as a plot."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from .lines import Verdict
from .measure import Key, Record, Spread, ratio
from .peers import ANYIO, CULSANS, FLOOR, JANUS, OLD, OURS, QUEUE, SWITCH, module

__all__ = ["as_json", "machine", "plot", "print_lines", "print_tables"]

PACKAGES = ("uvloop", "anyio", "culsans", "aiologic", "janus")

TITLES = {
    "behind": ("Readers behind: cost a delivery", "subscribers"),
    "waiting": ("Waiting readers: cost a delivery", "subscribers"),
    "behind, scale": ("Readers behind, few and many in the same rounds: cost a delivery", "subscribers"),
    "waiting, scale": ("Waiting readers, few and many in the same rounds: cost a delivery", "subscribers"),
    "blocked": ("Blocked senders: cost a send", "senders"),
    "threads": ("Four threads into one loop: cost a message", "threads"),
    "joining": ("Joining and leaving: cost of both", "others"),
    "memory, a subscriber": ("Memory a subscriber", ""),
    "memory, a message": ("Memory a message in a subscriber's buffer", ""),
    "suite": ("The suite's own speed", ""),
}

COLORS = {
    OURS.name: "#d62728",
    QUEUE.name: "#1f77b4",
    ANYIO.name: "#ff7f0e",
    CULSANS.name: "#2ca02c",
    JANUS.name: "#9467bd",
    OLD.name: "#8c564b",
    FLOOR.name: "#7f7f7f",
    SWITCH.name: "#7f7f7f",
}


def print_tables(console: Console, records: Sequence[Record]) -> None:
    """One table per work and loop: costs, and each peer's ratio to ours."""
    works = dict.fromkeys((record.key.work, record.key.loop) for record in records)
    for work, loop in works:
        those = {record.key: record for record in records if (record.key.work, record.key.loop) == (work, loop)}
        title, counted = TITLES[work]
        peers = dict.fromkeys(key.peer for key in those)
        heads = ("buffer", counted) if counted else ()
        on_loop = f", on {loop}" if loop != "any" else ""
        table = Table(*heads, *peers, title=title + on_loop, box=box.SIMPLE_HEAD)
        for column in table.columns:
            column.justify = "right"
        for row in dict.fromkeys((key.buffer, key.crowd) for key in those):
            cells = [those.get(Key(work, loop, *row, peer)) for peer in peers]
            ours = those.get(Key(work, loop, *row, OURS.name))
            first = (str(row[0] or "∞"), f"{row[1]:,}") if counted else ()
            table.add_row(*first, *(cell(record, ours) for record in cells))
        console.print(table)


def cell(record: Record | None, ours: Record | None) -> str:
    if record is None or not record.samples:
        return "-"
    text = f"{quantity(record.key.work, record.spread.median)} {noise(record.spread)}"
    if ours is None or ours is record or not ours.samples:
        return text
    to_ours = ratio(record, ours)
    return f"{text}\n[bold]x{to_ours.median:.2f}[/] {noise(to_ours)}"


def noise(spread: Spread) -> str:
    """Half of the interquartile range, in percent of the median."""
    return f"[dim]±{50 * (spread.high - spread.low) / spread.median:.0f}%[/]"


def quantity(work: str, value: float) -> str:
    if work.startswith("memory"):
        return f"{value:,.0f} B" if value >= 100 else f"{value:.1f} B"
    if work == "suite":
        return f"{1 / value:,.0f} a second"
    return f"{value * 1e9:,.0f} ns" if value < 1e-5 else f"{value * 1e6:,.1f} µs"


def print_lines(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Each line with its worst ratio, its bound and its outcome."""
    table = Table(
        "line", "loop", "worst", "quartiles", "where", "bound", "kept", "", title="Lines", box=box.SIMPLE_HEAD
    )
    for verdict in verdicts:
        line, kept = verdict.line, len(verdict.ratios) - len(verdict.missed)
        measured = ["-"] * 3
        if verdict.ratios:
            worst, spread = verdict.worst, verdict.ratios[verdict.worst]
            where = f"buffer {worst.buffer or '∞'}, {worst.crowd:,}"
            measured = [f"{spread.median:.2f}", f"{spread.low:.2f} to {spread.high:.2f}", where]
        bound = f"{'≥' if line.at_least else '≤'} {line.bound:g}"
        color = {"ok": "green", "MISSED": "bold red"}.get(verdict.word, "dim")
        table.add_row(
            line.text, verdict.loop, *measured, bound, f"{kept} of {len(verdict.ratios)}", f"[{color}]{verdict.word}[/]"
        )
    console.print(table)
    console.print("Ratios are medians of the rounds' own; in brackets: shown, not judged.", style="dim")
    reasons = {f"{key.peer}, {key.work}: {why}" for verdict in verdicts for key, why in verdict.missing.items()}
    for reason in sorted(reasons):
        console.print(f"not compared: {reason}", style="dim")


def machine() -> dict[str, Any]:
    """The system on which this was measured, without names of hosts or users."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": {name: version_of(name) for name in PACKAGES},
    }


def version_of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def as_json(records: Sequence[Record], verdicts: Sequence[Verdict], settings: dict[str, Any]) -> dict[str, Any]:
    """Everything: samples in seconds or bytes per operation, and all ratios of each line."""
    ours = {record.key: record for record in records if record.key.peer == OURS.name}

    def to_ours(record: Record) -> dict[str, float] | None:
        own = ours.get(record.key._replace(peer=OURS.name))
        return ratio(record, own)._asdict() if own and own.samples and record.samples else None

    return {
        "machine": machine(),
        "settings": settings,
        "lines": [
            {
                "line": verdict.line.text,
                "loop": verdict.loop,
                "bound": verdict.line.bound,
                "at_least": verdict.line.at_least,
                "judged": verdict.line.judged,
                "verdict": verdict.word,
                "ratios": [{**key._asdict(), **spread._asdict()} for key, spread in verdict.ratios.items()],
                "missing": [{**key._asdict(), "reason": reason} for key, reason in verdict.missing.items()],
            }
            for verdict in verdicts
        ],
        "records": [{**record.as_json(), "to_ours": to_ours(record)} for record in records],
    }


def plot(records: Sequence[Record], path: Path, buffer: int = 64, loop: str = "asyncio") -> None:
    """Draw the cost per delivery by the number of subscribers, for readers behind and for waiting ones."""
    matplotlib: Any = module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = module("matplotlib.pyplot")
    style = {"svg.hashsalt": "aioservicekit", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 10}
    with pyplot.rc_context(style):
        figure, panels = pyplot.subplots(1, 2, figsize=(10, 5), sharey=True, layout="constrained")
        for panel, work in zip(panels, ("behind", "waiting"), strict=True):
            those = [r for r in records if r.samples and r.key[:3] == (work, loop, buffer)]
            for peer in dict.fromkeys(record.key.peer for record in those):
                line = sorted((r.key.crowd, r.spread.median * 1e6) for r in those if r.key.peer == peer)
                floor = peer in (FLOOR.name, SWITCH.name)
                panel.plot(
                    *zip(*line, strict=True),
                    marker="" if floor else "o",
                    markersize=4,
                    linestyle="--" if floor else "-",
                    linewidth=2.4 if peer == OURS.name else 1.4,
                    color=COLORS[peer],
                    label=peer,
                    zorder=3 if peer == OURS.name else 2,
                )
            panel.set(xscale="log", yscale="log", xlabel="subscribers", title=TITLES[work][0].partition(":")[0])
            panel.xaxis.set_major_formatter("{x:,.0f}")
            panel.yaxis.set_major_formatter("{x:g}")
            panel.minorticks_off()
            panel.grid(True, which="major", alpha=0.3)
            panel.spines[["top", "right"]].set_visible(False)
            panel.legend(frameon=False, fontsize=8, ncols=2)
        panels[0].set_ylabel("microseconds a delivery")
        figure.suptitle(
            f"Cost a delivery, buffers of {buffer or 'any number of'} messages, {loop}, {platform.python_version()}"
        )
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)
