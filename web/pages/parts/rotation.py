"""A rotation drawn: the old side and the new side, each instance a box that changes its state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from nicegui.element import Element

from publisher.deployment import Instance
from web.pages.console.page import say
from web.pages.parts.chip import chip
from web.pages.parts.markup import icon, tag
from web.pages.parts.moments import running_since


@dataclass(frozen=True)
class Box:
    """One instance as it is drawn. `checks` counts its health checks in a row, `jobs` what it still has."""

    id: str
    snapshot: int
    place: str
    state: str
    since: datetime | None
    takes_calls: bool
    checks: int
    jobs: int | None
    problem: str


@dataclass(frozen=True)
class Sides:
    """Both sides of one rotation."""

    old: tuple[Box, ...]
    new: tuple[Box, ...]


def box_of(one: Instance) -> Box:
    """What the control database knows of an instance, for its box."""
    state, since = _state(one)
    return Box(
        id=one.id,
        snapshot=one.snapshot_number,
        place=f"GPU {one.gpu}" if one.gpu is not None else f"CPU {one.slot}",
        state=state,
        since=since,
        takes_calls=one.live and one.routed_at is not None and one.drain_since is None,
        checks=one.passes,
        jobs=one.unfinished_jobs if one.drain_since is not None else None,
        problem=one.problem or "",
    )


def draw_sides(sides: Sides) -> Element:
    """The old side at the left, the new one at the right."""
    with tag("div", "", "sf-rotation", role="group", aria_label=say("rotation.label")) as made:
        _side("rotation.old", sides.old)
        icon("arrow_forward", "sf-rotation-arrow")
        _side("rotation.new", sides.new)
    return made


def _state(one: Instance) -> tuple[str, datetime | None]:
    if not one.live:
        return ("failed" if one.failed_at is not None else "stopped"), one.stopped_at
    if one.gone:
        return "failed", one.observed_at
    if one.drain_since is not None:
        return "draining", one.drain_since
    if one.routed_at is not None or one.admitted_at is not None:
        return ("serving" if one.healthy else "unhealthy"), one.routed_at or one.admitted_at
    return ("healthy", one.healthy_since) if one.healthy else ("starting", one.started_at or one.created_at)


def _side(title: str, boxes: Iterable[Box]) -> None:
    with tag("section", "", "sf-side"):
        tag("h3", say(title))
        drawn = [_box(one) for one in boxes]
        if not drawn:
            tag("p", say("rotation.nobody"), "sf-quiet")


def _box(one: Box) -> Element:
    classes = "sf-card sf-box sf-box-serving" if one.takes_calls else "sf-card sf-box"
    with tag("div", "", classes, data_instance=one.id, data_state=one.state) as made:
        with tag("div", "", "sf-between"):
            tag("strong", say("rotation.snapshot", number=one.snapshot))
            chip(one.state, say(f"state.{one.state}"))
        with tag("p", "", "sf-quiet sf-row"):
            tag("span", one.place)
            if one.since is not None and one.state in ("starting", "draining"):
                running_since(one.since)
            if one.state == "starting":
                tag("span", say("rotation.checks", number=one.checks))
            if one.jobs is not None and one.state == "draining":
                tag("span", say("rotation.jobs", number=one.jobs))
            if one.takes_calls:
                tag("span", say("rotation.takes-calls"))
        tag("span", one.id, "sf-quiet sf-mono")
        if one.problem:
            tag("p", one.problem, "sf-box-problem")
    return made
