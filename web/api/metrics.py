"""`/metrics` for Prometheus, `/readyz` for whoever decides whether to send calls here.

Metrics name services, so they need a sign-in like everything else, an API key of any account being enough: a
front on the same machine would make "from loopback only" mean everybody.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from publisher.db import services
from publisher.errors import ControlUnreachable
from publisher.metrics import CONTENT_TYPE, read, text_of
from publisher.slots import detect_slots
from web.api.person import Here
from web.errors import DoorNotReady
from web.installation import Installation

router = APIRouter(tags=["health"])


@router.get("/metrics", response_class=Response)
def metrics(here: Here) -> Response:
    """Deployments, instances, restarts, slots and parts of the platform, in Prometheus' text format."""
    slots = len(detect_slots(here.chosen.platform))
    return Response(text_of(read(here.control, slots=slots, up=_parts(here))), media_type=CONTENT_TYPE)


@router.get("/readyz")
def readyz(here: Here) -> dict[str, Any]:
    """200 when requests can be carried out: the control database answers and the worker runs. No sign-in."""
    try:
        with here.control.read() as tx:
            services.everyone(tx)
    except ControlUnreachable as problem:
        raise DoorNotReady(f"the control database does not answer ({problem})") from problem
    if not _parts(here).get("worker", False):
        raise DoorNotReady(f"no worker runs; its log is {here.home.run / 'logs' / 'worker.log'}")
    return {"status": "ready"}


def _parts(here: Installation) -> dict[str, bool]:
    record = here.running
    return {} if record is None else {name: one.alive for name, one in record.children.items()}
