"""Usage of an online service: instance time, jobs and inference time, day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from publisher.errors import ServiceNotFound
from publisher.usage import DayOfUse
from web.installation import Installation
from web.pages.console.page import Page, console_page, say
from web.pages.parts.bars import Bar, bars
from web.pages.parts.markup import tag
from web.pages.parts.moments import duration_text
from web.pages.parts.service_head import nothing_online, service_head
from web.pages.parts.table import Column, table

DAYS = 30


@console_page("/projects/{project}/service/usage", title="service.usage")
async def usage(page: Page) -> None:
    """The last thirty days, by UTC day."""
    service_head(page, "service.usage", "service.usage-sentence")
    days = await page.read(days_of, page.project)
    if days is None:
        nothing_online(page)
        return
    with tag("div", "", "sf-card sf-chart"):
        tag("h2", say("service.usage-instances"))
        shown = [Bar(one.instance_seconds, _words(one), "good", f"#day-{one.day}") for one in days]
        bars(shown, say("service.usage-instances"))
    columns = (
        Column[DayOfUse]("service.usage-day", lambda one: tag("span", str(one.day), id=f"day-{one.day}")),
        Column[DayOfUse](
            "service.usage-instances", lambda one: duration_text(one.instance_seconds), "sf-right"
        ),
        Column[DayOfUse]("service.usage-jobs", lambda one: one.jobs, "sf-right"),
        Column[DayOfUse]("service.usage-failed", lambda one: one.jobs_failed, "sf-right"),
        Column[DayOfUse](
            "service.usage-inference", lambda one: duration_text(one.inference_seconds), "sf-right"
        ),
    )
    table(tuple(reversed(days)), columns, caption="service.usage")


def days_of(here: Installation, project: str) -> tuple[DayOfUse, ...] | None:
    """None before the first deployment."""
    today = datetime.now(UTC).date()
    try:
        return here.publisher.usage(project, today - timedelta(days=DAYS - 1), today)
    except ServiceNotFound:
        return None


def _words(one: DayOfUse) -> str:
    return say("service.usage-bar", day=one.day, time=duration_text(one.instance_seconds), jobs=one.jobs)
