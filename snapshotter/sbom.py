"""What a snapshot is made of, as a CycloneDX document: packages, plugins, engine, Python and named models."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

from snapshotter.manifest import Component, Snapshot
from snapshotter.objects import Store

if TYPE_CHECKING:
    from cyclonedx.model.component import Component as Part
    from packageurl import PackageURL

_NAMESPACE = uuid.UUID("9d4a5d0e-0f0c-5f7e-9a43-5a3b3f6f2c11")
_GITHUB = re.compile(r"(?:^|[/@])(?:www\.)?github\.com[:/](?P<owner>[^/]+)/(?P<name>[^/]+?)(?:\.git)?/?$")


def sbom(store: Store, snapshot: Snapshot) -> str:
    """The SBOM of a snapshot as CycloneDX 1.6 JSON; the same snapshot always gives the same text.

    Packages are read from the frozen bytes where the manifest does not list them. Raises ObjectMissing,
    ObjectDamaged, TreeMalformed.
    """
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    whole = Part(
        name=snapshot.project,
        version=f"{snapshot.number}-{snapshot.short_id}",
        type=ComponentType.APPLICATION,
        bom_ref=f"snapshot:{snapshot.id}",
        properties=_properties({"snapshot": snapshot.id, "workstation": snapshot.workstation}),
    )
    bom = Bom(
        components=_parts(store, snapshot),
        serial_number=uuid.uuid5(_NAMESPACE, f"{snapshot.id} {snapshot.project} {snapshot.number}"),
        metadata=BomMetaData(component=whole, timestamp=snapshot.created_at),
    )
    bom.register_dependency(whole, bom.components)
    text: str = JsonV1Dot6(bom).output_as_string(indent=1)
    return text + "\n"


def _parts(store: Store, snapshot: Snapshot) -> Iterator[Part]:
    for component in snapshot.components:
        if component.kind == "engine":
            yield _engine(component)
        elif component.kind == "plugin":
            yield _plugin(component)
        elif component.kind in ("dependencies", "base"):
            for package in _packages(store, component):
                yield _package(component, package)
    yield from _python(snapshot)
    for model in snapshot.facts.get("models", ()):
        yield _model(model)


def _engine(component: Component) -> Part:
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType

    facts = component.facts
    commit, version = facts.get("commit"), facts.get("version")
    return Part(
        name=str(facts.get("kind") or component.name),
        version=_text(version or commit),
        type=ComponentType.APPLICATION,
        bom_ref=component.name,
        properties=_properties({"component": component.name, "tree": component.tree, "commit": commit}),
    )


def _plugin(component: Component) -> Part:
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType

    facts = component.facts
    remote, commit = _public(_text(facts.get("remote"))), _text(facts.get("commit"))
    name = str(facts.get("name") or component.name.rpartition("/")[2])
    version = _text(facts.get("version")) or commit
    about = {
        "component": component.name,
        "tree": component.tree,
        "commit": commit,
        "branch": facts.get("branch"),
        "local-edits": facts.get("local_edits"),
        "enabled": facts.get("enabled"),
    }
    return Part(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=component.name,
        purl=_plugin_purl(name, version, remote, commit),
        external_references=_checkout(remote, commit),
        properties=_properties(about),
    )


def _plugin_purl(name: str, version: str | None, remote: str | None, commit: str | None) -> PackageURL | None:
    from packageurl import PackageURL

    if not remote:
        return None
    match = _GITHUB.search(remote)
    if match:
        return PackageURL("github", match["owner"].lower(), match["name"].lower(), commit or version)
    at = f"git+{remote}" + (f"@{commit}" if commit else "")
    return PackageURL("generic", None, name, commit or version, {"vcs_url": at})


def _checkout(remote: str | None, commit: str | None) -> Iterator[Any]:
    from cyclonedx.model import ExternalReference, ExternalReferenceType, XsUri

    if remote:
        comment = f"commit {commit}" if commit else None
        yield ExternalReference(type=ExternalReferenceType.VCS, url=XsUri(remote), comment=comment)


def _packages(store: Store, component: Component) -> list[dict[str, Any]]:
    listed = component.facts.get("packages")
    if listed is None:
        from snapshotter.describe.packages import frozen_packages

        return [dict(package) for package in frozen_packages(store, component.tree)]
    return list(listed)


def _package(component: Component, package: Mapping[str, Any]) -> Part:
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    name, version = str(package["name"]), str(package["version"])
    about = {"component": component.name, "record-blake3": package.get("record") or None}
    return Part(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"{component.name}:{name}@{version}",
        purl=PackageURL("pypi", None, name, version),
        properties=_properties(about),
    )


def _python(snapshot: Snapshot) -> Iterator[Part]:
    """The interpreter: as the base states it, else as the machine that froze had it."""
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType

    base = next((part for part in snapshot.components if part.kind == "base"), None)
    machine = (snapshot.facts.get("machine") or {}).get("python") or {}
    stated = (base.facts.get("python") or {}) if base else {}
    version = _text(stated.get("version") or machine.get("version"))
    if version:
        about = {"implementation": machine.get("implementation"), "build": machine.get("build")}
        yield Part(
            name="python",
            version=version,
            type=ComponentType.PLATFORM,
            bom_ref=f"python@{version}",
            properties=_properties(about if version == machine.get("version") else {}),
        )


def _model(model: Mapping[str, Any]) -> Part:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component as Part
    from cyclonedx.model.component import ComponentType

    kind, name = str(model.get("kind", "")), str(model["name"])
    digest = re.fullmatch(r"blake3:([0-9a-f]{64})", str(model.get("digest")))
    about = {
        "kind": kind,
        "size-bytes": model.get("size_bytes"),
        "workflows": ", ".join(model.get("workflows", ())),
    }
    return Part(
        name=name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{kind}/{name}",
        hashes=[HashType(alg=HashAlgorithm.BLAKE3, content=digest[1])] if digest else [],
        properties=_properties(about),
    )


def _properties(values: Mapping[str, Any]) -> list[Any]:
    from cyclonedx.model import Property

    shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
    return [
        Property(name=f"stillframe:{name}", value=str(value))
        for name, value in shown.items()
        if value not in (None, "")
    ]


def _text(value: object) -> str | None:
    return str(value) if value not in (None, "") else None


def _public(remote: str | None) -> str | None:
    """A repository's address without who may read it."""
    if remote is None or "://" not in remote:
        return remote and quote(remote, safe="/:@~+")
    parts = urlsplit(quote(remote, safe="/:@~+?#&=%[]"))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
