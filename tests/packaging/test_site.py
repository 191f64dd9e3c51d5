"""The site: its programs run, its links lead somewhere, and its pictures are up to date.

`tox -e docs` checks that Sphinx builds it without a warning.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from draw import PICTURES, fingerprint

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for pattern in ("*.md", "specs/*.md", "benchmarks/*.md", "docs/**/*.md")
    for path in sorted(ROOT.glob(pattern))
    if "_build" not in path.parts
]

PROGRAM = re.compile(
    r"^```python\n(?P<code>.*?)^```$(?:\n\n^```output\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL
)
FENCED = re.compile(r"^(?P<fence>```+|:::+).*?^(?P=fence)$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<path>[^()\s:#]*)(?:#(?P<anchor>[^()\s]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)

PYTEST = ["-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-p", "no:asyncio"]


class Program(NamedTuple):
    name: str
    code: str
    output: str


def programs() -> Iterator[Program]:
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs"):
            for number, match in enumerate(PROGRAM.finditer(page.read_text("utf-8")), 1):
                name = f"{page.relative_to(ROOT / 'docs').with_suffix('').as_posix()}-{number}"
                yield Program(name, match["code"], match["output"])


PROGRAMS = {program.name: program for program in programs()}


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_of_the_site_runs(name: str, tmp_path: Path) -> None:
    """Each Python block runs as it stands, prints what the page says, and leaves no endpoint open."""
    program = PROGRAMS[name]
    file = tmp_path / "test_program.py"
    file.write_text(program.code, "utf-8")
    tests = "def test_" in program.code
    command = PYTEST if tests else ["-W", "default"]
    done = subprocess.run(
        [sys.executable, *command, str(file)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    if program.output is not None:
        assert done.stdout == program.output


def test_there_are_programs_that_say_what_they_print() -> None:
    """The pattern finds the programs and the output that follows them."""
    assert len([program for program in PROGRAMS.values() if program.output]) > 20


def links(page: Path) -> Iterator[tuple[str, str | None]]:
    for match in LINK.finditer(FENCED.sub("", page.read_text("utf-8"))):
        yield match["path"], match["anchor"]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MyST make them."""
    headings = HEADING.findall(FENCED.sub("", page.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_link_within_the_repository_is_dead(page: Path) -> None:
    """Each relative link leads to a file, and its anchor to a heading in it."""
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), f"{path} is not there"
        if anchor and target.suffix == ".md":
            wanted = included(target)
            assert anchor in anchors(wanted), f"{path}#{anchor}: there is no such heading"


def included(page: Path) -> Path:
    """The file that a page includes as a whole, or the page itself."""
    match = re.fullmatch(r"```\{include\} (\S+)\n```\s*", page.read_text("utf-8"))
    return page.parent / match[1] if match else page


def test_links_are_found() -> None:
    """The pattern finds links with and without an anchor."""
    found = [link for page in PAGES for link in links(page)]
    assert len([anchor for _, anchor in found if anchor]) > 3
    assert len(found) > 50


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_each_diagram_is_up_to_date(picture: Path) -> None:
    """Each picture was made from its current source, those of states from the model's machines."""
    assert fingerprint(PICTURES[picture]()) in picture.read_text("utf-8"), "run: python docs/diagrams/draw.py"


def test_every_diagram_has_a_source() -> None:
    """No picture is edited by hand."""
    assert set(PICTURES) == {*ROOT.glob("specs/diagrams/*.svg"), *ROOT.glob("docs/diagrams/*.svg")}
