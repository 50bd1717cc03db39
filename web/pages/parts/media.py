"""Pictures and videos as tiles."""

from __future__ import annotations

from pathlib import PurePath

from nicegui.element import Element

from web.pages.parts.markup import tag

VIDEOS = frozenset({".mp4", ".webm", ".mov", ".mkv"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif", ".bmp"})


def media_tile(url: str, name: str, caption: str = "") -> Element:
    """A tile of one result; other kinds of files are a link. `url` is on this server."""
    suffix = PurePath(name).suffix.lower()
    with tag("figure", "", "sf-tile") as made:
        if suffix in VIDEOS:
            video = tag("video", "", src=url, controls="", loop="", playsinline="", preload="metadata")
            video.props["aria-label"] = name
            video.props["muted"] = True
        elif suffix in PICTURES:
            with tag("a", "", href=url, target="_blank", rel="noopener"):
                tag("img", "", src=url, alt=name, loading="lazy")
        else:
            tag("a", name, "sf-link", href=url, download=name)
        with tag("figcaption"):
            tag("span", name, "sf-tile-name")
            if caption:
                tag("span", caption, "sf-quiet")
    return made
