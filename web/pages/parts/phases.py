"""The phases of a deployment in a row, each with how long it took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from nicegui.element import Element

from publisher.deployment import Deployment, Event
from publisher.states import DeploymentState
from web.pages.console.page import say
from web.pages.parts.markup import tag
from web.pages.parts.moments import duration_text, running_since

_S = DeploymentState
WAY = (_S.QUEUED, _S.PREFLIGHT, _S.FREEZING, _S.PROVING, _S.ROTATING, _S.BAKING)


@dataclass(frozen=True)
class Phase:
    """One phase. `mood` is done, now, ahead, bad or left-out; `seconds` is None unless it has ended."""

    state: str
    mood: str
    began: datetime | None
    seconds: float | None


def phases_of(one: Deployment, events: Sequence[Event]) -> tuple[Phase, ...]:
    """Every phase of the way, the way back when it was taken, and the end."""
    began = _beginnings(one, events)
    states = [*WAY, *((_S.RETURNING,) if _S.RETURNING in began else ())]
    entered = [state for state in states if state in began]
    found = []
    for state in states:
        if state not in began:
            found.append(Phase(state, "left-out" if one.final else "ahead", None, None))
            continue
        following = entered[entered.index(state) + 1 :]
        ended = began[following[0]] if following else one.ended_at
        seconds = (ended - began[state]).total_seconds() if ended is not None else None
        last_and_bad = not following and one.state in (_S.FAILED, _S.RETURNED)
        mood = "now" if ended is None else "bad" if last_and_bad else "done"
        found.append(Phase(state, mood, began[state], seconds))
    end = one.state if one.final else _S.SUCCEEDED
    mood = "ahead" if not one.final else "done" if end is _S.SUCCEEDED else "bad"
    return (*found, Phase(end, mood, one.ended_at, None))


def draw_phases(phases: Sequence[Phase]) -> Element:
    """A list in one line, below each other where it is narrow."""
    with tag("ol", "", "sf-phases", aria_label=say("phases.label")) as made:
        for one in phases:
            here = {"aria_current": "step"} if one.mood == "now" else {}
            with tag("li", "", f"sf-phase sf-phase-{one.mood}", data_phase=one.state, **here):
                tag("span", say(f"state.{one.state}"))
                tag("span", say(f"phases.{one.mood}"), "sf-hidden")
                with tag("span", "", "sf-quiet sf-number"):
                    if one.mood == "now" and one.began is not None:
                        running_since(one.began)
                    elif one.seconds is not None:
                        tag("span", duration_text(one.seconds))
    return made


def _beginnings(one: Deployment, events: Sequence[Event]) -> dict[DeploymentState, datetime]:
    found = {_S.QUEUED: one.requested_at}
    for event in events:
        found.setdefault(event.state, event.started_at)
    if not one.final:
        found.setdefault(one.state, one.entered_at)
    return found
