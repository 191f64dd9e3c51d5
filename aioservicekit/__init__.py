"""Broadcast channels and services for asyncio: the reference implementation of the rules in `specs/`."""

from .channels import (
    Channel,
    ChannelClosedError,
    ChannelState,
    ChannelStatistics,
    Publisher,
    Subscriber,
    SubscriberStatistics,
    _ChannelPublisher,
    _ChannelSubscriber,
)
from .events import Event, EventClosedError
from .factories import service
from .running import main, run, run_services
from .services import Service, ServiceCancelledError, ServiceState, ServiceStoppedError
from .shutdown import on_shutdown

__version__ = "1.0.0.dev0"

__all__ = [
    "Channel",
    "ChannelClosedError",
    "ChannelState",
    "ChannelStatistics",
    "Event",
    "EventClosedError",
    "Publisher",
    "Service",
    "ServiceCancelledError",
    "ServiceState",
    "ServiceStoppedError",
    "Subscriber",
    "SubscriberStatistics",
    "_ChannelPublisher",
    "_ChannelSubscriber",
    "main",
    "on_shutdown",
    "run",
    "run_services",
    "service",
]

_WERE_IN_0_6_0 = {
    "Task": "use @service() with work that ends with a sleep, or asyncio.create_task",
    "task": "use @service() with work that ends with a sleep, or asyncio.create_task",
    "TaskGroup": "use asyncio.TaskGroup, or Service.create_task",
    "on_signal": "use on_shutdown(), which signals emit while services run, or signal.signal",
}


def __getattr__(name: str) -> object:
    if name in _WERE_IN_0_6_0:
        raise ImportError(f"this aioservicekit has no {name}, unlike 0.6.0 on PyPI: {_WERE_IN_0_6_0[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
