"""The state of something in a word, with a colour and a shape: never by colour alone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from nicegui.element import Element

from web.pages.parts.markup import tag


class Mood(StrEnum):
    """What a state means to whoever looks."""

    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"
    OFF = "off"


# Every state that the platform names, of workstations, deployments, instances and services.
MOODS: Mapping[str, Mood] = {
    **dict.fromkeys(("running", "succeeded", "serving", "ready", "healthy", "ok", "done"), Mood.GOOD),
    **dict.fromkeys(
        ("starting", "restarting", "stopping", "queued", "preflight", "freezing", "proving", "rotating"),
        Mood.BUSY,
    ),
    **dict.fromkeys(("baking", "draining", "preparing", "waiting", "making"), Mood.BUSY),
    **dict.fromkeys(("returning", "returned", "cancelled", "degraded", "warning", "unhealthy"), Mood.WARN),
    **dict.fromkeys(("failed", "refusal", "lost", "refused"), Mood.BAD),
    **dict.fromkeys(("stopped", "absent", "ended", "none", "off"), Mood.OFF),
}


def chip(state: str, words: str, mood: Mood | None = None) -> Element:
    """A state chip. `words` is what is read; `mood` None: as the state's name says."""
    chosen = mood or MOODS.get(state, Mood.OFF)
    with tag("span", "", f"sf-chip sf-{chosen}", data_state=state) as made:
        tag("span", "", "sf-shape", aria_hidden="true")
        tag("span", words)
    return made
