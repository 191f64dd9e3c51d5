"""Tell systemd, or another supervisor that sets NOTIFY_SOCKET, that the services run or stop: `man sd_notify`."""

import os
import socket

from ._log import logger

__all__ = ["notify"]


def notify(message: str) -> None:
    """Send a message to the supervisor, if there is one; log it if the supervisor can't be reached."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
            supervisor.setblocking(False)
            supervisor.sendto(message.encode(), address)
    except OSError as error:
        logger.warning("could not send %s to NOTIFY_SOCKET: %s", message, error)
