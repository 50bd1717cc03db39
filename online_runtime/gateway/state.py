"""What the gateway says of itself: /healthz and /readyz for anybody, /-/state for the publisher, /-/metrics
for Prometheus. The last two need the token in HOME/run/control.token.
"""

from __future__ import annotations

import asyncio
import hmac

from online_runtime.gateway.activity import Activity
from online_runtime.gateway.errors import GatewayNotReady, TokenRefused
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.holding import Holding
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.load import Load
from online_runtime.gateway.metrics import CONTENT_TYPE, Calls, reading_of, text_of
from online_runtime.gateway.tokens import token_of
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.jobs import queue


class GatewayState:
    """Answers both. `control_token` is the one in HOME/run/control.token."""

    def __init__(
        self,
        watch: RoutingWatch,
        load: Load,
        holding: Holding,
        activity: Activity,
        ledger: JobLedger,
        calls: Calls,
        control_token: str,
    ) -> None:
        self._watch, self._load, self._holding, self._activity = watch, load, holding, activity
        self._ledger, self._calls, self._control_token = ledger, calls, control_token

    async def health(self, exchange: Exchange) -> None:
        """Version of the table in use, whether it is stale, and how many entries of it were dropped."""
        await exchange.json(
            {
                "version": self._watch.table.version,
                "stale": self._watch.stale,
                "dropped": len(self._watch.dropped),
            }
        )

    async def ready(self, exchange: Exchange) -> None:
        """200 when calls can be served: there is a routing table, and the jobs database answers.

        Raises GatewayNotReady, or what the database raises.
        """
        if self._watch.table.version == 0:
            raise GatewayNotReady(
                "it has no routing table yet: nothing was deployed, or the publisher never ran"
            )
        await self._ledger.ask(queue.unfinished_by_instance)
        await exchange.json({"version": self._watch.table.version, "stale": self._watch.stale})

    async def metrics(self, exchange: Exchange) -> None:
        """Prometheus' text. Raises TokenRefused."""
        self._check(exchange)
        reading = reading_of(
            self._calls,
            activity=self._activity.services(),
            accepting={name: len(route.accepting) for name, route in self._watch.table.services.items()},
            unfinished=await self._ledger.ask(queue.unfinished_by_state),
            ended=dict(self._ledger.ended),
            table={
                "version": float(self._watch.table.version),
                "stale": float(self._watch.stale),
                "dropped": float(len(self._watch.dropped)),
            },
        )
        await exchange.answer(200, await asyncio.to_thread(text_of, reading), CONTENT_TYPE)

    async def full(self, exchange: Exchange) -> None:
        """The order of reading matters: a prompt leaves `in_flight` only after its job stands in the
        table, so one that
        is in neither is not there. Raises TokenRefused.
        """
        self._check(exchange)
        version, in_flight, held = self._watch.table.version, dict(self._load.in_flight), self._holding.held
        unfinished = dict(await self._ledger.ask(queue.unfinished_by_instance))
        await exchange.json(
            {"version": version, "in_flight": in_flight, "held": held, "unfinished": unfinished}
        )

    def _check(self, exchange: Exchange) -> None:
        token = token_of(exchange.header(b"authorization"), "", in_query=False)
        if token is None or not hmac.compare_digest(token.encode(), self._control_token.encode()):
            raise TokenRefused("control", given=token is not None)
