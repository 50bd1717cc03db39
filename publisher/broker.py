"""The embedded broker: messages are files in HOME/run/broker, so that one machine needs no broker process.

Unlike in the transport it builds on, a message is written by rename, so that no reader meets half of one, and
a taken one is kept until it is acknowledged, so that a killed worker loses none.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from queue import Empty
from typing import Any

import kombu.transport
from kombu.transport.filesystem import Channel, Transport

from workstation.layout import Home

NAME = "stillframe-files"
POLL_SECONDS = 0.2  # a message waits half of it on average; the sweep would find the deployment in a second


class FilesChannel(Channel):
    """Puts and takes a message by rename; one that was taken lies in `taken` until it is acknowledged."""

    do_restore = (
        False  # by kombu, at the end of a worker: what is not acknowledged comes back at the next start
    )

    def _put(self, queue: str, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu's own two differ
        folder = Path(self.data_folder_out)
        name = f"{time.time_ns()}_{payload['properties']['delivery_tag']}.{queue}.msg"
        partial = folder / f".{name}.partial"
        partial.write_text(json.dumps(payload))
        partial.replace(folder / name)

    def _get(self, queue: str) -> Any:  # type: ignore[override]  # as above
        for message in sorted(Path(self.data_folder_in).glob(f"*.{queue}.msg")):
            taken = Path(self.processed_folder) / message.name
            try:
                message.rename(taken)
            except FileNotFoundError:
                continue  # somebody else was faster
            return json.loads(taken.read_text())
        raise Empty

    def basic_ack(self, delivery_tag: str, multiple: bool = False) -> None:
        super().basic_ack(delivery_tag, multiple)  # type: ignore[no-untyped-call]
        self._forget(delivery_tag)

    def basic_reject(self, delivery_tag: str, requeue: bool = False) -> None:
        super().basic_reject(delivery_tag, requeue)  # type: ignore[no-untyped-call]
        self._forget(delivery_tag)

    def _forget(self, delivery_tag: str) -> None:
        for taken in Path(self.processed_folder).glob(f"*_{delivery_tag}.*.msg"):
            taken.unlink(missing_ok=True)


class FilesTransport(Transport):
    """Kombu's transport over files, with our channel."""

    Channel = FilesChannel


def give_back_taken(home: Home) -> None:
    """Put what a killed worker had taken back among the messages. Only while no worker runs."""
    root = home.run / "broker"
    for taken in sorted((root / "taken").glob("*.msg")):
        taken.replace(root / "messages" / taken.name)


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
        # Taken messages move here before they are read, so it must be the same disk.
        "processed_folder": str(root / "taken"),
        "polling_interval": POLL_SECONDS,
    }
    return f"{NAME}://localhost", options  # the name is never looked up
