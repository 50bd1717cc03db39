"""What preflight found, as a list; with boxes where the reader may accept a risk by its name."""

from __future__ import annotations

from collections.abc import Iterable

from nicegui import ui

from publisher.deployment import Finding, Level
from web.pages.console.page import say
from web.pages.parts.chip import chip
from web.pages.parts.markup import tag

ORDER = {Level.REFUSAL: 0, Level.WARNING: 1, Level.OK: 2}


def draw_findings(findings: Iterable[Finding], accept: set[str] | None = None) -> None:
    """What stands in the way first. With `accept`, a box for each such finding puts its name there."""
    shown = sorted(findings, key=lambda one: ORDER[one.level])
    with tag("ul", "", "sf-plain-list sf-findings"):
        for one in shown:
            with tag("li", "", "sf-finding", data_finding=one.name):
                chip(one.level, say(f"findings.{one.level}"))
                with tag("div", "", "sf-finding-words"):
                    tag("strong", one.name)
                    tag("span", one.sentence)
                    if one.accepted_by:
                        tag("span", say("findings.accepted-by", name=one.accepted_by), "sf-quiet")
                    if accept is not None and one.level is not Level.OK:
                        _acceptance(one.name, accept)


def _acceptance(name: str, accept: set[str]) -> None:
    def changed(on: bool) -> None:
        (accept.add if on else accept.discard)(name)

    box = ui.checkbox(say("findings.accept", name=name), value=name in accept)
    box.on_value_change(lambda event: changed(bool(event.value)))
