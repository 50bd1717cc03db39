"""Keeping secrets out of what an engine prints."""

from __future__ import annotations

import re
from collections.abc import Mapping


class Redaction:
    """Replaces secrets in a stream of bytes by `[secret NAME]`, also where a read cut one in two.

    Only values as they are: what a program encodes or cuts up before it prints it, nobody can know again.
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        # A line's end inside a value is found with the whole value only, so each value is searched whole;
        # the longest first, because one may be a part of another.
        ordered = sorted(secrets.items(), key=lambda one: len(one[1]), reverse=True)
        self._names = {value.encode(): f"[secret {name}]".encode() for name, value in ordered}
        found = b"|".join(re.escape(value) for value in self._names)
        self._pattern = re.compile(found) if found else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be shown by now; the beginning of what may become a secret is held back."""
        if self._pattern is None:
            return data
        shown = self._replaced(self._held + data)
        keep = self._beginning_at_the_end(shown)
        self._held = shown[len(shown) - keep :]
        return shown[: len(shown) - keep]

    def rest(self) -> bytes:
        """At the end of the stream: what was held back, and is no secret."""
        held, self._held = self._held, b""
        return held

    def text(self, text: str) -> str:
        """One text by itself."""
        return self._replaced(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def _replaced(self, data: bytes) -> bytes:
        if self._pattern is None:
            return data
        return self._pattern.sub(lambda match: self._names[match.group()], data)

    def _beginning_at_the_end(self, data: bytes) -> int:
        """How many of the last bytes may be the beginning of a secret."""
        return max((_overlap(data, value) for value in self._names), default=0)


def _overlap(data: bytes, value: bytes) -> int:
    """Length of the longest end of `data` that `value` begins with, and is longer than."""
    place = data.find(value[:1], max(0, len(data) - len(value) + 1))
    while place >= 0 and not value.startswith(data[place:]):
        place = data.find(value[:1], place + 1)
    return len(data) - place if place >= 0 else 0
