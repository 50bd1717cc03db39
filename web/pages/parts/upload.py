"""A button that takes a file from the reader's machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui
from nicegui.events import UploadEventArguments

from web.pages.console.page import say


def upload_button(
    text: str,
    uploaded: Callable[[UploadEventArguments], Awaitable[None]],
    *,
    accept: str,
    most_bytes: int,
) -> ui.button:
    """A button; `text` is a key of the texts, `accept` what a file chooser offers, as in HTML.

    The uploader itself is not drawn: its own buttons stand within each other, which nobody can hear.
    """
    uploader = ui.upload(auto_upload=True, on_upload=uploaded).classes("sf-away")
    uploader.props["accept"] = accept
    uploader.props["max-file-size"] = most_bytes
    button = ui.button(say(text), icon="upload_file", color=None)
    button.props("no-caps outline").classes("sf-button sf-button-plain")
    button.on("click", js_handler=f"() => getElement({uploader.id}).pickFiles()")
    return button
