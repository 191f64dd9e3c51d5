"""The pytest fixture `start_services`, which runs services for a test.

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
except ImportError:  # anyio's plugin accepts pytest's
    async_fixture: Any = pytest.fixture  # type: ignore[no-redef]

__all__ = ["start_services"]


@async_fixture
async def start_services() -> AsyncIterator[Callable[..., Awaitable[None]]]:
    """A function that starts services, dependencies first, and returns when they run; they are stopped after the test.

    It needs pytest-asyncio or anyio's plugin. Signals are left alone: Ctrl+C belongs to the test runner (SV-6.5). A service that
    has failed by the end of the test fails the test.

    Raises:
        TypeError: in the call: an argument is not a service.
        Exception: in the call: a start failed; after the test: a service failed.
    """
    from aioservicekit import run_services

    blocks = []
    async with AsyncExitStack() as stack:

        async def start(*services: Any) -> None:
            blocks.append(await stack.enter_async_context(run_services(services, signals=False)))

        yield start
    for stopped in blocks:
        await stopped
