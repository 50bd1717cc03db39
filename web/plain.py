"""Plain JSON values from domain values: what `--json`, problem details and events are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any


def plain(value: object) -> Any:
    """`value` in JSON's types: times as ISO 8601, durations as seconds, objects with `as_json()` as that
    says.

    A field that a dataclass hides from its repr is a secret, and is left out here as well.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value.value if isinstance(value, Enum) else value
    if callable(as_json := getattr(value, "as_json", None)) and not isinstance(value, type):
        return plain(as_json())
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [
            plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)
        ]
    return _scalar(value)


def _scalar(value: object) -> Any:
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def to_json(value: object) -> str:
    """`value` as indented JSON text."""
    return json.dumps(plain(value), indent=2, ensure_ascii=False)
