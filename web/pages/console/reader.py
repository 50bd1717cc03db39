"""How somebody wants to read. Imports nothing of the console's library, so that the sign-in page can ask
too.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request

from web.pages.texts import chosen_language

THEMES = ("auto", "light", "dark")


@dataclass(frozen=True)
class Reader:
    """`theme` is light, dark or auto."""

    language: str
    theme: str


def reader_of(request: Request) -> Reader:
    """From cookies that are no secrets, else from what the browser prefers."""
    theme = request.cookies.get("stillframe_theme", "auto")
    language = request.cookies.get("stillframe_language")
    accepted = request.headers.get("accept-language", "")
    return Reader(chosen_language(language, accepted), theme if theme in THEMES else "auto")
