"""Times and durations. The browser words them in the reader's zone and language, and keeps them true."""

from __future__ import annotations

from datetime import datetime

from nicegui.element import Element

from web.pages.parts.markup import tag


def moment(when: datetime | None, none: str = "–") -> Element:
    """How long ago, with the exact time in the reader's zone and in ISO 8601 as its title."""
    if when is None:
        return tag("span", none, "sf-quiet")
    iso = when.isoformat()
    return tag("time", iso[:16].replace("T", " "), "sf-time", datetime=iso, title=iso, data_sf="ago")


def clock_time(when: datetime) -> Element:
    """The time of day in the reader's zone, to the second, for logs and steps."""
    iso = when.isoformat()
    return tag("time", iso[11:19], "sf-time sf-number", datetime=iso, title=iso, data_sf="clock")


def running_since(when: datetime) -> Element:
    """How long something has been running; it counts on by itself."""
    return tag("time", "", "sf-time sf-number", datetime=when.isoformat(), data_sf="running")


def duration_text(seconds: float) -> str:
    """A length of time as a person reads it: 0.42 s, 12 s, 3 min 05 s, 2 h 10 min."""
    if seconds < 10:
        return f"{seconds:.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def size_text(size_bytes: float) -> str:
    """A number of bytes as a person reads it, in powers of 1024: 0 B, 14.2 KiB, 6.9 GiB."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    size, unit = float(size_bytes), 0
    while size >= 1024 and unit < len(units) - 1:
        size, unit = size / 1024, unit + 1
    return f"{size:.0f} B" if unit == 0 else f"{size:.1f} {units[unit]}"
