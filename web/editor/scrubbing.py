"""Host paths taken out of the errors of a ComfyUI checkout; the builtin engine does it itself. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDERS = re.compile(r"(?<![\w./])(?!//)/(?:[^\s'\":,;()\[\]{}<>/]+/)+")
_FAILURE = frozenset({"exception_message", "traceback"})  # any of them: what a node raised
_REFUSAL = frozenset({"type", "message", "details"})  # all of them: what a validation found
_PLACES = frozenset({"argv", "folders"})


@dataclass(frozen=True)
class PathScrubber:
    """`known` pairs a folder with what is shown instead of it."""

    known: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, workstation: Path, models: Path) -> PathScrubber:
        named = ((f"{models}/", "models/"), (f"{workstation}/models/", "models/"), (f"{workstation}/", ""))
        return cls(named)

    def known_paths(self, text: str) -> str:
        """`text` with paths below the workstation made relative to it; all else as it is."""
        for path, shown in self.known:
            text = text.replace(path, shown)
        return text

    def text(self, text: str) -> str:
        """`text` with no folder of this machine in it: of other paths the last part stays."""
        return _FOLDERS.sub("", self.known_paths(text))

    def told(self, value: Any) -> Any:
        """A JSON value whose errors, arguments and search folders name no host path. Workflows stay."""
        if isinstance(value, list):
            return [self.told(item) for item in value]
        if not isinstance(value, Mapping):
            return value
        if _FAILURE & value.keys() or value.keys() >= _REFUSAL:
            return self._whole(value)
        return {
            name: self._whole(item) if name in _PLACES else self.told(item) for name, item in value.items()
        }

    def body(self, body: bytes, *, all_texts: bool) -> bytes:
        """A JSON document as `told` leaves it, or with every text scrubbed; what is no JSON as one text."""
        try:
            document = json.loads(body)
        except ValueError:
            return self.text(body.decode("utf-8", "replace")).encode()
        return json.dumps(self._whole(document) if all_texts else self.told(document)).encode()

    def event(self, text: str) -> str:
        """A text frame of the websocket."""
        if '"execution_error"' not in text[:64]:
            return text
        return self.body(text.encode(), all_texts=False).decode()

    def _whole(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self._whole(item) for name, item in value.items()}
        return [self._whole(item) for item in value] if isinstance(value, list) else value
