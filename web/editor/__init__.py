"""A project's graph editor at /projects/NAME/editor/: the packaged frontend over that workstation's engine.

The page and its scripts come from the package `comfyui-frontend-package`, everything else of that prefix,
websockets too, from the engine on its loopback port. What an older engine lacks is answered here.
"""

from __future__ import annotations

import re

PLACE = "/projects/{project}/editor"
ABSOLUTE = ("/assets", "/scripts", "/extensions")  # what its pages ask for beside it
UPLOAD_LIMIT_BYTES = 100 * 2**20  # what engines themselves take
_INSIDE = re.compile(r"/projects/[^/]+/editor/")


def place_of(path: str) -> str | None:
    """The editor that a path of the door lies in, as its prefix with a slash at the end; None for others."""
    found = _INSIDE.match(path)
    return found[0] if found else None
