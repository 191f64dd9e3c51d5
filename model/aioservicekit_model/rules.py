"""The channel's rules as data, read from the specification's Markdown, the only place where their sentences stand.

A wheel has the texts beside this module, and a checkout has them in `specs/`. `specs/README.md` describes the form of a rule. A
text with another form is refused, with the line and what was expected there.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from string import ascii_lowercase
from typing import NamedTuple

__all__ = ["RULES", "SECTIONS", "Level", "Rule", "section"]

OF_THE_WHEEL, OF_THE_CHECKOUT = Path(__file__).parent / "specs", Path(__file__).parents[2] / "specs"

FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#+) (?:([A-Z]{2}-[\d.]+)(?: — (\S.*))?)?.*\n", re.MULTILINE)
FIRST = re.compile(r"^\*\*(MUST|SHOULD|MAY)\.\*\* ")
MARKERS = "*Intent:*", "*When it fails, look at:*"
SENTENCE = re.compile(r"(?:[^.]|\.(?! ))+\.")
KEYWORD = re.compile(r"\b(?:MUST|SHOULD|MAY)\b")
LETTER = re.compile(r"(?:^|; )\(([a-z])\) ")


class Level(StrEnum):
    """How binding a rule is, in the sense of RFC 2119."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


class Rule(NamedTuple):
    """One numbered rule of the specification.

    Attributes:
        id: such as "CH-3.1"; never renumbered.
        title: a few words that identify it.
        level: how binding it is.
        sentence: the normative text, one testable sentence.
        intent: why the rule exists; what breaks without it.
        look_at: the usual mistakes, for whoever breaks it.
        obligations: each clause of the sentence by its letter; empty if the rule has only one obligation.
    """

    id: str
    title: str
    level: Level
    sentence: str
    intent: str
    look_at: str
    obligations: dict[str, str]


def section(rule_id: str) -> str:
    """The section that contains a rule: "CH-3" for "CH-3.1"."""
    return rule_id.partition(".")[0]


def read(name: str) -> tuple[dict[str, str], dict[str, Rule]]:
    """The sections and the rules of one text of the specification, such as "channel.md".

    Raises:
        FileNotFoundError: the package was installed without the texts, and is not in a checkout.
        ValueError: as `parse` does.
    """
    folder = OF_THE_WHEEL if OF_THE_WHEEL.exists() else OF_THE_CHECKOUT
    return parse((folder / name).read_text("utf-8"), f"specs/{name}")


def parse(text: str, name: str) -> tuple[dict[str, str], dict[str, Rule]]:
    """The sections, each with its title in lower case, and the rules of a text, in its order.

    Raises:
        ValueError: the text does not have the form that `specs/README.md` describes. The error names the place, which starts
            with `name`, and what was expected there.
    """
    text = FENCED.sub(lambda fenced: "\n" * fenced[0].count("\n"), text) + "\n"
    sections: dict[str, str] = {}
    rules: dict[str, Rule] = {}
    under, number = "", 0  # the section, and how many rules it has so far
    headings = list(HEADING.finditer(text))
    for heading, end in zip(headings, [*(after.start() for after in headings[1:]), len(text)], strict=True):
        place = f"{name}:{text.count(chr(10), 0, heading.start()) + 1}"
        marks, rule_id, title = heading.groups()
        if marks == "##" and rule_id is None:
            under = ""
        elif marks == "##":
            prefix = rule_id.partition("-")[0]
            under, number = f"{prefix}-{len(sections) + 1}", 0
            expect(rule_id == under and title, place, f"'## {under} — title'", heading[0])
            sections[under] = title.lower()
        elif under or rule_id:
            number += 1
            wanted = f"{under or 'XX-n'}.{number}"
            expect(marks == "###" and rule_id == wanted and title, place, f"'### {wanted} — title'", heading[0])
            line = text.count("\n", 0, heading.end()) + 1
            rules[wanted] = rule(wanted, title, list(paragraphs(text[heading.end() : end], name, line)), place)
    return sections, rules


def expect(holds: object, place: str, what: str, found: str) -> None:
    if not holds:
        raise ValueError(f"{place}: expected {what}, found {found.strip()!r}")


def paragraphs(body: str, name: str, line: int) -> Iterator[tuple[str, str]]:
    """Yield the place of each paragraph, and its text on one line."""
    for found in re.finditer(r"\S(?:.|\n(?!\s*\n))*", body):
        yield f"{name}:{line + body.count(chr(10), 0, found.start())}", " ".join(found[0].split())


def rule(rule_id: str, title: str, body: list[tuple[str, str]], place: str) -> Rule:
    """Make a rule from the paragraphs below its heading."""
    where, paragraph = body[0] if body else (place, "")
    _, word, sentence = FIRST.split(paragraph, maxsplit=1) if FIRST.match(paragraph) else ("", "", paragraph)
    expect(word, where, "'**MUST.**', '**SHOULD.**' or '**MAY.**' and a sentence", paragraph)
    expect(SENTENCE.fullmatch(sentence), where, "one sentence", sentence)
    strongest = min(KEYWORD.findall(sentence), key=[*Level].index, default="none of them")
    expect(strongest == word, where, f"{word} as the strongest of MUST, SHOULD and MAY in the sentence", sentence)
    start, *clauses = LETTER.split(sentence)
    letters = "".join(clauses[::2])
    in_order = len(letters) > 1 and not start and ascii_lowercase.startswith(letters)
    expect(in_order or not letters, where, "clauses '(a) …; (b) …' in order, or none", sentence)
    obligations = dict(zip(letters, (clause.removesuffix(".") for clause in clauses[1::2]), strict=True))
    those = [[text.removeprefix(marker).strip() for _, text in body if text.startswith(marker)] for marker in MARKERS]
    for marker, found in zip(MARKERS, those, strict=True):
        expect(len(found) == 1 and found[0], place, f"one paragraph '{marker} …' under {rule_id}", " / ".join(found))
    (intent,), (look_at,) = those
    return Rule(rule_id, title, Level(word), sentence, intent, look_at, obligations)


SECTIONS, RULES = read("channel.md")
