"""What Celery carries.

"look at deployment N". A lost or doubled message is harmless; the sweep finds the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from publisher.settings import Settings
from workstation.layout import Home

# A Redis that accepts and never answers holds nobody up for long; what a killed worker had taken comes back.
_REDIS_LIMITS = {"socket_connect_timeout": 5.0, "socket_timeout": 5.0, "visibility_timeout": 60}
TICK = "publisher.tick_deployment"
QUEUE = "stillframe"


def make_app(home: Home, settings: Settings) -> Any:
    """The Celery application of one home: JSON only, late acknowledgement, no results."""
    from celery import Celery

    url = settings.broker_url
    options: dict[str, Any] = _REDIS_LIMITS if url is not None and url.startswith("redis") else {}
    if url is None:
        from publisher.broker import embedded_broker

        url, options = embedded_broker(home)
    app = Celery("stillframe", broker=url)
    app.conf.update(
        broker_transport_options=options,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # the sweep goes on without it for as long as it takes
        task_default_queue=QUEUE,
        task_ignore_result=True,
        task_acks_late=True,  # the message of a killed worker returns; a doubled one is harmless
        task_reject_on_worker_lost=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
    )
    return app


def register(app: Any, tick: Callable[[int], object]) -> None:
    """Make `tick` what the message does; for the worker."""

    @app.task(name=TICK)  # type: ignore[untyped-decorator]  # Celery has no types
    def tick_deployment(deployment_id: int) -> None:
        tick(deployment_id)


def waker(home: Home, settings: Settings) -> Callable[[int], None]:
    """Sends the message. Call it after the commit; a broker that is down only costs the sweep's second."""

    def wake(deployment_id: int) -> None:
        from kombu.exceptions import KombuError

        try:
            app = make_app(home, settings)
            app.send_task(TICK, args=[deployment_id], retry=False)
        except (OSError, KombuError) as problem:
            import structlog  # costs a command 0.15 s, and this is rare

            log = structlog.get_logger("publisher.tasks")
            log.warning("wake_up_not_sent", deployment_id=deployment_id, problem=str(problem))

    return wake
