"""The embedded broker: messages are files in HOME/run/broker, so that one machine needs no broker process.

Written by rename, unlike in the transport it builds on: a reader there may meet half a message.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import kombu.transport
from kombu.transport.filesystem import Channel, Transport

from workstation.layout import Home

NAME = "stillframe-files"
POLL_SECONDS = 0.2  # a message waits half of it on average; the sweep would find the deployment in a second


class FilesChannel(Channel):
    """Puts a message by rename."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu's own two differ
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns()}_{uuid.uuid4().hex}.{queue}.msg"
        partial = folder / f".{name}.partial"
        partial.write_text(json.dumps(payload))
        partial.replace(folder / name)


class FilesTransport(Transport):
    """Kombu's transport over files, with our channel."""

    Channel = FilesChannel


def embedded_broker(home: Home) -> tuple[str, dict[str, Any]]:
    """Url and transport options of the broker of this home. Makes its folders."""
    kombu.transport.TRANSPORT_ALIASES[NAME] = f"{__name__}:FilesTransport"
    root = home.run / "broker"
    for name in ("messages", "control", "taken"):
        (root / name).mkdir(parents=True, exist_ok=True)
    options = {
        "data_folder_in": str(root / "messages"),
        "data_folder_out": str(root / "messages"),
        "control_folder": str(root / "control"),
        # Taken messages move here before they are read, so it must be the same disk; they are removed then.
        "processed_folder": str(root / "taken"),
        "store_processed": False,
        "polling_interval": POLL_SECONDS,
    }
    return f"{NAME}://localhost", options  # the name is never looked up
