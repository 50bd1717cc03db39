"""How two whole numbers went over time: a drawing of steps, with the same as words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from nicegui.element import Element

from web.pages.console.page import say
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment

WIDTH, HEIGHT = 600.0, 96.0


@dataclass(frozen=True)
class Point:
    """From `at` on: how many were wanted, and how many took calls."""

    at: datetime
    wanted: int
    accepting: int


def step_line(points: Sequence[Point], since: datetime) -> Element:
    """From `since` until now; the wanted number as a line, the actual one as a surface below it."""
    most = max(max(one.wanted, one.accepting) for one in points) or 1
    with tag("figure", "", "sf-figure") as made:
        with tag(
            "svg",
            "",
            "sf-steps-drawing",
            viewBox=f"0 -2 {WIDTH:g} {HEIGHT + 4:g}",
            preserveAspectRatio="none",
            role="img",
            aria_label=say("service.numbers"),
        ):
            tag("path", "", "sf-steps-actual", d=_path(points, since, most, actual=True))
            tag("path", "", "sf-steps-wanted", d=_path(points, since, most, actual=False))
        with tag("figcaption", "", "sf-row"):
            tag("span", say("service.line-wanted"), "sf-key sf-key-wanted")
            tag("span", say("service.line-actual"), "sf-key sf-key-actual")
        with tag("details"):
            tag("summary", say("service.as-words"))
            with tag("ol", "", "sf-plain-list"):
                for one in reversed(points):
                    with tag("li", "", "sf-row"):
                        moment(one.at)
                        tag("span", say("projects.instances", accepting=one.accepting, wanted=one.wanted))
    return made


def _path(points: Sequence[Point], since: datetime, most: int, *, actual: bool) -> str:
    now = datetime.now(UTC)
    span = (now - since).total_seconds() or 1.0
    drawn: list[str] = []
    level = HEIGHT
    for one in points:
        x = max(0.0, (one.at - since).total_seconds() / span * WIDTH)
        height = HEIGHT * (1 - (one.accepting if actual else one.wanted) / most)
        drawn.append(f"{'L' if drawn else 'M'}{x:.1f} {level:.1f} L{x:.1f} {height:.1f}")
        level = height
    drawn.append(f"L{WIDTH:.1f} {level:.1f}")
    if actual:
        drawn.append(f"L{WIDTH:.1f} {HEIGHT:.1f} Z")
    return " ".join(drawn)
