"""The specification's rules: the form of their text, what is refused, and that nothing names a rule that does not exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from aioservicekit_model import rules, service_rules
from aioservicekit_model.rules import Level, Rule, parse

RULES = rules.RULES | service_rules.RULES

ROOT = Path(__file__).resolve().parents[2]

MENTION = re.compile(r"\b((?:CH|SV)-\d+\.\d+)([a-z]?)\b")
NEVER_A_RULE = re.compile(r"[A-Z]{2}-0\.")  # kept free for examples and for tests of unknown ids: see specs/README.md

TEXT = """# A text

## Glossary

### Words

None.

## XX-1 — State

Prose.

### XX-1.1 — First

**MUST.** (a) One thing MUST
hold; (b) another one (`Task.uncancel`) MAY.

*Intent:* Why it
must.

*When it fails, look at:* Here.

```python
### XX-1.2 — no heading
```

### XX-1.2 — Second

**SHOULD.** It SHOULD.

*Intent:* So.

*When it fails, look at:* There.

## XX-2 — Joining

## Afterwards
"""


def test_a_text_is_read() -> None:
    """Sections and rules come in the order of the text, each on one line; code and other headings are skipped."""
    sections, found = parse(TEXT, "x.md")
    assert sections == {"XX-1": "state", "XX-2": "joining"}
    assert list(found.values()) == [
        Rule(
            *("XX-1.1", "First", Level.MUST, "(a) One thing MUST hold; (b) another one (`Task.uncancel`) MAY."),
            *("Why it must.", "Here."),
            {"a": "One thing MUST hold", "b": "another one (`Task.uncancel`) MAY"},
        ),
        Rule("XX-1.2", "Second", Level.SHOULD, "It SHOULD.", "So.", "There.", {}),
    ]


MALFORMED = {
    "a gap": (
        "### XX-1.2 — Second",
        "### XX-1.3 — Second",
        "x.md:27: expected '### XX-1.2 — title', found '### XX-1.3",
    ),
    "an id twice": ("### XX-1.2 — S", "### XX-1.1 — S", "x.md:27: expected '### XX-1.2 — title', found '### XX-1.1"),
    "another section's": ("### XX-1.2 — S", "### XX-2.2 — S", "x.md:27: expected '### XX-1.2 — title', found"),
    "no title": ("### XX-1.2 — Second", "### XX-1.2", "x.md:27: expected '### XX-1.2 — title', found '### XX-1.2'"),
    "a hyphen": ("### XX-1.2 — S", "### XX-1.2 - S", "x.md:27: expected '### XX-1.2 — title', found"),
    "no rule": ("### XX-1.2 — Second", "### Second", "x.md:27: expected '### XX-1.2 — title', found '### Second'"),
    "too deep": ("### XX-1.2 — S", "#### XX-1.2 — S", "x.md:27: expected '### XX-1.2 — title', found"),
    "no section": ("### Words", "### XX-1.1 — Words", "x.md:5: expected '### XX-n.1 — title', found '### XX-1.1"),
    "a section's gap": ("## XX-2 — J", "## XX-3 — J", "x.md:35: expected '## XX-2 — title', found '## XX-3"),
    "a section without a title": (
        "## XX-2 — Joining",
        "## XX-2",
        "x.md:35: expected '## XX-2 — title', found '## XX-2'",
    ),
    "no level": (
        "**SHOULD.** It",
        "It",
        "x.md:29: expected '**MUST.**', '**SHOULD.**' or '**MAY.**' and a sentence, found 'It",
    ),
    "another level": ("**SHOULD.**", "**CAN.**", "x.md:29: expected '**MUST.**', '**SHOULD.**' or '**MAY.**' and a"),
    "nothing": (
        TEXT[TEXT.index("**SHOULD") : TEXT.index("## XX-2")],
        "",
        "x.md:27: expected '**MUST.**', '**SHOULD.**' or '**MAY.**' and a sentence, found ''",
    ),
    "a stronger word": (
        "It SHOULD.",
        "It MUST.",
        "x.md:29: expected SHOULD as the strongest of MUST, SHOULD and MAY in",
    ),
    "a weaker word": (
        "One thing MUST",
        "One thing MAY",
        "x.md:15: expected MUST as the strongest of MUST, SHOULD and MAY in",
    ),
    "no word": ("It SHOULD.", "It does.", "x.md:29: expected SHOULD as the strongest of MUST, SHOULD and MAY in"),
    "two sentences": ("It SHOULD.", "It SHOULD. Yes.", "x.md:29: expected one sentence, found 'It SHOULD. Yes.'"),
    "no full stop": ("It SHOULD.", "It SHOULD", "x.md:29: expected one sentence, found 'It SHOULD'"),
    "a letter left out": ("(b)", "(c)", "x.md:15: expected clauses '(a) …; (b) …' in order, or none, found '(a) One"),
    "one letter": (
        "; (b) another",
        ", and another",
        "x.md:15: expected clauses '(a) …; (b) …' in order, or none, found",
    ),
    "words before a": ("(a) One", "It; (a) one", "x.md:15: expected clauses '(a) …; (b) …' in order, or none, found"),
    "no intent": ("*Intent:* So.\n", "", "x.md:27: expected one paragraph '*Intent:* …' under XX-1.2, found ''"),
    "two intents": (
        "*Intent:* So.",
        "*Intent:* So.\n\n*Intent:* Too.",
        "x.md:27: expected one paragraph '*Intent:* …'",
    ),
    "an empty intent": (
        "*Intent:* So.",
        "*Intent:*",
        "x.md:27: expected one paragraph '*Intent:* …' under XX-1.2, found ''",
    ),
    "no look-at": (
        "fails, look at:* There",
        "breaks:* There",
        "x.md:27: expected one paragraph '*When it fails, look at:* …'",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_a_malformed_text_is_refused(what: str) -> None:
    """A text with another form is refused, and the error names the line, what was expected and what was found."""
    old, new, message = MALFORMED[what]
    assert TEXT.count(old) == 1
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        parse(TEXT.replace(old, new), "x.md")


def test_every_heading_with_an_id_is_one_of_a_rule() -> None:
    """No rule of the texts is missed, whatever its heading looks like."""
    texts = [path.read_text("utf-8") for path in sorted((ROOT / "specs").glob("*.md"))]
    headings = [line for text in texts for line in text.splitlines() if line.startswith("#") and MENTION.search(line)]
    assert [line for line in headings if not NEVER_A_RULE.search(line)] == [
        f"### {rule.id} — {rule.title}" for rule in RULES.values()
    ]


@pytest.mark.parametrize("rule_id", RULES)
def test_letters_name_all_that_a_sentence_says(rule_id: str) -> None:
    """The lettered clauses are the whole sentence, and each of them says that it is binding."""
    rule = RULES[rule_id]
    lettered = "; ".join(f"({letter}) {clause}" for letter, clause in rule.obligations.items())
    assert f"{lettered}." == rule.sentence if rule.obligations else "(a)" not in rule.sentence
    assert [clause for clause in rule.obligations.values() if not re.search(r"\b(MUST|SHOULD|MAY)\b", clause)] == []


def mentions() -> Iterator[tuple[str, str, str]]:
    """Yield each mention of a rule in the project's texts and sources: its id, the obligation's letter or "", and the place."""
    patterns = (
        "specs/*.md",
        "README.md",
        "CONTRIBUTING.md",
        "docs/**/*.md",
        "aioservicekit/*.py",
        "model/**/*.py",
        "tests/**/*.py",
    )
    for path in (path for pattern in patterns for path in sorted(ROOT.glob(pattern))):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            for rule_id, letter in MENTION.findall(line):
                yield rule_id, letter, f"{path.relative_to(ROOT).as_posix()}:{number}"


def test_every_rule_that_is_mentioned_exists() -> None:
    """No text, docstring, model or test names a rule that the specification lacks, or an obligation that the rule lacks."""
    found = list(mentions())
    dangling = [
        f"{place}: {rule_id}{letter}"
        for rule_id, letter, place in found
        if not NEVER_A_RULE.match(rule_id)
        if rule_id not in RULES or letter not in ("", *RULES[rule_id].obligations)
    ]
    assert not dangling, "these do not exist:\n  " + "\n  ".join(dangling)
    assert {rule_id for rule_id, _, _ in found} >= set(RULES)


def test_a_rule_stands_in_the_section_of_its_id() -> None:
    """Reports order rules by section, and each section has a title."""
    assert rules.section("CH-3.1") == "CH-3"
    assert {rules.section(rule) for rule in rules.RULES} == set(rules.SECTIONS)
