"""The packaged frontend: where its files lie, and what its page runs by itself.

Read from the package at each page load (some 20 kB): after an upgrade of the package the next load is the new
one.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from web.editor.errors import FrontendNotInstalled

PACKAGE = "comfyui_frontend_package"
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """The page, and the scripts that stand in it as sources of a Content-Security-Policy."""

    html: bytes
    scripts: tuple[str, ...]


@cache
def static_folder() -> Path:
    """Where the frontend's files lie. Raises FrontendNotInstalled."""
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / "static" / "index.html").is_file():
            return Path(place) / "static"
    raise FrontendNotInstalled


def read_page() -> Page:
    """Raises FrontendNotInstalled."""
    html = (static_folder() / "index.html").read_bytes()
    return Page(html, tuple(_source(script) for script in _INLINE_SCRIPT.findall(html)))


def _source(script: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
