"""Models: the shared weights by kind and size, and which saved workflows name them."""

from __future__ import annotations

from dataclasses import dataclass

from web.installation import Installation
from web.pages.console.markers import MODELS
from web.pages.console.page import Page, console_page, say
from web.pages.parts.empty import empty_state
from web.pages.parts.headings import section
from web.pages.parts.markup import tag
from web.pages.parts.moments import moment, size_text
from web.pages.parts.table import Column, table
from web.pages.parts.workstation_head import workstation_head
from workstation.model_use import KindUse, kinds_in_use, used_by
from workstation.models import ModelFile, list_models


@dataclass(frozen=True)
class Weights:
    """Every model of the home. `users` are the saved workflows that name a model, by its place."""

    models: tuple[tuple[ModelFile, tuple[str, ...]], ...]
    kinds: tuple[KindUse, ...]


@console_page("/projects/{project}/workstation/models", title="models.title")
async def models(page: Page) -> None:
    """The kinds with what each is for, and the files."""
    workstation_head(page, "models.title", "models.sentence")
    await page.live(_draw, weights_of, on=(MODELS,))


def weights_of(here: Installation) -> Weights:
    """What lies in the models folder now."""
    found = list_models(here.home)
    users = used_by(here.home, found)
    return Weights(
        tuple((one, tuple(users.get((one.kind, one.name), ()))) for one in found),
        tuple(kinds_in_use(found)),
    )


def _draw(weights: Weights) -> None:
    if not weights.models:
        empty_state("models.none", "models.none-sentence", "category")
    else:
        columns = (
            Column[tuple[ModelFile, tuple[str, ...]]]("models.name", lambda one: one[0].name),
            Column[tuple[ModelFile, tuple[str, ...]]]("models.kind", lambda one: one[0].kind),
            Column[tuple[ModelFile, tuple[str, ...]]](
                "models.size", lambda one: size_text(one[0].size_bytes), "sf-right"
            ),
            Column[tuple[ModelFile, tuple[str, ...]]](
                "models.changed", lambda one: moment(one[0].modified_at)
            ),
            Column[tuple[ModelFile, tuple[str, ...]]]("models.used-by", lambda one: ", ".join(one[1])),
        )
        table(weights.models, columns, caption="models.title", filtered=True)
    with section("models.kinds"):
        kinds = (
            Column[KindUse]("models.kind", lambda one: tag("span", one.kind, "sf-mono")),
            Column[KindUse]("models.purpose", lambda one: one.purpose),
            Column[KindUse]("models.files", lambda one: one.models, "sf-right"),
            Column[KindUse]("models.size", lambda one: size_text(one.size_bytes), "sf-right"),
        )
        table(weights.kinds, kinds, caption="models.kinds")
    tag("p", say("models.how"), "sf-quiet sf-section")
