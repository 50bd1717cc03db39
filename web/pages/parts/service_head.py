"""The head that all pages of an online service have: its title and the way to the others."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.console.page import Page
from web.pages.parts.button import go_button
from web.pages.parts.empty import empty_state
from web.pages.parts.headings import page_header
from web.pages.parts.tabs import tabs


def service_head(page: Page, title: str, sentence: str = "") -> Element:
    """Returns the place for buttons."""
    root = f"/projects/{page.project}/service"
    made = page_header(title, sentence)
    tabs(
        "service.pages",
        (
            ("service.overview", root),
            ("service.configuration", f"{root}/configuration"),
            ("service.invocation", f"{root}/invocation"),
            ("service.usage", f"{root}/usage"),
        ),
    )
    return made


def nothing_online(page: Page) -> None:
    """What stands there before the first deployment."""
    with empty_state("service.none", "service.none-sentence", "dns"):
        if page.may("deployment.request"):
            go_button("service.deploy", f"/projects/{page.project}/deploy", kind="primary")
