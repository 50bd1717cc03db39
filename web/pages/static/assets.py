"""Addresses of the console's own files: each changes with the content, so that browsers may keep them."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
PREFIX = "/console"


@cache
def asset(name: str) -> str:
    """The address of one file of this folder."""
    digest = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()[:12]
    return f"{PREFIX}/{name}?v={digest}"
