"""What was worked out from files, kept until their stat facts change.

One JSON file a subject. It only saves time: a file that is missing, damaged or of another format is as good
as none.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from workstation.atomic import write_text

FORMAT = 1


class Remembered:
    """Findings by path. `save` keeps those that were asked for since it was opened, and no others."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._old: dict[str, Any] = _read(file)
        self._new: dict[str, Any] = {}

    def recall(self, path: Path, facts: os.stat_result) -> Any:
        """The finding about the file that has these facts; None when it is not known."""
        found = self._old.get(str(path))
        if found is None or found[0] != _stamp(facts):
            return None
        self._new[str(path)] = found
        return found[1]

    def keep(self, path: Path, facts: os.stat_result, finding: Any) -> None:
        """Remember a finding (JSON, not None) that was made while the file had these facts."""
        self._new[str(path)] = [_stamp(facts), finding]

    def save(self) -> None:
        """Replace the file when it would say something else. Raises OSError."""
        if self._new != self._old:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_text(self._file, json.dumps({"format": FORMAT, "found": self._new}))


def _stamp(facts: os.stat_result) -> list[int]:
    return [facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


def _read(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        return {}
    return dict(values["found"])
