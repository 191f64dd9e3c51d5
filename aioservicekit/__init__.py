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
from .running import main, run_services
from .services import Service, ServiceState, ServiceStoppedError, service
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
    "ServiceState",
    "ServiceStoppedError",
    "Subscriber",
    "SubscriberStatistics",
    "_ChannelPublisher",
    "_ChannelSubscriber",
    "main",
    "on_shutdown",
    "run_services",
    "service",
]
