"""The fixture that runs services for a test (SV-6.5)."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import pytest
from processes import Child
from stepping import Recorded

Start = Callable[..., Awaitable[None]]


async def test_services_run_for_a_test(start_services: Start) -> None:
    """Services run when the call returns, with their dependencies, and leave signals alone (SV-6.5)."""
    service, below = Recorded("it", grace=0), Recorded("below", grace=0)
    before = signal.getsignal(signal.SIGTERM)
    await start_services(service, Recorded("above", dependences=[below], grace=0))
    assert service.run
    assert below.run
    assert signal.getsignal(signal.SIGTERM) is before
    await asyncio.sleep(0)


def test_they_are_stopped_after_it(tmp_path: Path) -> None:
    """When the next test begins, nothing runs any more (SV-6.2)."""
    status, printed = run_tests(
        tmp_path,
        """
            import asyncio
            import pytest
            from aioservicekit import Service, ServiceState

            class Waiting(Service):
                async def __work__(self):
                    await asyncio.Event().wait()

            service = Waiting(grace=0)

            @pytest.mark.asyncio
            async def test_it(start_services):
                await start_services(service)
                assert service.run

            def test_the_next():
                assert service.state is ServiceState.STOPPED
        """,
    )
    assert status == 0, printed


async def test_what_is_no_service_is_refused(start_services: Start) -> None:
    """The call raises what `run_services` raises (SV-6.1)."""
    with pytest.raises(TypeError, match="services must hold only services, not 3"):
        await start_services(3)


def test_a_service_that_fails_fails_the_test(tmp_path: Path) -> None:
    """In a child run of pytest, the failure is raised when the services have stopped (SV-6.1)."""
    status, printed = run_tests(
        tmp_path,
        """
            import asyncio
            import pytest
            from aioservicekit import Service

            class Failing(Service):
                async def __work__(self):
                    raise LookupError("for a reason")

            @pytest.mark.asyncio
            async def test_it(start_services):
                failing = Failing(on_failure="stop")
                await start_services(failing)
                await failing.wait()
        """,
    )
    assert status == 1
    assert any("1 passed, 1 error" in line for line in printed)


def run_tests(directory: Path, tests: str) -> tuple[int, list[str]]:
    """Run pytest on these tests in a child process; return its exit status and what it printed."""
    file = directory / "test_it.py"
    file.write_text(dedent(tests))
    options = ["-q", "-p", "no:cacheprovider", str(file)]
    with Child(f"import pytest, sys; sys.exit(pytest.main({options!r}))") as runner:
        return runner.end()
