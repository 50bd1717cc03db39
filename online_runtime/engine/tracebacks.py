"""Exceptions as answers show them: with their frames, without paths of this machine.

The log keeps tracebacks whole; what leaves by HTTP names files relative to the engine's folders only.
"""

from __future__ import annotations

import re
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from .folders import Folders

_ABSOLUTE = re.compile(r"(?<![\w./])(?!//)/(?:[^\s'\":,;()\[\]{}<>/]+/)+")


@dataclass(frozen=True)
class PathFilter:
    """Replaces host paths in text. `known` pairs a folder with what is shown instead, longest first."""

    known: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, folders: Folders) -> PathFilter:
        named = {
            **{f"{path}/": f"{name}/" for path, name in _named(folders)},
            f"{folders.base}/": "",
            f"{Path(__file__).absolute().parent}/": "engine/",
            f"{sys.prefix}/": "",
            f"{sys.base_prefix}/": "",
        }
        resolved = {f"{Path(path).resolve()}/": shown for path, shown in named.items()}
        return cls(tuple(sorted({**resolved, **named}.items(), key=lambda pair: -len(pair[0]))))

    def text(self, text: str) -> str:
        """`text` without host paths: known folders by their names, of others the last part only."""
        for path, shown in self.known:
            text = re.sub(rf"(?<![\w.]){re.escape(path)}", shown, text)
        return _ABSOLUTE.sub("", text)

    def frames(self, error: BaseException) -> list[str]:
        """The frames of `error`, one entry each, as ComfyUI's `traceback` lists them."""
        return [self.text(line) for line in traceback.format_tb(error.__traceback__)]


def type_name(error: BaseException) -> str:
    """The exception's class as ComfyUI's `exception_type` names it: with its module unless builtin."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _named(folders: Folders) -> list[tuple[Path, str]]:
    return [
        (folders.models, "models"),
        (folders.input, "input"),
        (folders.output, "output"),
        (folders.temp, "temp"),
        (folders.user, "user"),
        (folders.custom_nodes, "custom_nodes"),
    ]
