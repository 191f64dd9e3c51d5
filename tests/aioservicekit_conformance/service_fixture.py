"""The fixture `start_services` of the pytest plugin, which runs services for a test.

async def test_orders(start_services):
    shop = Shop()
    await start_services(shop)
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

try:
    from pytest_asyncio import fixture as async_fixture
except ImportError:  # anyio's plugin takes those of pytest
    async_fixture: Any = pytest.fixture  # type: ignore[no-redef]

__all__ = ["start_services"]


@async_fixture
async def start_services() -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """A function that starts services, dependencies first, and returns when they run; after the test they are stopped.

    It needs pytest-asyncio, or anyio's plugin. Signals are left alone: Ctrl+C is the test runner's (SV-6.5). A service that has
    failed by the end fails the test.

    Raises:
        TypeError: in the call, something that is no service.
        Exception: in the call, that of a start that failed; after the test, the failure of a service.
    """
    from aioservicekit import run_services

    blocks = []
    async with AsyncExitStack() as stack:

        async def start(*services: Any) -> None:
            blocks.append(await stack.enter_async_context(run_services(services, signals=False)))

        yield start
    for stopped in blocks:
        await stopped
