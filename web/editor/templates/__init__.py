"""Workflow templates for engines that bring none: what the frontend's gallery shows at the first start.

One JSON file a template, in the frontend's own format, beside this one. Both engines have their nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from web.editor.errors import TemplateNotFound

MODULE = "default"  # the gallery's word for templates that lie below /templates/
SD15 = "v1-5-pruned-emaonly.safetensors"


@dataclass(frozen=True)
class Template:
    """One workflow. `models` are the files of models/checkpoints that it names."""

    name: str
    title: str
    description: str
    output: str  # image or video
    models: tuple[str, ...]


TEMPLATES = (
    Template(
        "text-to-picture", "Text to picture", "One picture of 512 by 512 from a text.", "image", (SD15,)
    ),
    Template(
        "larger-picture-in-two-passes",
        "Larger picture in two passes",
        "A picture from a text, then made larger as a latent and worked over once more.",
        "image",
        (SD15,),
    ),
    Template(
        "text-to-picture-to-video",
        "Text to picture to video",
        "A picture from a text, set in motion by Stable Video Diffusion and saved as an animated WEBP.",
        "video",
        (SD15, "svd.safetensors"),
    ),
)


def index() -> list[dict[str, Any]]:
    """The gallery's list, in the shape of /templates/index.json."""
    return [
        {
            "moduleName": MODULE,
            "title": "Basics",
            "category": "GENERATION TYPE",
            "type": "image",
            "isEssential": True,
            "templates": [_entry(template) for template in TEMPLATES],
        }
    ]


def workflow(name: str) -> bytes:
    """A template as the frontend opens it. Raises TemplateNotFound."""
    known = [template.name for template in TEMPLATES]
    if name not in known:
        raise TemplateNotFound(name, known)
    return files(__name__).joinpath(f"{name}.json").read_bytes()


def picture(name: str) -> bytes | None:
    """A plain card with the template's title, as SVG."""
    title = next((template.title for template in TEMPLATES if template.name == name), None)
    if title is None:
        return None
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 240">'
        '<rect width="400" height="240" fill="#1f2937"/><circle cx="70" cy="80" r="18" fill="#60a5fa"/>'
        '<circle cx="200" cy="60" r="18" fill="#34d399"/><circle cx="330" cy="100" r="18" fill="#fbbf24"/>'
        '<path d="M88 80 C130 80 140 60 182 60 M218 60 C260 60 270 100 312 100" '
        'stroke="#94a3b8" stroke-width="4" fill="none"/>'
        '<text x="200" y="180" text-anchor="middle" font-family="system-ui,sans-serif" font-size="24" '
        f'fill="#f8fafc">{escape(title)}</text></svg>'
    ).encode()


def _entry(template: Template) -> dict[str, Any]:
    return {
        "name": template.name,
        "title": template.title,
        "description": template.description,
        "mediaType": "image",
        "mediaSubtype": "svg",
        "tags": ["Video" if template.output == "video" else "Image"],
        "models": list(template.models),
        "openSource": True,
    }
