"""`stillframe model digest`: the bytes of models, read on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from web.cli.options import HomeOption, JsonOption

if TYPE_CHECKING:
    from workstation.layout import Home
    from workstation.models import ModelFile


def digest(
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as checkpoints.")] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only models without a known digest.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read models and remember their BLAKE3 digests, which snapshots name. Takes as long as reading takes."""
    from web.cli.opening import opened
    from web.cli.output import size, table
    from workstation.models import known_digest, list_models

    here = opened(home).home
    chosen = [model for model in list_models(here) if kind in (None, model.kind)]
    found = [_read(here, model) for model in chosen if not (missing and known_digest(here, model.path))]
    rows = [(one["kind"], one["name"], size(one["size_bytes"]), one["digest"]) for one in found]
    none = "Every model's digest is known." if missing else "No models to read."
    table(found, ("KIND", "NAME", "SIZE", "BLAKE3"), rows, as_json=as_json, none=none)


def _read(home: Home, model: ModelFile) -> dict[str, Any]:
    from workstation.models import compute_digest

    found = compute_digest(home, Path(model.path))
    return {
        "kind": model.kind,
        "name": model.name,
        "size_bytes": model.size_bytes,
        "digest": f"blake3:{found}",
    }
