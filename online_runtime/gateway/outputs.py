"""Output files by prompt. Pure.

Each instance counts its file names by itself, so two instances make files of the same name. Outside, a
file's subfolder
therefore starts with the id of the prompt that made it: `PROMPT_ID` or `PROMPT_ID/SUBFOLDER`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from online_runtime.jobs.archive import KINDS
from online_runtime.jobs.job import ArchivedFile, is_prompt_id


def named_files(outputs: Any) -> Iterator[ArchivedFile]:
    """Every output or temp file that a history entry's outputs name, wherever they are nested."""
    if isinstance(outputs, dict):
        if _names_file(outputs):
            yield ArchivedFile(outputs["type"], str(outputs.get("subfolder") or ""), outputs["filename"])
        outputs = list(outputs.values())
    if isinstance(outputs, list):
        for inner in outputs:
            yield from named_files(inner)


def outside(outputs: Any, prompt_id: str) -> Any:
    """A copy of `outputs` as callers see them, each file's subfolder under its prompt id."""
    if isinstance(outputs, list):
        return [outside(inner, prompt_id) for inner in outputs]
    if not isinstance(outputs, dict):
        return outputs
    copy = {name: outside(inner, prompt_id) for name, inner in outputs.items()}
    if _names_file(outputs):
        subfolder = outputs.get("subfolder")
        copy["subfolder"] = f"{prompt_id}/{subfolder}" if subfolder else prompt_id
    return copy


def entry_outside(entry: dict[str, Any], prompt_id: str) -> dict[str, Any]:
    """A history entry as callers see it."""
    return {**entry, "outputs": outside(entry.get("outputs", {}), prompt_id)}


def inside(subfolder: str) -> tuple[str | None, str]:
    """The prompt id that an outside subfolder starts with, None when it has none, and the engine's own
    subfolder.
    """
    first, _, rest = subfolder.partition("/")
    return (first, rest) if is_prompt_id(first) else (None, subfolder)


def _names_file(item: dict[str, Any]) -> bool:
    return isinstance(item.get("filename"), str) and item.get("type") in KINDS
