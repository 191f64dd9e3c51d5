"""A service in a few lines: it ticks until Ctrl+C, or until somebody stops it."""

import asyncio

from aioservicekit import main, run_services, service


@service()
async def clock(seconds: float) -> None:
    print("tick")
    await asyncio.sleep(seconds)


@main
async def application() -> None:
    ticking = clock(0.1)
    async with run_services([ticking]) as stopped:
        asyncio.get_running_loop().call_later(0.25, ticking.stop)
        await stopped
    print("stopped")


if __name__ == "__main__":
    asyncio.run(application())
