"""What can go wrong as a model arrives. Each sentence names the next step.

ArrivalError
├── ModelNameUnusable, ModelExists, ArrivalInProgress
├── PartElsewhere, PartTooLong, ModelBytesWrong
├── NoRoomForModel
└── DownloadFailed, DownloadCutOff
"""

from __future__ import annotations

from workstation.errors import WorkstationError


class ArrivalError(WorkstationError):
    """Root of what concerns arriving models."""


class ModelNameUnusable(ArrivalError):
    """A kind or name that cannot be a file below the models folder."""

    def __init__(self, kind: str, name: str, why: str) -> None:
        self.kind, self.name, self.why = kind, name, why
        super().__init__(
            f"{kind}/{name} cannot be a model's place: {why}. `stillframe model kinds` lists kinds."
        )


class ModelExists(ArrivalError):
    """Another file has that place."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(
            f"There is a model {kind}/{name} already. Choose another name, or ask for it to be replaced; "
            "running instances would then read the new bytes."
        )


class ArrivalInProgress(ArrivalError):
    """Somebody else is sending the same model at this moment."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name = kind, name
        super().__init__(f"{kind}/{name} is being written by somebody else: wait until that has ended.")


class PartElsewhere(ArrivalError):
    """A part that does not begin where the bytes that are here end."""

    def __init__(self, kind: str, name: str, offset: int, received_bytes: int) -> None:
        self.kind, self.name, self.offset, self.received_bytes = kind, name, offset, received_bytes
        super().__init__(
            f"This part of {kind}/{name} begins at byte {offset}, but {received_bytes} bytes are here: "
            f"go on from byte {received_bytes}."
        )


class PartTooLong(ArrivalError):
    """More bytes than the model was said to have; what came before this part is kept."""

    def __init__(self, kind: str, name: str, size_bytes: int) -> None:
        self.kind, self.name, self.size_bytes = kind, name, size_bytes
        super().__init__(f"{kind}/{name} was said to have {size_bytes} bytes, and more came: send it anew.")


class ModelBytesWrong(ArrivalError):
    """The bytes are not those that were promised; nothing of them is kept."""

    def __init__(self, kind: str, name: str, wanted: str, found: str) -> None:
        self.kind, self.name, self.wanted, self.found = kind, name, wanted, found
        super().__init__(
            f"{kind}/{name} has SHA-256 {found}, not {wanted}: nothing was kept. Check the digest and the "
            "source, then send it anew."
        )


class NoRoomForModel(ArrivalError):
    """The disk of the models folder has less room than the model needs."""

    def __init__(self, kind: str, name: str, needed_bytes: int, free_bytes: int) -> None:
        self.kind, self.name = kind, name
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes
        super().__init__(
            f"{kind}/{name} needs {needed_bytes} more bytes and the disk has {free_bytes}: make room, "
            "then send it again; it goes on where it stopped."
        )


class DownloadFailed(ArrivalError):
    """The source did not answer, or refused."""

    def __init__(self, url: str, reason: str) -> None:
        self.url, self.reason = url, reason
        super().__init__(f"{url} cannot be downloaded: {reason}.")


class DownloadCutOff(ArrivalError):
    """The source ended early; what came is kept."""

    def __init__(self, url: str, received_bytes: int, size_bytes: int | None) -> None:
        self.url, self.received_bytes, self.size_bytes = url, received_bytes, size_bytes
        of = "" if size_bytes is None else f" of {size_bytes}"
        super().__init__(
            f"{url} ended after {received_bytes}{of} bytes: the same command again goes on from there."
        )
