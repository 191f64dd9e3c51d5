"""The pytest plugin: `pytest --conformance my_package.channels` adds a test for each rule to whatever else is run.

It is loaded in every run of pytest where this project is installed: all that costs something is imported when it is wanted.
"""

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("aioservicekit").addoption(
        "--conformance",
        action="append",
        default=[],
        metavar="TARGET",
        help="judge this broadcast channel (module or module:attribute) by aioservicekit's rules, a test a rule; may be repeated",
    )


@pytest.hookimpl(tryfirst=True)  # so that -k and -m choose among these tests too
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    for target in session.config.getoption("--conformance"):
        from aioservicekit_model.rules import RULES

        from .target import TargetError, load

        try:
            load(target)
        except TargetError as error:
            raise pytest.UsageError(str(error)) from error
        items.extend(
            RuleItem.from_parent(session, name=f"{target}[{rule}]", target=target, rule=rule) for rule in RULES
        )


class RuleItem(pytest.Item):
    """One rule, of one target."""

    def __init__(self, *, target: str, rule: str, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]
        self.target = target
        self.rule = rule

    def runtest(self) -> None:
        from .as_tests import assert_kept

        assert_kept(self.target, self.rule)

    def reportinfo(self) -> tuple[str, None, str]:
        return self.target, None, f"{self.target} {self.rule}"
