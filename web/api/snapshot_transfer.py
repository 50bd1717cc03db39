"""Snapshots as files to take away, and what they are made of.

What comes in does so at the command line only: a URL or a file of somebody's choosing, opened by the server,
would let whoever holds a token read and write where the server may.
"""

from __future__ import annotations

from itertools import chain

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from snapshotter.objects import Store
from snapshotter.sbom import sbom
from snapshotter.transfer.archive_out import export_stream
from web.api.person import Here
from web.snapshots import found_snapshot

router = APIRouter(prefix="/projects/{project}/snapshots/{snapshot}", tags=["snapshots"])


@router.get("/sbom", response_class=Response)
def show_sbom(project: str, snapshot: str, here: Here) -> Response:
    """What the snapshot is made of: CycloneDX JSON."""
    text = sbom(Store(here.home.store), found_snapshot(here, project, snapshot))
    return Response(text, media_type="application/vnd.cyclonedx+json; version=1.6")


@router.get("/export", response_class=StreamingResponse)
def export(project: str, snapshot: str, here: Here, base: bool = True) -> StreamingResponse:
    """The snapshot as one file for `stillframe snapshot import`, which refuses a cut-off download."""
    found = found_snapshot(here, project, snapshot)
    name = f"{project}-{found.folder_name}.stillframe"
    stream = export_stream(Store(here.home.store), found, base=base)
    first = next(stream)  # Every record was read by then: what is missing is told as an error, not by a cut.
    return StreamingResponse(
        chain((first,), stream),
        media_type="application/zstd",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
