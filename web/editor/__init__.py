"""A project's graph editor at /projects/NAME/editor/: the packaged frontend over that workstation's engine.

The page and its scripts come from the package `comfyui-frontend-package`, everything else of that prefix,
websockets too, from the engine on its loopback port. What an older engine lacks is answered here.
"""

from __future__ import annotations

import re

PLACE = "/projects/{project}/editor"
UPLOAD_LIMIT_BYTES = 100 * 2**20  # what engines themselves take
_INSIDE = re.compile(r"/projects/[^/]+/editor/")


def is_inside(path: str) -> bool:
    """Whether a path of the door is one of an editor."""
    return _INSIDE.match(path) is not None
