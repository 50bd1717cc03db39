"""The head of a page and of its sections. What each returns is drawn into by `with`."""

from __future__ import annotations

from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.markup import tag


def page_header(title: str, sentence: str = "", **fields: object) -> Element:
    """The title of a page (a key of the texts), a sentence below it; returns the place for buttons at its
    right.
    """
    with tag("div", "", "sf-head"):
        with tag("div", "", "sf-head-words"):
            tag("h1", say(title, **fields))
            if sentence:
                tag("p", say(sentence, **fields), "sf-quiet")
        return tag("div", "", "sf-actions")


def section(title: str, classes: str = "", **fields: object) -> Element:
    """A part of a page under its own heading (a key of the texts)."""
    made = tag("section", "", f"sf-section {classes}")
    with made:
        tag("h2", say(title, **fields))
    return made


def card(classes: str = "") -> Element:
    """A framed surface."""
    return tag("div", "", f"sf-card {classes}")


def facts() -> Element:
    """A list of names and values, to be filled with `fact`."""
    return tag("dl", "", "sf-facts")


def fact(name: str, value: str = "") -> Element:
    """One name (a key of the texts) and its value; without a text, the place where the value is drawn."""
    with tag("div"):
        tag("dt", say(name))
        return tag("dd", value)
