"""The REST API to read: every call with its role and its fields. Nothing comes from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from web.pages.console.page import Page, console_page, say
from web.pages.parts.code import code_block
from web.pages.parts.headings import page_header
from web.pages.parts.markup import link, tag
from web.signin.rights import right_for

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Call:
    """One call of the API as its description has it."""

    method: str
    path: str
    summary: str
    parameters: tuple[tuple[str, str, str], ...]  # name, where, what for
    body: Any  # an example; None when it takes none
    role: str


@console_page("/docs", title="docs.title")
async def docs(page: Page) -> None:
    """All calls by noun, each folded away."""
    with page_header("docs.title", "docs.sentence"):
        link(say("docs.openapi"), "/openapi.json")
    code_block(f"curl -H 'Authorization: Bearer KEY' {page.client.request.base_url}api/v1/projects")
    described = page.console.describe()
    for noun in sorted({noun for noun, _ in calls(described)}):
        with tag("section", "", "sf-section"):
            tag("h2", noun.capitalize())
            with tag("div", "", "sf-card sf-calls"):
                for one in (call for of, call in calls(described) if of == noun):
                    _draw(one)


def calls(described: Mapping[str, Any]) -> Iterator[tuple[str, Call]]:
    """Noun and call, for each of an OpenAPI description."""
    for path, methods in described["paths"].items():
        for method in filter(methods.__contains__, METHODS):
            spec = methods[method]
            parameters = tuple(
                (one["name"], one["in"], one.get("description", "")) for one in spec.get("parameters", ())
            )
            body = _example(described, spec) if "requestBody" in spec else None
            right = right_for(method.upper(), path)
            summary = spec.get("description", spec.get("summary", "")).split("\n")[0]
            call = Call(method.upper(), path, summary, parameters, body, right.role)
            yield (spec.get("tags") or ["other"])[0], call


def _example(described: Mapping[str, Any], spec: Mapping[str, Any]) -> Any:
    content = next(iter(spec["requestBody"]["content"].values()))
    schema = _resolved(described, content.get("schema", {}))
    examples = schema.get("examples") or ()
    return (
        examples[0] if examples else {name: _kind(one) for name, one in schema.get("properties", {}).items()}
    )


def _resolved(described: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    schema = options[0] if options else schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found: Mapping[str, Any] = described["components"]["schemas"][name] if name else schema
    return found


def _kind(schema: Mapping[str, Any]) -> Any:
    kinds = {"string": "…", "integer": 0, "number": 0.0, "boolean": False, "array": [], "object": {}}
    return schema.get("default", kinds.get(str(schema.get("type"))))


def _draw(one: Call) -> None:
    with tag("details", "", "sf-call"):
        with tag("summary"):
            tag("code", one.method, f"sf-method sf-method-{one.method.lower()}")
            tag("code", one.path, "sf-inline-code")
            tag("span", one.summary, "sf-quiet")
        with tag("div", "", "sf-stack sf-call-body"):
            tag("p", say("docs.needs", role=say(f"role.{one.role}")))
            for name, where, purpose in one.parameters:
                with tag("div", "", "sf-row"):
                    tag("code", name, "sf-inline-code")
                    tag("span", " · ".join(filter(None, (where, purpose))), "sf-quiet")
            if one.body is not None:
                code_block(json.dumps(one.body, indent=2, ensure_ascii=False))
