"""The fixture that runs services for a test (SV-6.5)."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import pytest
from processes import Child
from stepping import Recorded

from aioservicekit import ServiceState

Start = Callable[..., Awaitable[None]]

SERVICE = Recorded("it", grace=0)


async def test_services_run_for_a_test(start_services: Start) -> None:
    """Services run when the call returns, with their dependencies, and leave signals alone (SV-6.5)."""
    below = Recorded("below", grace=0)
    before = signal.getsignal(signal.SIGTERM)
    await start_services(SERVICE, Recorded("above", dependences=[below], grace=0))
    assert SERVICE.run
    assert below.run
    assert signal.getsignal(signal.SIGTERM) is before
    await asyncio.sleep(0)


def test_they_are_stopped_after_it() -> None:
    """The test before this one has left nothing running (SV-6.2)."""
    assert SERVICE.state is ServiceState.STOPPED
    assert SERVICE.log[-2:] == ["it stops", "it STOPPED"]


async def test_what_is_no_service_is_refused(start_services: Start) -> None:
    """The call raises what `run_services` raises (SV-6.1)."""
    with pytest.raises(TypeError, match="services must hold only services, not 3"):
        await start_services(3)


def test_a_service_that_fails_fails_the_test(tmp_path: Path) -> None:
    """In a child run of pytest, the failure is raised when the services have stopped (SV-6.1)."""
    test = tmp_path / "test_it.py"
    test.write_text(
        dedent("""
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
        """)
    )
    options = ["-q", "-p", "no:cacheprovider", str(test)]
    with Child(f"import pytest, sys; sys.exit(pytest.main({options!r}))") as runner:
        status, printed = runner.end()
    assert status == 1
    assert any("1 passed, 1 error" in line for line in printed)
