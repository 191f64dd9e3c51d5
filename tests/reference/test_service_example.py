"""The first example of services that users meet, run in a child process."""

import signal
import time

import pytest
from processes import Child

EXAMPLE = """\
import asyncio
import logging
import random
from typing import NamedTuple

import aioservicekit
from aioservicekit import Channel, Service

logging.basicConfig(
    level=logging.INFO, format="%(asctime)s - %(name)s - %(levelname)s - %(message)s"
)


# Define the data structure for events
class SystemEvent(NamedTuple):
    timestamp: float
    source: str
    message: str
    level: str


# Create a global channel for system events
# Default subscriber buffer size is 5
system_events = Channel[SystemEvent](buffer_size=5)


# --- Producer Service ---
class EventDetector(Service):
    async def __on_start__(self) -> None:
        self.publisher = await system_events.connect()

    async def __on_stop__(self) -> None:
        await self.publisher.close()

    async def __work__(self) -> None:
        await asyncio.sleep(random.uniform(0.5, 2.0))
        level = random.choice(["INFO", "WARNING", "ERROR"])
        event = SystemEvent(
            timestamp=asyncio.get_event_loop().time(),
            source="Detector",
            message=f"Simulated event {random.randint(1, 100)}",
            level=level,
        )
        logging.debug(f"Detector sending: {event}")
        try:
            await self.publisher.send(event)
        except Exception:
            logging.exception("Error sending event!")


# --- Consumer Services ---


class EventLogger(Service):
    async def __on_start__(self) -> None:
        self.subscriber = await system_events.subscribe()

    async def __on_stop__(self) -> None:
        await self.subscriber.close()

    async def __work__(self) -> None:
        logging.info(f"Consumer '{self.name}' starting...")
        async for event in self.subscriber:
            log_func = getattr(logging, event.level.lower(), logging.info)
            log_func(
                f"'{self.name}' received: {event.message} (Source: {event.source})"
            )


class ErrorAlerter(Service):
    async def __on_start__(self) -> None:
        self.subscriber = await system_events.subscribe()

    async def __on_stop__(self) -> None:
        await self.subscriber.close()

    async def __work__(self) -> None:
        logging.info("Alerter starting...")
        async for event in self.subscriber:
            if event.level == "ERROR":
                logging.critical(f"!!! ALERT from '{self.name}': {event.message} !!!")
            else:
                logging.debug(f"Alerter '{self.name}' skipping event: {event.level}")


# --- Main Application ---
@aioservicekit.main
async def main():
    logger = EventLogger()
    alerter = ErrorAlerter()
    detector = EventDetector(dependences=[logger, alerter])

    logging.info("Starting application with event detector and consumers...")
    async with aioservicekit.run_services([detector, logger, alerter]) as waiter:
        logging.info("Services running. Press Ctrl+C to stop.")
        await waiter
    logging.info("Application shut down gracefully.")


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        logging.info("Shutdown requested.")

"""

ONE_UNIT_OF_WORK = 2.0  # seconds, at most


@pytest.mark.parametrize("moment", ["Services running", "received:"])
def test_the_example_shuts_down_gracefully(moment: str) -> None:
    """The example logs events; on Ctrl+C it ends with status 0 as soon as its current unit of work has ended (SV-6.3)."""
    with Child(EXAMPLE) as example:
        example.read(moment)
        sent = time.monotonic()
        example.send(signal.SIGINT)
        status, printed = example.end()
        assert time.monotonic() - sent < ONE_UNIT_OF_WORK + 0.5
    assert status == 0
    assert printed[-1].endswith("Application shut down gracefully.")
    assert not any(
        word in line for line in printed for word in ("Traceback", "aioservicekit - WARNING", "aioservicekit - ERROR")
    )


def test_a_second_signal_ends_the_example_at_once() -> None:
    """After a second signal, the example does not wait for its current unit of work, but still stops gracefully (SV-6.3)."""
    with Child(EXAMPLE.replace("random.uniform(0.5, 2.0)", "600")) as example:
        example.read("Services running")
        sent = time.monotonic()
        example.send(signal.SIGINT)
        example.send(signal.SIGTERM)  # another kind of signal, since two of the same kind may merge into one
        status, printed = example.end()
        assert time.monotonic() - sent < ONE_UNIT_OF_WORK
    assert status == 0
    assert printed[-1].endswith("Application shut down gracefully.")
