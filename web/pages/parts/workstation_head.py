"""The head that all pages of a workstation have: its title and the way to the others."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.console.page import Page
from web.pages.parts.headings import page_header
from web.pages.parts.tabs import tabs


def workstation_head(page: Page, title: str, sentence: str = "") -> Element:
    """Returns the place for buttons."""
    root = f"/projects/{page.project}/workstation"
    made = page_header(title, sentence)
    tabs(
        "workstation.pages",
        (
            ("workstation.engine", root),
            ("workstation.plugins", f"{root}/plugins"),
            ("workstation.packages", f"{root}/packages"),
            ("workstation.models", f"{root}/models"),
            ("workstation.workflows", f"{root}/workflows"),
        ),
    )
    return made
