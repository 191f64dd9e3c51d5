"""What CONTRIBUTING and the hosted workflow say about the build is true."""

import re
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<names>`[^|]*`) \| (?P<first>×?) ?\| (?P<full>×?) ?\|", re.MULTILINE)


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_contributing_lists_the_environments() -> None:
    """Each environment of tox has a row, with a cross for the commands that run it."""
    tox = ConfigParser(interpolation=None)
    tox.read_string(text("tox.ini"))
    labels = dict(line.split(" = ") for line in tox["tox"]["labels"].strip().splitlines())
    sections = {name.removeprefix("testenv:") for name in tox.sections() if name.startswith("testenv:")}
    first, full = (set(re.findall(r"\w+", listed)) for listed in (tox["tox"]["env_list"], labels["full"]))
    rows = [(re.findall(r"\w+", row["names"]), row) for row in ROW.finditer(text("CONTRIBUTING.md"))]
    assert {name for names, row in rows if row["first"] for name in names} == first
    assert {name for names, row in rows if row["full"] for name in names} == full
    assert {name for names, _ in rows for name in names} == first | full | sections


def test_the_hosted_workflow_runs_what_people_run() -> None:
    """The workflow's commands are the README's test command and `.ci/run`."""
    readmes, whole = re.findall(r"\brun: (.+)", text(".github/workflows/ci.yml"))
    assert readmes.endswith("/tox")
    assert readmes in text("README.md").splitlines()
    assert whole == ".ci/run"
