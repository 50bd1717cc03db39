"""Where a transfer is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class TransferProgress:
    """`phase` is "list", "records", "objects" or "publish"; totals are 0 while they are not known."""

    phase: str
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0


OnTransfer = Callable[[TransferProgress], None]


class Meter:
    """Counts and tells; `tell` may be None."""

    def __init__(self, tell: OnTransfer | None, files_total: int = 0, bytes_total: int = 0) -> None:
        self._tell = tell or (lambda _: None)
        self.now = TransferProgress("list", files_total=files_total, bytes_total=bytes_total)

    def phase(self, name: str, files_total: int = 0, bytes_total: int = 0) -> None:
        """A new phase begins; the counts start again."""
        self.now = TransferProgress(name, files_total=files_total, bytes_total=bytes_total)
        self._tell(self.now)

    def done(self, files: int, size: int) -> None:
        """So many more files and bytes are through."""
        done = self.now.files_done + files, self.now.bytes_done + size
        self.now = replace(self.now, files_done=done[0], bytes_done=done[1])
        self._tell(self.now)
