"""Judge channels in JavaScript side by side, and write `specs/real-agents.md`. It needs node and npm, which fetches RxJS.

The channels are those of `examples/agents`: the example, and one made of RxJS subjects.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from real_targets import EXAMPLES, histories, matrix

DOCUMENT = EXAMPLES.parent / "specs" / "real-agents.md"

AGENTS = {
    "node javascript/agent.mjs": "the example in JavaScript",
    "node javascript/agent.mjs rxjs/channel.js": "RxJS",
}

# What RxJS does where it fails, or where a failure masks it.
NOTES = {
    "CH-2.1": "Whoever subscribes to a subject that has completed is told of the completion, and gets no error. RxJS means"
    " it so: an observer that comes late learns at once that nothing will come.",
    "CH-3.2": "A subscription has no buffer size, and RxJS promises no back-pressure: what a subject emits is pushed to every"
    " observer before `next` returns. Operators that bound what they keep, such as `bufferCount`, `sample` or `throttle`, group"
    " messages or drop some. So no send waits, and CH-2.2 is masked, because it explains nearly the same histories.",
    "CH-3.7": "`next` on a subject that has completed does nothing, without an error. A publisher whose channel has closed is"
    " not told that nobody gets its message.",
}


def judge() -> list[dict[str, Any]]:
    """What the conformance command's JSON report says of each agent."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(EXAMPLES / "agents", name, dirs_exist_ok=True)
        subprocess.run(
            ["npm", "install", "--no-fund", "--no-audit"], cwd=Path(name, "rxjs"), check=True, stdout=sys.stderr
        )
        options = [option for command in AGENTS for option in ("--agent", command)]
        command = [sys.executable, "-m", "aioservicekit_conformance", *options, "--json", "report.json"]
        subprocess.run(command, cwd=name, check=False, stdout=sys.stderr)
        report: list[dict[str, Any]] = json.loads(Path(name, "report.json").read_text(encoding="utf-8"))["targets"]
        return report


def as_markdown(report: list[dict[str, Any]]) -> str:
    """The document: the matrix, what RxJS does instead, and the shortest history of each failure."""
    notes = "\n\n".join(textwrap.fill(f"**{rule}**: {note}", 128) for rule, note in NOTES.items())
    return f"""# Channels in JavaScript

<!-- Made by: python examples/real_agents.py -->

The suite's verdicts on two channels in JavaScript, through their [agent](conformance.md#agents). × is a failure, · is a pass, ≈ is
masked: another failure may hide a breach of this rule, and n/a is not applicable: the agent does without it. Rules that the suite
does not judge are left out. [examples/agents](../examples/agents) has both.

{matrix(report, AGENTS)}

## What RxJS promises

RxJS does not claim to keep these rules. It is a library for streams that are pushed, and where the rules ask for more, it has made
another choice. The channel keeps whatever RxJS leaves open, and hides none of these choices:

{notes}

## The shortest histories

{histories(report, AGENTS)}"""


if __name__ == "__main__":
    DOCUMENT.write_text(as_markdown(judge()), encoding="utf-8")
