"""Where plugins came from and which are pinned: `plugins.toml` in the project's folder."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from workstation.atomic import write_text
from workstation.errors import ProjectUnreadable
from workstation.layout import Workstation

FORMAT = 1


@dataclass(frozen=True)
class PluginRecord:
    """What was asked for when a plugin was installed. `source` holds no credentials."""

    source: str
    kind: str  # "git", "folder" or "archive"
    ref: str = ""
    commit: str = ""
    pinned: bool = False


def records_file(workstation: Workstation) -> Path:
    """Beside the workstation, because it is about it and not part of it."""
    return workstation.root.parent / "plugins.toml"


def read_records(workstation: Workstation) -> dict[str, PluginRecord]:
    """The records by plugin name. Raises ProjectUnreadable."""
    file = records_file(workstation)
    if not file.is_file():
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
        if values.get("format") != FORMAT:
            raise ProjectUnreadable(
                file, f"it has format {values.get('format')}, this version knows {FORMAT}: upgrade stillframe"
            )
        return {name: PluginRecord(**record) for name, record in values.get("plugins", {}).items()}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError) as error:
        raise ProjectUnreadable(file, str(error)) from error


def write_records(workstation: Workstation, records: Mapping[str, PluginRecord]) -> None:
    """Replace the records, by rename."""
    import tomli_w

    plugins: dict[str, Any] = {name: asdict(record) for name, record in sorted(records.items())}
    write_text(records_file(workstation), tomli_w.dumps({"format": FORMAT, "plugins": plugins}))
