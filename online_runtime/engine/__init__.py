"""The builtin engine: runs ComfyUI-style workflows behind a ComfyUI-compatible HTTP API.

It imports nothing else of Stillframe, so that its folder can be copied into a workstation and frozen there.
"""

from __future__ import annotations

__version__ = "0.1.0"
