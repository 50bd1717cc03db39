"""The audit log: who changed what, from where, and how it ended."""

from __future__ import annotations

from publisher.accounts import Role
from publisher.db.audit import AuditEntry
from web.installation import Installation
from web.pages.console.markers import CONTROL
from web.pages.console.page import Page, console_page, say
from web.pages.parts.chip import Mood, chip
from web.pages.parts.empty import empty_state
from web.pages.parts.headings import page_header
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment
from web.pages.parts.table import Column, table
from web.signin.audit import DONE, Audit

SHOWN = 200


@console_page("/audit", title="audit.title", nav="audit", role=Role.ADMIN)
async def audit(page: Page) -> None:
    """The newest lines; older ones at the API and the command line."""
    page_header("audit.title", "audit.sentence", number=SHOWN)
    await page.live(_draw, audit_lines, on=(CONTROL,))


def audit_lines(here: Installation) -> tuple[AuditEntry, ...]:
    """The newest first."""
    return Audit(here.control).latest(SHOWN)


def _draw(lines: tuple[AuditEntry, ...]) -> None:
    if not lines:
        empty_state("audit.none", "audit.none-sentence", "fact_check")
        return
    table(
        lines,
        [
            Column("audit.when", lambda one: moment(one.at)),
            Column("audit.by", lambda one: tag("strong", one.by)),
            Column("audit.action", lambda one: tag("code", one.action, "sf-inline-code")),
            Column("audit.subject", lambda one: one.subject, "sf-break"),
            Column("audit.outcome", _outcome),
            Column("audit.from", lambda one: tag("span", f"{one.source} · {one.address}", "sf-quiet")),
        ],
        caption="audit.title",
        filtered=True,
    )


def _outcome(one: AuditEntry) -> object:
    if one.outcome == DONE:
        return chip(DONE, say("audit.done"), Mood.GOOD)
    return chip("refused", one.outcome, Mood.BAD)
