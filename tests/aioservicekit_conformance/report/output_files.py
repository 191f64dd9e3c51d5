"""The files that a run writes: all opened before judging begins, and each written whatever happens to the others."""

import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from io import StringIO
from pathlib import Path
from typing import Self, TextIO

from ..target import TargetError
from ..verdicts import Report
from .html import as_html
from .machine_readable import as_json, as_junit

__all__ = ["Outputs"]


class Outputs:
    """The files that `--json`, `--junit`, `--html` and `--failures` name; a context manager.

    Raises:
        TargetError: on entering: a file or directory can't be made.
    """

    def __init__(self, json: Path | None, junit: Path | None, html: Path | None, failures: Path | None) -> None:
        self._named = {"--json": json, "--junit": junit, "--html": html}
        self._failures = failures
        self._open: dict[str, TextIO] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        option, path = "", None
        try:
            for option, path in self._named.items():
                if path:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    self._open[option] = self._stack.enter_context(path.open("w", encoding="utf-8"))
            option, path = "--failures", self._failures
            if path:
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._stack.close()
            raise TargetError(f"{option} {path}: {error}") from error
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def write(self, reports: list[Report], version: str, seed: int) -> list[str]:
        """Write all files; return one line for each that could not be written."""
        texts: dict[str, Callable[[], str]] = {
            "--json": lambda: json.dumps(as_json(reports, version), indent=2) + "\n",
            "--junit": lambda: _xml(reports),
            "--html": lambda: as_html(reports, version, seed),
        }
        complaints = []
        for option, file in self._open.items():
            try:
                file.write(texts[option]())
                file.flush()
            except OSError as error:
                complaints.append(f"{option} {self._named[option]}: {error}")
        try:
            for report in reports if self._failures else ():
                _write_failures(self._failures, report)
        except OSError as error:
            complaints.append(f"--failures {self._failures}: {error}")
        return complaints


def _xml(reports: list[Report]) -> str:
    text = StringIO()
    as_junit(reports).write(text, encoding="unicode", xml_declaration=True)
    return text.getvalue()


def _write_failures(directory: Path | None, report: Report) -> None:
    assert directory is not None, "asked for"
    for verdict in report.verdicts:
        name = re.sub(r"[^\w-]+", ".", report.target).strip(".") + f"-{verdict.rule}"
        if verdict.replay:
            (directory / f"{name}.txt").write_text(verdict.replay, encoding="utf-8")
        if verdict.program:
            (directory / f"{name}.py").write_text(verdict.program, encoding="utf-8")
        if verdict.commands:
            (directory / f"{name}.jsonl").write_text(verdict.commands, encoding="utf-8")
