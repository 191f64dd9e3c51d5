"""Every rule exists on every level: in the text, and in the model's table or a named check."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from aioservicekit_conformance import checks
from aioservicekit_conformance.checks.check import Check
from aioservicekit_conformance.checks.registry import BY_NAME, CHECKS
from aioservicekit_conformance.verdicts import OPTIONAL, UNTESTED
from aioservicekit_model import service_rules
from aioservicekit_model.channel.relaxed import RULES_OF_THE_MACHINE
from aioservicekit_model.rules import RULES
from aioservicekit_model.service import RULES_OF_THE_TABLE as RULES_OF_THE_SERVICE_TABLE

ROOT = Path(__file__).resolve().parents[2]

CHECKED = {check.rule for check in CHECKS}


def test_every_rule_is_in_the_table_or_in_a_named_check_or_says_why_not() -> None:
    """A rule that nothing judges fails the build, unless the suite says why it is untested."""
    assert set(RULES) - RULES_OF_THE_MACHINE - CHECKED == set(UNTESTED)


def test_every_check_is_listed() -> None:
    """Every check in a module of checks is run, and no two checks of a rule have the same name."""
    modules = [import_module(f"{checks.__name__}.{module.name}") for module in iter_modules(checks.__path__)]
    written = [value for module in modules for value in vars(module).values() if isinstance(value, Check)]
    assert written
    assert set(written) <= set(CHECKS)
    assert len(BY_NAME) == len(CHECKS)


def test_the_table_and_the_checks_know_no_other_rules() -> None:
    """Each rule id in the model or in a check exists in the specification."""
    assert set(RULES) >= RULES_OF_THE_MACHINE | CHECKED | set(UNTESTED)


def test_only_later_sections_are_untested() -> None:
    """CH-1 to CH-5 are judged in full; only rules of CH-6 and CH-7 may be untested, or not claimed."""
    assert {rule for rule in RULES if rule[:4] in ("CH-6", "CH-7")} == OPTIONAL
    assert set(UNTESTED) <= OPTIONAL
    assert not set(UNTESTED) & (RULES_OF_THE_MACHINE | CHECKED)


def promised(folder: str) -> set[str]:
    """The rules of services that docstrings and names in a folder's files mention."""
    texts = (path.read_text("utf-8") for path in (ROOT / folder).glob("*.py"))
    return {rule for text in texts for rule in re.findall(r"\b(SV-\d+\.\d+)[a-z]?\b", text)}


def test_every_channel_rule_stands_at_the_line_that_keeps_it() -> None:
    """Each id is in a comment of the channel's code, for readers who come from the specification."""
    sources = (ROOT / "aioservicekit" / name for name in ("_core.py", "channels.py", "_runtime.py"))
    comments = "\n".join(re.findall(r"#.*", "\n".join(source.read_text("utf-8") for source in sources)))
    assert {rule for rule in RULES if not re.search(rf"{re.escape(rule)}[a-z]?\b", comments)} == set()


def test_every_service_rule_is_tested_and_promised() -> None:
    """Each rule of services is in a docstring of the implementation and of a test, whether or not the model has it."""
    assert promised("tests/reference") >= set(service_rules.RULES)
    assert promised("aioservicekit") >= set(service_rules.RULES)


def test_the_service_model_knows_no_other_rules() -> None:
    """The model of services has all rules about states, starts and stops, and no id that the specification lacks."""
    assert set(service_rules.RULES) >= RULES_OF_THE_SERVICE_TABLE
    elsewhere = {"SV-2.4", "SV-3.3", "SV-5.1", "SV-5.3", "SV-6.4"}  # tested on the implementation
    assert set(service_rules.RULES) - RULES_OF_THE_SERVICE_TABLE == elsewhere
