"""Plain HTML elements with text, classes and attributes. Text is only ever text."""

from __future__ import annotations

from nicegui.element import Element
from nicegui.elements.mixins.text_element import TextElement


def tag(name: str, text: str = "", classes: str = "", **attributes: object) -> Element:
    """An element; attributes are given as keywords, `_` in their names standing for `-`."""
    made = TextElement(tag=name, text=text) if text else Element(name)
    if classes:
        made.classes(classes)
    for attribute, value in attributes.items():
        made.props[attribute.strip("_").replace("_", "-")] = value
    return made


def link(text: str, target: str, classes: str = "sf-link", **attributes: object) -> Element:
    """A link to another page, or out of the console."""
    return tag("a", text, classes, href=target, **attributes)


def icon(name: str, classes: str = "") -> Element:
    """A symbol of the Material font that says nothing by itself: the words stand beside it."""
    return tag("i", name, f"material-icons sf-icon {classes}", aria_hidden="true")
