"""Everything the console says, in each language: one catalogue, a file of it for each page."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}
FOLDER = Path(__file__).parent


@cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Key -> language -> text. A key is the file's name, a dot, and its name in the file."""
    found: dict[str, Mapping[str, str]] = {}
    for file in sorted(FOLDER.glob("*.toml")):
        for name, texts in tomllib.loads(file.read_text(encoding="utf-8")).items():
            found[f"{file.stem}.{name}"] = texts
    return found


def text(key: str, language: str, **fields: object) -> str:
    """One text with its fields filled in. KeyError for a key that the catalogue does not have."""
    return catalogue()[key][language].format(**fields)


def chosen_language(cookie: str | None, accepted: str) -> str:
    """The language of a reader: what was chosen, else what the browser prefers, else English."""
    if cookie in LANGUAGES:
        return str(cookie)
    preferred = (part.split(";")[0].strip().split("-")[0].lower() for part in accepted.split(","))
    return next((language for language in preferred if language in LANGUAGES), "en")
