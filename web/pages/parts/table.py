"""Tables of things, with a word to filter by. The filtering happens in the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.markup import tag

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column. `title` is a key of the texts; `draw` gives a text, or draws into the cell."""

    title: str
    draw: Callable[[T], object]
    classes: str = ""


def table(
    rows: Iterable[T],
    columns: Sequence[Column[T]],
    *,
    caption: str,
    filtered: bool = False,
    target: Callable[[T], str] | None = None,
) -> Element:
    """A table; on narrow screens each row becomes a block. `caption` (a key) says what it is to those who
    hear it.

    With `target` the first column of each row is the link to that address, and the whole row leads there.
    """
    with tag("div", "", "sf-table-box", data_sf_filtered="" if filtered else None) as made:
        if filtered:
            words = say("parts.filter")
            tag("input", "", "sf-filter", type="search", placeholder=words, aria_label=words)
        with tag("table", "", "sf-table"):
            tag("caption", say(caption), "sf-hidden")
            with tag("thead"), tag("tr"):
                for column in columns:
                    tag("th", say(column.title) if column.title else "", column.classes, scope="col")
            with tag("tbody"):
                for row in rows:
                    _row(row, columns, target(row) if target else None)
        if filtered:
            tag("p", say("parts.nothing-fits"), "sf-quiet sf-no-match", hidden="")
    return made


def _row(row: T, columns: Sequence[Column[T]], target: str | None) -> None:
    with tag("tr", "", "sf-row-link" if target else ""):
        for number, column in enumerate(columns):
            label = say(column.title) if column.title else ""
            with tag("td", "", column.classes, data_label=label):
                if number == 0 and target is not None:
                    with tag("a", "", "sf-link", href=target):
                        _cell(column.draw(row))
                else:
                    _cell(column.draw(row))


def _cell(drawn: object) -> None:
    if isinstance(drawn, str | int | float):
        tag("span", str(drawn))
