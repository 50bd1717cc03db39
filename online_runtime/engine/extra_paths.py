"""--extra-model-paths-config: more places to search for weights, in ComfyUI's YAML."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from .errors import BadArgument
from .folders import WEIGHTS, Folders, current_kind

_ARGUMENT = "--extra-model-paths-config"


def add_extra_paths(folders: Folders, config: Path) -> None:
    """Add the search folders in YAML file `config` to `folders.kinds`. Raises BadArgument; adds nothing then.

    Each section has an optional `base_path`, `is_default: true` (search these first), and one entry per
    kind with a folder a line.
    """
    for section, entries in _sections(config):
        base = Path(str(entries.get("base_path", ""))).expanduser()
        base = base if base.is_absolute() else config.parent / base
        first = entries.get("is_default") is True
        for kind, places in entries.items():
            if kind in ("base_path", "is_default") or places is None:
                continue
            if not isinstance(places, str):
                raise BadArgument(_ARGUMENT, f"{section}.{kind} in {config} is not one folder a line.")
            for place in filter(None, map(str.strip, places.splitlines())):
                _add(folders, current_kind(kind), base / place, first)


def _add(folders: Folders, kind: str, place: Path, first: bool) -> None:
    searched, _ = folders.kinds.setdefault(kind, ([], set(WEIGHTS)))
    if str(place) not in searched:
        searched.insert(0 if first else len(searched), str(place))


def _sections(config: Path) -> list[tuple[str, dict[str, Any]]]:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError as error:
        raise BadArgument(_ARGUMENT, "reading it needs the package PyYAML; install it.") from error
    try:
        found = yaml.safe_load(config.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise BadArgument(_ARGUMENT, f"{config} cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise BadArgument(_ARGUMENT, f"{config} does not hold sections.")
    for name, section in found.items():
        if not isinstance(section, dict):
            raise BadArgument(_ARGUMENT, f"section {name} of {config} holds no folders.")
    return list(found.items())
