"""What the gateway says of itself: /healthz for anybody, /-/state for the publisher."""

from __future__ import annotations

import hmac

from online_runtime.gateway.errors import TokenRefused
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.holding import Holding
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.load import Load
from online_runtime.gateway.tokens import token_of
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.jobs import queue


class GatewayState:
    """Answers both. `control_token` is the one in HOME/run/control.token."""

    def __init__(
        self, watch: RoutingWatch, load: Load, holding: Holding, ledger: JobLedger, control_token: str
    ) -> None:
        self._watch, self._load, self._holding, self._ledger = watch, load, holding, ledger
        self._control_token = control_token

    async def health(self, exchange: Exchange) -> None:
        """Version of the table in use, whether it is stale, and how many entries of it were dropped."""
        await exchange.json(
            {
                "version": self._watch.table.version,
                "stale": self._watch.stale,
                "dropped": len(self._watch.dropped),
            }
        )

    async def full(self, exchange: Exchange) -> None:
        """The order of reading matters: a prompt leaves `in_flight` only after its job stands in the
        table, so one that
        is in neither is not there. Raises TokenRefused.
        """
        token = token_of(exchange.header(b"authorization"), "", in_query=False)
        if token is None or not hmac.compare_digest(token.encode(), self._control_token.encode()):
            raise TokenRefused("control", given=token is not None)
        version, in_flight, held = self._watch.table.version, dict(self._load.in_flight), self._holding.held
        unfinished = dict(await self._ledger.ask(queue.unfinished_by_instance))
        await exchange.json(
            {"version": version, "in_flight": in_flight, "held": held, "unfinished": unfinished}
        )
