"""The specification in `specs/` and its transcription in `aioservicekit_model` say the same, word for word."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from aioservicekit_model import rules, service_rules
from aioservicekit_model.rules import Level, section

RULES = rules.RULES | service_rules.RULES
SECTIONS = rules.SECTIONS | service_rules.SECTIONS

ROOT = Path(__file__).resolve().parents[2]

RULE_HEADING = re.compile(r"### ([A-Z]{2}-[1-9]\d*\.[1-9]\d*) — (\S.*)")
SECTION_HEADING = re.compile(r"## ([A-Z]{2}-[1-9]\d*) — (\S.*)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
MENTION = re.compile(r"\b(?:CH|SV)-\d+\.\d+\b")
NEVER_A_RULE = re.compile(r"[A-Z]{2}-0\.")  # kept free for examples and for tests of unknown ids: see specs/README.md
KEYWORD = re.compile(r"\b(?:MUST|SHOULD|MAY)\b")


class Written(NamedTuple):
    """A rule as the text has it; None for a part that is not there."""

    id: str
    title: str
    under: str
    level: str | None
    sentence: str | None
    intent: str | None
    look_at: str | None


def folded(text: str) -> str:
    return " ".join(text.split())


def headings(text: str) -> Iterator[tuple[str, str]]:
    """The headings of a Markdown text and what follows each, without the fenced code."""
    parts = re.split(r"^(#+ .*)$", FENCED.sub("", text), flags=re.MULTILINE)
    return zip(parts[1::2], parts[2::2], strict=True)


@cache
def texts() -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in sorted((ROOT / "specs").glob("*.md"))}


@cache
def written_rules() -> tuple[Written, ...]:
    rules = []
    for text in texts().values():
        under = ""
        for heading, body in headings(text):
            if of_section := SECTION_HEADING.fullmatch(heading):
                under = of_section[1]
            elif of_rule := RULE_HEADING.fullmatch(heading):
                rules.append(Written(of_rule[1], of_rule[2], under, *parts_of(body)))
    return tuple(rules)


def parts_of(body: str) -> tuple[str | None, str | None, str | None, str | None]:
    paragraphs = [folded(paragraph) for paragraph in body.split("\n\n") if paragraph.strip()]

    def starting_with(marker: str) -> str | None:
        found = [paragraph.removeprefix(marker).strip() for paragraph in paragraphs if paragraph.startswith(marker)]
        return found[0] if len(found) == 1 else None

    first = re.fullmatch(r"\*\*([A-Z]+)\.\*\* (.+)", paragraphs[0]) if paragraphs else None
    level, sentence = (first[1], first[2]) if first else (None, None)
    return level, sentence, starting_with("*Intent:*"), starting_with("*When it fails, look at:*")


@cache
def written_rule(rule_id: str) -> Written:
    found = [rule for rule in written_rules() if rule.id == rule_id]
    assert found, f"{rule_id} stands in aioservicekit_model and has no heading of the fixed form in specs/"
    return found[0]


def by_prefix(sections: list[str]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for name in sections:
        prefix, number = name.split("-")
        numbers.setdefault(prefix, []).append(int(number))
    return numbers


def test_text_and_transcription_hold_the_same_rules() -> None:
    """Every rule of the text is in `RULES`, every rule of `RULES` is in the text, and their order is the same."""
    in_text, in_code = [rule.id for rule in written_rules()], list(RULES)
    only_in_text = sorted(set(in_text) - set(in_code))
    only_in_code = sorted(set(in_code) - set(in_text))
    assert not only_in_text, f"in specs/ and not in aioservicekit_model: {only_in_text}"
    assert not only_in_code, f"in aioservicekit_model and not in specs/: {only_in_code}"
    assert in_text == in_code, "specs/ and aioservicekit_model have the same rules in another order"


def test_text_and_transcription_hold_the_same_sections() -> None:
    """Every section of the text is in `SECTIONS`, under the same name and in the same order."""
    in_text = [
        match.groups()
        for text in texts().values()
        for h, _ in headings(text)
        if (match := SECTION_HEADING.fullmatch(h))
    ]
    assert [(name, title.lower()) for name, title in in_text] == list(SECTIONS.items())


@pytest.mark.parametrize("field", ["title", "level", "sentence", "intent", "look_at"])
@pytest.mark.parametrize("rule_id", RULES)
def test_rule_is_transcribed_word_for_word(rule_id: str, field: str) -> None:
    """A rule's title, level, sentence, intent and look-at are the same in the text and in `RULES`."""
    in_text, in_code = getattr(written_rule(rule_id), field), getattr(RULES[rule_id], field)
    assert in_text is not None, f"{rule_id}: specs/ has no {field} in the fixed form, or more than one"
    assert folded(in_text) == folded(in_code), (
        f"{rule_id}: the {field} differs\n  in specs/:                    {in_text}\n"
        f"  in aioservicekit_model:       {in_code}"
    )


def test_every_rule_heading_has_the_fixed_form() -> None:
    """Under a section with an id, each heading is that of a rule of this section."""
    for name, text in texts().items():
        under = ""
        for heading, _ in headings(text):
            if heading.startswith("## "):
                of_section = SECTION_HEADING.fullmatch(heading)
                under = of_section[1] if of_section else ""
                assert of_section or not re.match(r"## [A-Z]{2}\b", heading), (
                    f"{name}: {heading!r} is not of the form '## XX-n — title'"
                )
            elif under or MENTION.search(heading):
                of_rule = RULE_HEADING.fullmatch(heading)
                assert of_rule, f"{name}: {heading!r} is not of the form '### XX-n.m — title'"
                assert section(of_rule[1]) == under, (
                    f"{name}: {of_rule[1]} stands under the section {under or 'of no id'}"
                )


def test_rule_ids_are_unique_and_without_gaps() -> None:
    """Sections count from 1 without a gap, and so do the rules of each section; no id comes twice."""
    ids = [rule.id for rule in written_rules()]
    twice = sorted({rule_id for rule_id in ids if ids.count(rule_id) > 1})
    assert not twice, f"more than one rule has the id: {twice}"
    for prefix, numbers in by_prefix(list(SECTIONS)).items():
        assert numbers == list(range(1, len(numbers) + 1)), f"sections of {prefix}: {numbers}"
    for name in SECTIONS:
        numbers = [int(rule_id.partition(".")[2]) for rule_id in ids if section(rule_id) == name]
        assert numbers == list(range(1, len(numbers) + 1)), f"rules of {name}: {numbers}"
        assert numbers, f"{name} has no rules"


@pytest.mark.parametrize("rule_id", RULES)
def test_rule_is_one_sentence_of_its_level(rule_id: str) -> None:
    """A rule is one sentence, and the strongest of MUST, SHOULD and MAY in it is its level."""
    rule = RULES[rule_id]
    assert rule.id == rule_id
    strength = list(Level)
    keywords = [Level(keyword) for keyword in KEYWORD.findall(rule.sentence)]
    strongest = min(keywords, key=strength.index, default=None)
    assert strongest == rule.level, f"{rule_id} is a {rule.level}, and its sentence says {strongest}: {rule.sentence}"
    assert re.fullmatch(r"(?:[^.]|\.(?! ))+\.", rule.sentence), f"{rule_id} is not one sentence: {rule.sentence}"


def mentions() -> Iterator[tuple[str, str]]:
    """Each mention of a rule id in the project's texts and sources, with the place of it."""
    patterns = ("specs/*.md", "README.md", "CONTRIBUTING.md", "aioservicekit/*.py", "model/**/*.py", "tests/**/*.py")
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                for mention in MENTION.findall(line):
                    yield mention, f"{path.relative_to(ROOT).as_posix()}:{number}"


def test_every_rule_that_is_mentioned_exists() -> None:
    """No text, docstring, model or test names a rule that the specification does not have."""
    known = {rule.id for rule in written_rules()}
    found = list(mentions())
    dangling = [
        f"{where}: {mention}" for mention, where in found if mention not in known and not NEVER_A_RULE.match(mention)
    ]
    assert not dangling, "these rules do not exist:\n  " + "\n  ".join(dangling)
    assert {mention for mention, _ in found} >= known
