"""What can go wrong while a snapshot is carried to another home. After any of them nothing was published.

SnapshotterError
└── TransferError
    ├── TransferInProgress   another process writes the same export
    ├── TransferFull         the disk that was written to has no room
    ├── TargetOccupied       what stands where the export goes is no export
    ├── BaseNotIncluded      the base was left out, and this store does not have it
    ├── ArchiveTooNew
    ├── ArchiveDamaged       cut off, or not what was written
    ├── ArchiveRefused       holds what no export holds
    ├── UrlUnusable          no such protocol, or no URL
    ├── UrlFailed            the other side did not do what was asked
    ├── UrlSilent            the other side did not answer
    ├── UrlTooNew
    └── UrlIncomplete        an object at the URL is missing or damaged

URLs in these errors are without their passwords and queries.
"""

from __future__ import annotations

from snapshotter.errors import SnapshotterError


class TransferError(SnapshotterError):
    """Root of all errors of carrying snapshots."""


class TransferInProgress(TransferError):
    """Another process is writing the same export."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file

    def sentence(self) -> str:
        return (
            f"Another process is writing the export {self.file}: wait for it, or export to another file name."
        )


class TransferFull(TransferError):
    """The disk of `path` had no room for what was carried."""

    def __init__(self, path: str, free_bytes: int) -> None:
        super().__init__(path, free_bytes)
        self.path, self.free_bytes = path, free_bytes

    def sentence(self) -> str:
        return (
            f"The disk of {self.path} has no room ({self.free_bytes} bytes are free). Nothing was published: "
            "free some space there, then run the same command again."
        )


class TargetOccupied(TransferError):
    """Something that is no export stands where the export would go; it was left alone."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file

    def sentence(self) -> str:
        return f"{self.file} exists and is no export of a snapshot: name another file, or move that one away."


class BaseNotIncluded(TransferError):
    """The base was left out at the export, and this store does not hold it whole."""

    def __init__(self, component: str, base: str, fingerprint: str, missing: int) -> None:
        super().__init__(component, base, fingerprint, missing)
        self.component, self.base, self.fingerprint, self.missing = component, base, fingerprint, missing

    def sentence(self) -> str:
        named = f"{self.base} " if self.base else ""
        known = f" with fingerprint {self.fingerprint}" if self.fingerprint else ""
        return (
            f"The snapshot was carried without its base {named}({self.component}{known}), and {self.missing} "
            "of the base's objects are not in this store: carry it again with the base, or bring a snapshot "
            "here first that has the same base."
        )


class ArchiveTooNew(TransferError):
    """An export of a format that this version does not know. Nothing else of it was read."""

    def __init__(self, file: str, found: str, known: str) -> None:
        super().__init__(file, found, known)
        self.file, self.found, self.known = file, found, known

    def sentence(self) -> str:
        return (
            f"The export {self.file} has format {self.found}, this version knows {self.known}: upgrade "
            "stillframe."
        )


class ArchiveDamaged(TransferError):
    """An export that ends too early, or whose bytes are not those that were written."""

    def __init__(self, file: str, member: str, reason: str) -> None:
        super().__init__(file, member, reason)
        self.file, self.member, self.reason = file, member, reason

    def sentence(self) -> str:
        return (
            f"The export {self.file} is damaged at {self.member} ({self.reason}): copy it again from where "
            "it was made, or export again."
        )


class ArchiveRefused(TransferError):
    """An archive with a member that no export has: a strange name, a link, a size that nothing asked for."""

    def __init__(self, file: str, member: str, reason: str) -> None:
        super().__init__(file, member, reason)
        self.file, self.member, self.reason = file, member, reason

    def sentence(self) -> str:
        return (
            f"{self.file} is refused: {self.member} {self.reason}. It was not made by `snapshot export`; "
            "do not trust it, and ask whoever sent it."
        )


class UrlUnusable(TransferError):
    """A URL that no installed library can open."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.url, self.reason = url, reason

    def sentence(self) -> str:
        return (
            f"{self.url} cannot be used ({self.reason}): give a URL that fsspec knows, such as "
            "file:///FOLDER or s3://BUCKET/FOLDER, and install the package of its protocol."
        )


class UrlFailed(TransferError):
    """The other side refused or broke off."""

    def __init__(self, url: str, doing: str, reason: str) -> None:
        super().__init__(url, doing, reason)
        self.url, self.doing, self.reason = url, doing, reason

    def sentence(self) -> str:
        return (
            f"{self.doing} at {self.url} failed ({self.reason}). What arrived is kept: run the same command "
            "again to go on."
        )


class UrlSilent(TransferError):
    """The other side took what was asked, and said nothing for as long as anybody waits."""

    def __init__(self, url: str, doing: str, limit_seconds: float) -> None:
        super().__init__(url, doing, limit_seconds)
        self.url, self.doing, self.limit_seconds = url, doing, limit_seconds

    def sentence(self) -> str:
        return (
            f"{self.url} did not answer within {self.limit_seconds:g} s ({self.doing}). Look whether the "
            "storage is there; what arrived is kept: run the same command again to go on."
        )


class UrlTooNew(TransferError):
    """Snapshots at a URL in a layout that this version does not know."""

    def __init__(self, url: str, found: str, known: str) -> None:
        super().__init__(url, found, known)
        self.url, self.found, self.known = url, found, known

    def sentence(self) -> str:
        return f"{self.url} has format {self.found}, this version knows {self.known}: upgrade stillframe."


class UrlIncomplete(TransferError):
    """An object that a snapshot at the URL needs cannot be had as it was sent."""

    def __init__(self, url: str, name: str, reason: str) -> None:
        super().__init__(url, name, reason)
        self.url, self.name, self.reason = url, name, reason

    def sentence(self) -> str:
        return (
            f"{self.name} at {self.url} {self.reason}: remove it there and push the snapshot again from a "
            "home that has it."
        )
