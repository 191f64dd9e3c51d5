"""Broadcast channels and services for asyncio: the reference implementation of the rules in `specs/`."""

from .channels import (
    Channel,
    ChannelClosedError,
    ChannelState,
    ChannelStatistics,
    SubscriberStatistics,
    _ChannelPublisher,
    _ChannelSubscriber,
)

__version__ = "1.0.0.dev0"

__all__ = [
    "Channel",
    "ChannelClosedError",
    "ChannelState",
    "ChannelStatistics",
    "SubscriberStatistics",
    "_ChannelPublisher",
    "_ChannelSubscriber",
]
