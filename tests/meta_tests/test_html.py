"""The HTML page: one row per rule, one column per target, and each failure drawn as a timeline."""

import asyncio
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aioservicekit import Channel
from aioservicekit import ChannelClosedError as Closed
from aioservicekit import ChannelState as State
from aioservicekit_conformance.cli import main
from aioservicekit_conformance.exploring.scripts import parse
from aioservicekit_conformance.report.diagram import moments
from aioservicekit_conformance.running.case import replay
from aioservicekit_conformance.target import describe
from aioservicekit_model.rules import RULES, SECTIONS, section

VOID = {"meta", "br", "input"}

HOSTILE = """
import aioservicekit
from aioservicekit import ChannelClosedError, ChannelState

class Channel(aioservicekit.Channel):
    async def close(self):
        raise type("<script>alert('&')</script>", (Exception,), {})
"""


class Tree(HTMLParser):
    """A page as a tree. Parsing fails if a tag is not closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []  # tag, attributes, texts inside
        self._open: list[tuple[str, list[str]]] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        texts: list[str] = []
        self.elements.append((tag, dict(attrs), texts))
        if tag not in VOID:
            self._open.append((tag, texts))

    def handle_endtag(self, tag: str) -> None:
        opened, _ = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        for _, texts in self._open:
            texts.append(data)

    def select(self, tag: str, kind: str = "") -> list[str]:
        """The texts of elements with a tag and a class."""
        return [
            " ".join("".join(texts).split())
            for name, attributes, texts in self.elements
            if name == tag and (not kind or kind in (attributes.get("class") or "").split())
        ]


def page_of(directory: Path, *arguments: str) -> str:
    """The page that the command writes."""
    assert main([*arguments, "--html", str(directory / "report.html")]) == 1
    return (directory / "report.html").read_text(encoding="utf-8")


def details(page: str) -> dict[str, str]:
    """The details that cells open, by id."""
    found = re.findall(
        r'<tr class="detail(?: kept)?" id="([^"]+)"><td colspan="\d">(<article>.*?</article>)</td>', page, re.DOTALL
    )
    assert len({name for name, _ in found}) == len(found)
    return dict(found)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of three targets, of which the last two fail CH-3.8 in the same way."""
    broken = "aioservicekit_conformance.modelled:without_CH_3_8"
    return page_of(tmp_path_factory.mktemp("html"), "aioservicekit", broken, broken, "--max-examples", "50")


def test_rules_go_down_and_targets_across(page: str) -> None:
    """Each section, rule and target is there, and each cell has a verdict."""
    tree = Tree(page)
    for text in [f"{name} {title}" for name, title in SECTIONS.items() if any(section(r) == name for r in RULES)]:
        assert tree.select("th").count(text) == 1, text
    assert tree.select("b").count("aioservicekit") == 1
    assert [text.split()[0] for text in tree.select("th") if re.match(r"CH-\d\.", text)] == list(RULES)
    assert len(tree.select("td", "cell")) == 3 * len(RULES)
    assert all(re.search("pass|fail|masked|untested|unsupported", text) for text in tree.select("td", "cell"))
    # A model keeps what a closed subscriber has left unread, so both fail CH-7.1 too.
    assert len(tree.select("button", "fail")) == 4
    assert len(details(page)) == 3 * len(RULES)


def test_a_failing_cell_opens_to_its_rule_and_its_history(page: str) -> None:
    """Each target's cell has its own detail: the rule, what was expected and observed, and how to run it again."""
    rule = RULES["CH-3.8"]
    for name in ("CH-3.8--2", "CH-3.8--3"):
        text = details(page)[name]
        assert f'aria-controls="{name}"' in page
        detail = Tree(text)
        paragraphs = " ".join(detail.select("p"))
        for part in (rule.sentence, rule.intent, rule.look_at):
            assert " ".join(part.replace("`", "").split()) in paragraphs
        assert detail.select("dd", "observed")[0]
        replay, program = detail.select("pre")
        assert replay.startswith("aioservicekit-conformance failure")
        assert "import asyncio" in program


def test_the_timeline_has_lanes_and_one_impossible_moment(page: str) -> None:
    """Waiting calls have a lane with the cancellation on it, and only the last moment is marked impossible."""
    detail = Tree(details(page)["CH-3.8--2"])
    moments = [(attributes["class"] or "", "".join(texts)) for tag, attributes, texts in detail.elements if tag == "li"]
    kinds = [kind.split()[0] for kind, _ in moments]
    assert {"call", "cancel"} <= set(kinds)
    assert [index for index, (kind, _) in enumerate(moments) if "impossible" in kind] == [len(moments) - 1]
    lanes = [
        (attributes["class"] or "").split()[1:]
        for tag, attributes, _ in detail.elements
        if tag == "span" and (attributes.get("class") or "").startswith("lane")
    ]
    assert lanes.count(["below"]) >= 1
    assert lanes.count(["through"]) >= 1
    assert len(lanes) % len(moments) == 0, "each moment has the same number of lanes"


class SlowPublisher:
    def __init__(self, publisher: Any) -> None:
        self._publisher = publisher
        self.close = publisher.close

    async def send(self, message: object) -> None:
        await self._publisher.send(message)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def __aenter__(self) -> "SlowPublisher":
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class Slow(Channel[Any]):
    """Its sends do something else before they return."""

    async def connect(self) -> Any:
        return SlowPublisher(await super().connect())


def test_what_wakes_and_what_commits_is_drawn() -> None:
    """The page shows what wakes a read, and when others first see the message of a send that has yet to return."""
    target = describe("slow", SimpleNamespace(Channel=Slow, ChannelState=State, ChannelClosedError=Closed))
    drawn = moments(replay(target, 0, parse("s1 p1 s1? p1!")))
    first = next(index for index, moment in enumerate(drawn) if moment.what == "call")
    assert [(moment.glyph, moment.lane, moment.lanes) for moment in drawn[first : first + 8]] == [
        ("○", 0, ("below", "", "")),
        ("", None, ("through", "", "")),  # at rest
        ("○", 1, ("through", "below", "")),
        ("↑", 0, ("through", "through", "")),
        ("●", 0, ("above", "through", "")),
        ("◆", 1, ("", "through", "")),
        ("↑", 1, ("", "through", "")),
        ("●", 1, ("", "above", "")),
    ]
    assert not any(moment.impossible for moment in drawn)
    assert drawn[0].names == ("s1", "p1", "channel")
    assert drawn[first].situation == "s1 holds nothing (size unbounded); in line: [3] s1.read"


def test_every_cell_opens_to_its_evidence(page: str) -> None:
    """Cells are buttons, for keyboards and fingers; a cell that did not fail says what its verdict rests on."""
    tree = Tree(page)
    assert len(tree.select("button")) == 3 * len(RULES)
    assert "could have broken in" in " ".join(Tree(details(page)["CH-3.1--1"]).select("dd"))
    assert "use --live" in " ".join(Tree(details(page)["CH-6.1--1"]).select("dd"))


def test_a_history_says_why_and_what_is_buffered(page: str) -> None:
    """What subscribers hold is shown beside the moments, and the reason names it."""
    text = Tree(details(page)["CH-3.8--2"])
    assert any("holds" in each for each in text.select("span", "situation"))
    assert any(re.search(r"\bs\d\b", each) for each in text.select("dd"))


def test_nothing_is_loaded_and_the_page_is_small(page: str) -> None:
    """The page works from a disk without a network, and is smaller than 1 MB."""
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://""", page)
    assert len(page.encode()) < 1_000_000 / 3


def test_what_a_target_says_is_not_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts from a target appear as texts on the page."""
    (tmp_path / "hostile_channel.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = page_of(tmp_path, "hostile_channel", "--max-examples", "50")
    sys.modules.pop("hostile_channel")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)" in text
    Tree(text)
