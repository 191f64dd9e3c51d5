"""Judge the channels that people use today side by side, and write `specs/real-targets.md`.

The targets are this library, PyPI's aioservicekit 0.6.0, which this project did not write, and channels built from one queue
or one memory object stream per subscriber (`examples/targets`).
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import judge_0_6_0

EXAMPLES = Path(__file__).parent
DOCUMENT = EXAMPLES.parent / "specs" / "real-targets.md"

TARGETS = {
    "aioservicekit": "this library",
    "asyncio_queues": "one `asyncio.Queue` per subscriber",
    "anyio_streams": "one anyio memory object stream per subscriber",
    f"{judge_0_6_0.PACKAGE}.channels": "PyPI's aioservicekit 0.6.0",
}
MARKS = {"pass": "·", "fail": "**×**", "masked": "≈", "unsupported": "?", "untested": "", "not applicable": "n/a"}


def judge() -> list[dict[str, Any]]:
    """What the conformance command's JSON report says of each target."""
    with tempfile.TemporaryDirectory() as name:
        judge_0_6_0.fetch(Path(name))
        path = os.pathsep.join([str(EXAMPLES / "targets"), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", "aioservicekit_conformance", *TARGETS, "--json", "report.json"]
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
        subprocess.run(command, cwd=name, env=environment, check=False, stdout=sys.stderr)
        report: list[dict[str, Any]] = json.loads(Path(name, "report.json").read_text(encoding="utf-8"))["targets"]
        return report


def as_markdown(report: list[dict[str, Any]]) -> str:
    """The document: the matrix of rules and targets, and the shortest history of each failure."""
    return f"""# Real targets

<!-- Made by: python examples/real_targets.py -->

The suite's verdicts on broadcast channels that people use or would build. × is a failure, · is a pass, and ≈ is masked: another
failure may hide a breach of this rule. Rules that the suite does not judge are left out. [examples/targets](../examples/targets)
has the two channels that are built from queues and from streams.

{matrix(report, TARGETS)}

## The shortest histories

{histories(report, TARGETS)}"""


def matrix(report: list[dict[str, Any]], titles: dict[str, str]) -> str:
    """One row for each rule, one column for each target, with the title that `titles` has for its name."""
    rows = ["| rule | " + " | ".join(titles.values()) + " |", "|---" + "|:---:" * len(titles) + "|"]
    for verdicts in zip(*(target["rules"] for target in report), strict=True):
        if any(verdict["verdict"] != "untested" for verdict in verdicts):
            rows.append("| " + " | ".join([verdicts[0]["rule"], *(MARKS[v["verdict"]] for v in verdicts)]) + " |")
    return "\n".join(rows)


def histories(report: list[dict[str, Any]], titles: dict[str, str]) -> str:
    """The shortest history of each failure, under the title of its target."""
    failures = []
    for target in report:
        failing = [verdict for verdict in target["rules"] if verdict["verdict"] == "fail"]
        if failing:
            failures.append(f"### {titles[target['target']]}\n")
        for verdict in failing:
            history = "\n".join(verdict["history"]) or f"{verdict['expected']}\n{verdict['observed']}"
            failures.append(f"**{verdict['rule']}**\n\n```text\n{history}\n```\n")
    return "\n".join(failures)


if __name__ == "__main__":
    DOCUMENT.write_text(as_markdown(judge()), encoding="utf-8")
