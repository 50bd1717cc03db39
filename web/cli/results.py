"""The end of a run: its files saved and named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from web.cli.output import show
from web.plain import plain

if TYPE_CHECKING:
    from web.calls import Caller, Result


def finish(caller: Caller, result: Result, folder: Path, *, as_json: bool) -> None:
    """Save the outputs of `result` into `folder` and tell where they are and who answered."""
    saved = caller.save((file for file in result.files if file.type == "output"), folder)
    who = f" by instance {result.instance} of snapshot {result.snapshot}" if result.instance else ""
    show(
        {**plain(result), "saved": saved},
        f"Prompt {result.prompt_id} done in {result.seconds:.1f} s{who}",
        *(f"  {path}" for path in saved),
        as_json=as_json,
    )
