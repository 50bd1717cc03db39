"""What went wrong: the sentence that says what happened and what to do, as everywhere else."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from nicegui import ui
from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.code import code_block
from web.pages.parts.markup import icon, tag
from web.problem import Problem, problem_of

_LISTS = ("problems", "missing", "nodes", "findings", "tail", "traceback", "conflicts", "reasons", "lines")


def error_card(error: BaseException) -> Element:
    """The error as a card: its title, its sentence with the next step, its details folded away."""
    problem = problem_of(error)
    with tag("div", "", "sf-card sf-error", role="alert") as made:
        with tag("div", "", "sf-error-title"):
            icon("error_outline")
            tag("strong", problem.title)
        tag("p", problem.detail, "sf-error-sentence")
        details = _details(problem, error)
        if details:
            with tag("details"):
                tag("summary", say("parts.details"))
                code_block(details)
    return made


def show_error(error: BaseException) -> None:
    """The error as a dialog, for what somebody tried just now."""
    with ui.dialog().props("aria-label=error") as dialog, tag("div", "", "sf-dialog"):
        error_card(error)
        with tag("div", "", "sf-actions sf-end"):
            ui.button(say("parts.close"), color=None, on_click=dialog.close).props(
                "no-caps outline autofocus"
            ).classes("sf-button sf-button-plain")
    dialog.on("hide", dialog.delete)
    dialog.open()


def _details(problem: Problem, error: BaseException) -> str:
    lines = [line for name in _LISTS for line in _lines(problem.fields, name)]
    if problem.status == 500 and problem.type.endswith(":bug"):
        lines += traceback.format_exception_only(error)
    return "\n".join(lines)


def _lines(fields: Mapping[str, Any], name: str) -> list[str]:
    value = fields.get(name)
    return [str(line) for line in value] if isinstance(value, list | tuple) else []
