"""The README's table of facts is what its programs print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FACTS = ROOT / "examples" / "facts"

# The history of the README's sample report, as the conformance command keeps it.
SAMPLE = """\
aioservicekit-conformance failure
target aioservicekit_0_6_0.channels
rule CH-3.8
channel of size 0
1 subscribe s1
2 connect p1
3 send p1, then 0 callbacks
cancel 3
4 read s1
"""


def cells(row: str) -> list[str]:
    return [cell.strip().replace("**", "") for cell in row.strip("|").split("|")]


def table() -> tuple[list[str], dict[str, list[str]]]:
    """Return the columns' names, and the cells of each row by the program that its first cell links to."""
    rows = [row for row in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if row.startswith("|")]
    facts = {match[1]: row for row in rows if (match := re.search(r"\(examples/facts/(\w+\.py)\)", row))}
    heading = rows[rows.index(next(iter(facts.values()))) - 2]
    return cells(heading)[1:], {program: cells(row)[1:] for program, row in facts.items()}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment that already has PyPI's 0.6.0, fetched once for all programs."""
    directory = tmp_path_factory.mktemp("fetched")
    fetch = "import pathlib, sys, judge_0_6_0; judge_0_6_0.fetch(pathlib.Path(sys.argv[1]))"
    command = [sys.executable, "-c", fetch, str(directory)]
    subprocess.run(command, cwd=ROOT / "examples", timeout=300, check=True)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(directory), os.environ.get("PYTHONPATH", "")])}


def printed_by(program: str, environment: dict[str, str]) -> list[list[str]]:
    """Return the lines that a program prints, each split at its colon."""
    command = [sys.executable, str(FACTS / program)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split(": ", 1) for line in done.stdout.splitlines()]


def test_each_program_is_a_row_of_the_table() -> None:
    """Each program has a row, and each row a program."""
    _, rows = table()
    assert set(rows) == {path.name for path in FACTS.glob("*.py")} - {"contestants.py", "anyio_scopes.py"}


@pytest.mark.parametrize("program", list(table()[1]))
def test_the_readme_says_what_the_program_prints(program: str, environment: dict[str, str]) -> None:
    """Each line that a program prints is a cell of its row, under the column's name."""
    columns, rows = table()
    assert printed_by(program, environment) == [list(pair) for pair in zip(columns, rows[program], strict=True)]


def test_anyios_own_time_outs_lose_no_message_and_still_double_one(environment: dict[str, str]) -> None:
    """This is what the README says below the table."""
    printed = printed_by("anyio_scopes.py", environment)
    assert printed == [["a late send", "once or twice"], ["a late read", "once"]]


def test_the_sample_report_is_what_0_6_0_does(environment: dict[str, str], tmp_path: Path) -> None:
    """When it is replayed, the sample breaks the same rule with the same history, line by line."""
    (tmp_path / "failure.txt").write_text(SAMPLE)
    command = [sys.executable, "-m", "aioservicekit_conformance", "--replay", "failure.txt"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1, done.stderr
    (report,) = re.findall(r"```text\n(FAIL .*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    heading, *lines = [re.sub(r"^ *(\d+  )? *", "", line) for line in report.splitlines()]
    assert heading.startswith("FAIL  CH-3.8")
    printed = [line.strip() for line in done.stdout.splitlines()]
    assert "explained by a breach of: CH-3.8" in printed
    assert [line for line in printed if line in lines] == lines[3:] + lines[:3]
