"""What is installed, and which package imports which."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from aioservicekit_model import rules, service_rules

ROOT = Path(__file__).parents[2]
PACKAGES = ("aioservicekit", "aioservicekit_model", "aioservicekit_conformance")


def where(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


of_the_wheel = pytest.mark.skipif(
    "AIOSERVICEKIT_TESTS_THE_WHEEL" not in os.environ, reason="only tox installs the wheel"
)


@of_the_wheel
@pytest.mark.parametrize("package", PACKAGES)
def test_the_wheel_is_what_is_tested(package: str) -> None:
    """Under tox, the packages come from the installed wheel, and not from the sources beside the tests."""
    assert "site-packages" in where(package).parts


@of_the_wheel
@pytest.mark.parametrize("name", ["channel.md", "service.md"])
def test_the_wheel_carries_the_rules(name: str) -> None:
    """The wheel has the specification's texts in the model's package, unchanged, so that rules can be quoted."""
    carried = where("aioservicekit_model") / "specs" / name
    assert carried.read_text("utf-8") == (ROOT / "specs" / name).read_text("utf-8")


@pytest.mark.parametrize(("name", "installed"), [("channel.md", rules), ("service.md", service_rules)])
def test_the_installed_rules_are_those_of_the_repository(name: str, installed: ModuleType) -> None:
    """Whatever way the model was installed, its rules are those of `specs/`."""
    in_the_repository = rules.parse((ROOT / "specs" / name).read_text("utf-8"), name)
    assert in_the_repository == (installed.SECTIONS, installed.RULES)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_typed(package: str) -> None:
    """Each package tells type checkers that it is typed."""
    assert (where(package) / "py.typed").exists()


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("aioservicekit", ("aioservicekit_model", "aioservicekit_conformance", "hypothesis", "pytest", "rich")),
        (
            "aioservicekit_model.channel.blame",
            ("aioservicekit", "aioservicekit_conformance", "hypothesis", "pytest", "rich"),
        ),
        ("aioservicekit_conformance.cli", ("aioservicekit",)),
    ],
)
def test_imports_go_one_way(package: str, foreign: tuple[str, ...]) -> None:
    """The library imports nothing else, the model only itself, and the suite never the library that it judges."""
    program = f"import sys, {package}; print([name for name in {foreign!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_library_has_no_dependencies() -> None:
    """Only extras require other packages, and the other project has never released this version."""
    metadata = importlib.metadata.metadata("aioservicekit")
    assert all("extra ==" in requirement for requirement in metadata.get_all("Requires-Dist") or [])
    assert metadata["Version"] == "1.0.0.dev0"
