"""One snapshot: what it holds, what it brought, and what can be done with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nicegui.element import Element

from publisher.errors import ServiceNotFound
from snapshotter.describe.description import SnapshotDescription
from web.installation import Installation
from web.pages.console.acting import perform
from web.pages.console.markers import CONTROL, project_topic
from web.pages.console.page import Page, console_page, current_page, say
from web.pages.parts.button import action_button, go_button
from web.pages.parts.chip import chip
from web.pages.parts.code import code_block
from web.pages.parts.dialogs import confirmed
from web.pages.parts.difference import draw_difference
from web.pages.parts.headings import fact, facts, section
from web.pages.parts.markup import link, tag
from web.pages.parts.moments import moment, size_text
from web.pages.parts.restoring import preview_restore
from web.pages.parts.table import Column, table
from web.pages.parts.verified import verify_now
from web.pages.snapshots import share_text
from web.snapshots import described_snapshot, diff_snapshots, snapshot_id
from web.upkeep import delete_snapshot, needed_by

Facts = Mapping[str, Any]
SHOWN_EDITS = 8


@dataclass(frozen=True)
class Contents:
    """What one snapshot holds; it never changes. `brought` are the differences from its parent."""

    found: SnapshotDescription
    brought: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """What depends on a snapshot now. `needed` is who needs it, "" when nobody does."""

    project: str
    number: int
    serves: bool
    needed: str


@console_page("/projects/{project}/snapshots/{number:int}", title="snapshot.page")
async def snapshot(page: Page, number: int) -> None:
    """The head lives, the contents stand."""
    link(say("snapshot.all"), f"/projects/{page.project}/snapshots", "sf-link sf-back")
    contents = await page.read(contents_of, page.project, number)
    with tag("div", "", "sf-head"):
        tag("h1", say("snapshot.title", number=number))
        actions = tag("div", "", "sf-actions")
    await page.live(
        _draw_standing, standing_of, page.project, number, on=(CONTROL, project_topic(page.project))
    )
    result = tag("div", "", "sf-stack sf-result", aria_live="polite")
    with actions:
        _actions(page, number, result)
    _facts(contents.found)
    _brought(contents)
    _draw_parts(contents.found)
    _export(page.project, number)


def contents_of(here: Installation, project: str, number: int) -> Contents:
    """Raises SnapshotNotFound, ObjectMissing, ObjectDamaged, TreeMalformed."""
    found = described_snapshot(here, project, str(number))
    if found.parent is None:
        return Contents(found, ())
    lines = diff_snapshots(here, project, found.parent.folder_name, found.snapshot.folder_name).lines()
    return Contents(found, tuple(lines))


def standing_of(here: Installation, project: str, number: int) -> Standing:
    """Raises SnapshotNotFound, once it is deleted."""
    identity = snapshot_id(here, project, number)
    try:
        serving = here.publisher.service(project).serving
    except ServiceNotFound:
        return Standing(project, number, False, "")
    serves = serving is not None and serving.snapshot_id == identity
    return Standing(project, number, serves, needed_by(here, project).get(identity, ""))


def _draw_standing(standing: Standing) -> None:
    page = current_page()
    with tag("div", "", "sf-between"):
        with tag("div", "", "sf-row"):
            if standing.serves:
                chip("serving", say("deployment.serves"))
            tag(
                "span",
                say("snapshot.needed", reason=standing.needed) if standing.needed else say("snapshot.free"),
                "sf-quiet",
            )
        if page.may("snapshot.remove"):
            action_button(
                "snapshot.delete",
                lambda: _delete(page, standing.number),
                kind="quiet",
                icon="delete",
                enabled=not standing.needed,
                why_not="snapshot.delete-not",
            )


async def _delete(page: Page, number: int) -> None:
    if await confirmed("snapshot.delete-title", "snapshot.delete-sentence", number=number):
        done = await perform(
            "snapshot.remove",
            f"{page.project} {number}",
            lambda: delete_snapshot(page.here, page.project, str(number)),
        )
        if done is not None:
            page.client.open(f"/projects/{page.project}/snapshots")


def _actions(page: Page, number: int, result: Element) -> None:
    if page.may("snapshot.restore"):
        action_button(
            "snapshot.restore", lambda: preview_restore(page, result, number), kind="primary", icon="restore"
        )
    action_button(
        "snapshot.compare", lambda: draw_difference(page, result, str(number), None), icon="difference"
    )
    if page.may("snapshot.verify"):
        action_button("snapshot.verify", lambda: verify_now(page, result, number), icon="verified")
    go_button("deployment.json", f"/api/v1/projects/{page.project}/snapshots/{number}")


def _facts(found: SnapshotDescription) -> None:
    one = found.snapshot
    engine, base, by = found.facts("engine"), found.facts("base"), one.facts.get("frozen_by", {})
    with tag("div", "", "sf-card sf-section"), facts():
        with fact("snapshot.when"):
            moment(one.created_at)
        fact("snapshot.by", str(by.get("user", "–")))
        fact(
            "snapshot.size",
            say("snapshot.size-files", size=size_text(one.size_bytes), files=f"{one.files:,}"),
        )
        fact("snapshot.new", _new(found))
        words = (engine.get("kind"), engine.get("version"), (engine.get("commit") or "")[:12])
        fact("snapshot.engine", " ".join(str(word) for word in words if word) or "–")
        if base:
            python = base.get("python", {}).get("version") or "?"
            packages = len(base.get("packages", ()))
            fact("snapshot.base", say("snapshot.base-is", name=base["name"], python=python, number=packages))
        fact("snapshot.environment", str(one.facts.get("environment") or "–"))
        with fact("snapshot.id"):
            tag("span", one.id, "sf-mono")
    for problem in one.facts.get("problems", ()):
        tag("p", str(problem), "sf-box-problem")


def _new(found: SnapshotDescription) -> str:
    if found.parent is None or found.new_bytes is None:
        return say("snapshot.first")
    size, share = size_text(found.new_bytes), share_text(found.new_share or 0.0)
    return say("snapshot.new-is", size=size, share=share, number=found.parent.number)


def _brought(contents: Contents) -> None:
    parent = contents.found.parent
    if parent is not None:
        with section("snapshot.brought", number=parent.number):
            code_block("\n".join(contents.brought))


def _draw_parts(found: SnapshotDescription) -> None:
    plugins = [
        {"name": part.name.removeprefix("custom_nodes/"), **part.facts} for part in found.parts("plugin")
    ]
    _listed("snapshot.plugins", plugins, _PLUGIN)
    packages = found.facts("dependencies").get("packages", ())
    _listed("snapshot.packages", packages, _PACKAGE, filtered=len(packages) > 10)
    _listed("snapshot.models", found.models, _MODEL)
    _listed("snapshot.cache", found.facts("cache").get("entries", ()), _CACHE)
    parts = [vars(part) for part in found.snapshot.components]
    _listed("snapshot.components", parts, _PART)


def _listed(
    title: str, rows: Sequence[Facts], columns: Sequence[Column[Facts]], *, filtered: bool = False
) -> None:
    with section(title):
        if rows:
            table(rows, columns, caption=title, filtered=filtered)
        else:
            tag("p", say("snapshot.none"), "sf-quiet")


def _mono(text: str) -> None:
    tag("span", text or "–", "sf-mono")


def _edits(plugin: Facts) -> None:
    edited = plugin.get("edited_files", ())
    if not edited:
        tag("span", say("snapshot.no-edits" if "local_edits" in plugin else "snapshot.unknown"), "sf-quiet")
        return
    number = plugin.get("edits_total", len(edited))
    tag("strong", say("snapshot.edits", number=number))
    tag("div", ", ".join(edited[:SHOWN_EDITS]) + (" …" if number > SHOWN_EDITS else ""), "sf-quiet sf-detail")


def _from(plugin: Facts) -> str:
    return str(plugin.get("problem") or plugin.get("remote") or plugin.get("kind") or "–")


def _model_size(model: Facts) -> None:
    if model["size_bytes"] is None:
        chip("failed", say("snapshot.missing"))
    else:
        tag("span", size_text(model["size_bytes"]), "sf-number")


_PLUGIN = (
    Column[Facts]("snapshot.plugin", lambda one: one["name"]),
    Column[Facts]("snapshot.version", lambda one: str(one.get("version") or "–")),
    Column[Facts]("snapshot.commit", lambda one: _mono((one.get("commit") or "")[:12])),
    Column[Facts]("snapshot.branch", lambda one: str(one.get("branch") or "–")),
    Column[Facts]("snapshot.local", _edits),
    Column[Facts]("snapshot.from", _from, "sf-break"),
)
_PACKAGE = (
    Column[Facts]("snapshot.package", lambda one: one["name"]),
    Column[Facts]("snapshot.version", lambda one: one["version"]),
)
_MODEL = (
    Column[Facts]("snapshot.model", lambda one: f"{one['kind']}/{one['name']}", "sf-break"),
    Column[Facts]("snapshot.size", _model_size, "sf-right"),
    Column[Facts]("snapshot.digest", lambda one: _mono((one["digest"] or "").removeprefix("blake3:")[:12])),
    Column[Facts]("snapshot.named-in", lambda one: ", ".join(one["workflows"]), "sf-break"),
)
_CACHE = (
    Column[Facts]("snapshot.entry", lambda one: one.get("repository") or one["name"], "sf-break"),
    Column[Facts]("snapshot.revision", lambda one: _mono(", ".join(_short(one.get("revisions", {}))))),
    Column[Facts]("snapshot.files", lambda one: f"{one['files']:,}", "sf-right sf-number"),
    Column[Facts]("snapshot.size", lambda one: size_text(one["size_bytes"]), "sf-right sf-number"),
)
_PART = (
    Column[Facts]("snapshot.part", lambda one: one["name"], "sf-break"),
    Column[Facts]("snapshot.files", lambda one: f"{one['files']:,}", "sf-right sf-number"),
    Column[Facts]("snapshot.size", lambda one: size_text(one["size_bytes"]), "sf-right sf-number"),
    Column[Facts]("snapshot.tree", lambda one: _mono(one["tree"][:12])),
)


def _short(revisions: Mapping[str, str]) -> list[str]:
    return [revision[:12] for revision in revisions.values()]


def _export(project: str, number: int) -> None:
    file = f"{project}-{number}.stillframe"
    with section("snapshot.export"), tag("div", "", "sf-card sf-stack"):
        tag("p", say("snapshot.export-sentence"), "sf-quiet")
        code_block(shlex.join(["stillframe", "snapshot", "export", project, str(number), file]))
        tag("p", say("snapshot.import-sentence"), "sf-quiet")
        code_block(shlex.join(["stillframe", "snapshot", "import", project, file]))
