"""The README's first program has the right types; `tests/typing` covers the rest of what users write."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [["mypy", "--strict"], ["pyright", "--pythonpath", sys.executable]], ids=" ".join)
def test_the_readmes_first_program_is_typed(command: list[str], tmp_path: Path) -> None:
    """The README's first program has no error under the strictest rules of either type checker."""
    pytest.importorskip(command[0], reason="only the environment lint has the type checkers")
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert program
    (tmp_path / "first.py").write_text(f"# pyright: strict\n{program[1]}", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", *command, "first.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
