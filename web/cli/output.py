"""What commands print: a table or a line for people, JSON for programs.

Rich is imported when a table is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from web.errors import AnswerNeeded
from web.plain import plain, to_json

if TYPE_CHECKING:
    from rich.console import Console


def show(value: object, *lines: str, as_json: bool) -> None:
    """Print `value` as JSON, or `lines` for people."""
    if as_json:
        typer.echo(to_json(value))
        return
    for line in lines:
        typer.echo(line)


def table(
    values: object, columns: Sequence[str], rows: Iterable[Sequence[object]], *, as_json: bool, none: str
) -> None:
    """Print `values` as JSON, or `rows` under `columns`; `none` is the sentence when there are no rows."""
    if as_json:
        typer.echo(to_json(values))
        return
    cells = [[cell(item) for item in row] for row in rows]
    if not cells:
        typer.echo(none)
        return
    _print_table(columns, cells)


def console(*, error: bool = False) -> Console:
    """rich's console, imported late. Narrow terminals wrap; a pipe gets its lines whole."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, highlight=False, width=None if stream.isatty() else 200)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is destroyed.

    Raises AnswerNeeded without a terminal, typer.Abort when the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise AnswerNeeded(question)
    typer.confirm(question, abort=True)


def cell(value: object) -> str:
    """One cell of a table."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or "-"
    return str(plain(value))


def size(count_bytes: int) -> str:
    """A size for people: 1.5 MiB."""
    amount = float(count_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"


def _print_table(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        shown.add_column(column, overflow="fold")
    for row in cells:
        shown.add_row(*(Text(item) for item in row))
    console().print(shown)
