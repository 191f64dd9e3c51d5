"""The pytest plugin: `pytest --conformance my_package.channels` adds one test per rule to the other tests of the run.

Every run of pytest loads it where this project is installed, so it imports expensive modules only when they are needed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

__all__: list[str] = []


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("aioservicekit")
    group.addoption(
        "--conformance",
        action="append",
        default=[],
        metavar="TARGET",
        help="judge this broadcast channel (module, module:attribute or file) by aioservicekit's rules: one test per rule,"
        " TARGET::RULE; may be repeated",
    )
    group.addoption("--conformance-max-examples", type=int, default=2000, metavar="N", help="cases per target")
    group.addoption("--conformance-seed", type=int, default=0, metavar="N", help="the same seed makes the same cases")
    group.addoption(
        "--conformance-known-failing", type=Path, metavar="FILE", help="rules, one per line, that are expected to fail"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Remove arguments that name tests of rules: pytest would look for files."""
    targets = config.getoption("--conformance")
    chosen = [argument for argument in config.args if argument.rpartition("::")[0] in targets]
    if chosen:
        config.args = [argument for argument in config.args if argument not in chosen]
        config.option.conformance_chosen = chosen  # among the options, which xdist passes on to its processes


@pytest.hookimpl(tryfirst=True)  # so that -k and -m select among these tests too
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    chosen = getattr(session.config.option, "conformance_chosen", [])
    for target in session.config.getoption("--conformance"):
        of_target = TargetCollector.from_parent(session, name=target, nodeid=target)
        items.extend(item for item in of_target.collect() if not chosen or item.nodeid in chosen)


class TargetCollector(pytest.Collector):
    """One target, with one test per rule."""

    def collect(self) -> Iterator["RuleItem"]:
        from aioservicekit_model.rules import RULES

        from .known_failing import known_failing
        from .target import TargetError, load

        file = self.config.getoption("--conformance-known-failing")
        try:
            load(self.name)
            known = known_failing(file) if file else frozenset()
        except TargetError as error:
            raise pytest.UsageError(str(error)) from error
        for rule in RULES:
            item = RuleItem.from_parent(self, name=rule)
            if rule in known:
                item.add_marker(pytest.mark.xfail(strict=True, reason="known to fail"))
            yield item


class RuleItem(pytest.Item):
    """One rule of one target."""

    def runtest(self) -> None:
        from .as_tests import assert_kept

        assert self.parent is not None, "its target has made it"
        options = self.config.option
        examples, seed = options.conformance_max_examples, options.conformance_seed
        assert_kept(self.parent.name, self.name, examples, seed, self.config._tmp_path_factory)  # type: ignore[attr-defined]

    def reportinfo(self) -> tuple[str, None, str]:
        return self.nodeid.partition("::")[0], None, self.nodeid
