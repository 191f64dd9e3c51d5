"""CONTRIBUTING's set-up works on a machine that has only Python and git."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OF_THIS_RUN = re.compile("AIOSERVICEKIT_|COV_|GIT_|PRE_COMMIT|PYTEST|PYTHON|TOX|VIRTUAL_ENV")


def commands(section: str) -> str:
    """The first block of commands in a section of CONTRIBUTING."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^## {section}$.*?^```sh$\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"CONTRIBUTING has no commands under {section!r}"
    return found[1]


def copy_of_the_checkout(to: Path) -> None:
    """Copy what git has, or would have if everything were added, into a new repository."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in names:
        if (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)


def bare_environment(folder: Path) -> dict[str, str]:
    """An environment with this interpreter as `python3`, the system's commands, and no trace of this test's own."""
    python = folder / "python3"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(os.path.realpath(sys.executable))} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not OF_THIS_RUN.match(name)}
    return kept | {
        "PATH": os.pathsep.join([str(folder), os.defpath]),
        "PRE_COMMIT_HOME": str(folder / "pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }


@pytest.mark.setup
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a checkout is copied, and this is none")
def test_the_set_up_works_as_written(tmp_path: Path) -> None:
    """After CONTRIBUTING's set-up, its quick loop runs, and the hooks have no complaints about the checkout."""
    checkout = tmp_path / "checkout"
    copy_of_the_checkout(checkout)
    environment = bare_environment(tmp_path / "bin")

    def sh(script: str) -> str:
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=checkout,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    sh("git init -q && git add -A")
    sh(commands("Set-up"))
    assert (checkout / ".git" / "hooks" / "pre-commit").exists()
    activated = ". .venv/bin/activate\n"
    assert " passed" in sh(f"{activated}{commands('The quick loop').rstrip()} -k closing")
    assert "mypy" in sh(f"{activated}pre-commit run --all-files")
