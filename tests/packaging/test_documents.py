"""The programs in the documents run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("program", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_the_readmes_programs_run(program: str, tmp_path: Path) -> None:
    """Each Python block of the README runs as it stands, and ends without an error."""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, timeout=60, check=True)


def test_the_broadcast_example_runs(tmp_path: Path) -> None:
    """Both subscribers get all four messages, in order."""
    command = [sys.executable, str(ROOT / "examples" / "broadcast.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.count("['one', 'two', 'three', 'four']") == 2


@pytest.mark.parametrize(
    ("example", "last_line"), [("clock.py", "stopped"), ("pipeline.py", "30 taken, 30 cooked, 30 booked")]
)
def test_the_service_examples_run(example: str, last_line: str, tmp_path: Path) -> None:
    """The examples end by themselves, and lose nothing that was sent before."""
    command = [sys.executable, str(ROOT / "examples" / example)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == last_line
    assert done.stderr == ""
