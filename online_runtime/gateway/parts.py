"""Everything one gateway is made of, put together once inside its running loop."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from online_runtime.gateway.activity import Activity
from online_runtime.gateway.archiving import Archiving
from online_runtime.gateway.archivist import Archivist
from online_runtime.gateway.cancelling import Cancelling
from online_runtime.gateway.exchange import Exchange
from online_runtime.gateway.expiring import Expiring
from online_runtime.gateway.histories import Histories
from online_runtime.gateway.holding import Holding
from online_runtime.gateway.job_listing import JobListing
from online_runtime.gateway.ledger import JobLedger
from online_runtime.gateway.load import Load
from online_runtime.gateway.metrics import Calls
from online_runtime.gateway.presence import control_token
from online_runtime.gateway.prompts import Prompts
from online_runtime.gateway.proxy import Forwarding
from online_runtime.gateway.queues import Queues
from online_runtime.gateway.resubmission import Resubmission
from online_runtime.gateway.routing import ServiceRoute
from online_runtime.gateway.settings import GatewaySettings
from online_runtime.gateway.state import GatewayState
from online_runtime.gateway.upstream import Upstream
from online_runtime.gateway.views import Views
from online_runtime.gateway.watch import RoutingWatch
from online_runtime.gateway.websockets import Websockets
from online_runtime.jobs.archive import Archive
from online_runtime.jobs.database import JobsDatabase
from online_runtime.jobs.ownership import Ownership
from online_runtime.jobs.writer import JobsWriter

OwnCall = Callable[[Exchange, ServiceRoute], Awaitable[None]]


@dataclass(frozen=True)
class Parts:
    """`own_calls` are the engine's paths that concern jobs, by method and path without `/api`."""

    watch: RoutingWatch
    activity: Activity
    holding: Holding
    forwarding: Forwarding
    histories: Histories
    listing: JobListing
    cancelling: Cancelling
    views: Views
    websockets: Websockets
    calls: Calls
    state: GatewayState
    archivist: Archivist
    expiring: Expiring
    own_calls: Mapping[tuple[str, str], OwnCall]
    ledger: JobLedger
    upstream: Upstream
    writer: JobsWriter

    @classmethod
    def make(cls, settings: GatewaySettings, database: JobsDatabase, gateway: str) -> Parts:
        """Must be called inside the event loop that will serve."""
        watch = RoutingWatch(settings.home.run / "routing.json", settings.table_poll_seconds)
        load = Load()
        activity = Activity(watch, load, settings.home.run / "gateways" / f"{os.getpid()}.load")
        holding = Holding(watch, load, activity)
        upstream = Upstream(settings)
        writer = JobsWriter(database)
        archive = Archive(settings.home)
        ledger = JobLedger(database, Ownership(writer, gateway), archive, load, gateway)
        forwarding = Forwarding(upstream, holding, load)
        resubmission = Resubmission(settings, ledger, upstream, watch, load)
        archiving = Archiving(ledger, upstream)
        histories = Histories(ledger, upstream, watch, archiving)
        queues = Queues(ledger, upstream, watch)
        listing = JobListing(ledger, histories, queues)
        cancelling = Cancelling(ledger, upstream, watch)
        calls = Calls()
        prompts = Prompts(settings, ledger, upstream, holding, load)
        return cls(
            watch=watch,
            activity=activity,
            holding=holding,
            forwarding=forwarding,
            histories=histories,
            listing=listing,
            cancelling=cancelling,
            views=Views(ledger, forwarding),
            websockets=Websockets(ledger, upstream, watch),
            calls=calls,
            state=GatewayState(watch, load, holding, activity, ledger, calls, control_token(settings.home)),
            archivist=Archivist(settings, ledger, upstream, watch, archiving, resubmission, gateway),
            expiring=Expiring(ledger, watch, settings.expiry_seconds),
            own_calls=_own_calls(prompts, queues, histories, listing, cancelling),
            ledger=ledger,
            upstream=upstream,
            writer=writer,
        )

    async def close(self) -> None:
        """Give up claims, store what is still to be stored, close connections."""
        await self.ledger.release()
        self.writer.close()
        await self.upstream.close()


def _own_calls(
    prompts: Prompts, queues: Queues, histories: Histories, listing: JobListing, cancelling: Cancelling
) -> Mapping[tuple[str, str], OwnCall]:
    return {
        ("POST", "/prompt"): prompts.accept,
        ("GET", "/prompt"): queues.remaining,
        ("GET", "/queue"): queues.listed,
        ("POST", "/queue"): queues.change,
        ("POST", "/interrupt"): queues.interrupt,
        ("GET", "/history"): histories.all,
        ("POST", "/history"): histories.erase,
        ("GET", "/jobs"): listing.all,
        ("POST", "/jobs/cancel"): cancelling.many,
    }
