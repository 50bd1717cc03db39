"""What an installation would change, told before anything is changed.

The dry run is uv's own, on a copy of the metadata alone: exact, and a fraction of a second even over torch.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import parse_wheel_filename

from workstation.bases import Base
from workstation.dependencies.environment import is_layered, site_packages_of
from workstation.dependencies.errors import (
    DependencyConflict,
    EnvironmentNotMade,
    ProtectedChange,
    RequirementsDoNotResolve,
)
from workstation.dependencies.installer import run_uv
from workstation.dependencies.inventory import (
    Distribution,
    normalise,
    read_distributions,
    visible_distributions,
)
from workstation.dependencies.requirements import Requirements, given_requirements, read_requirements
from workstation.layout import Project

# What a plugin may not replace without being asked: other plugins and the engine are compiled against these.
PROTECTED = re.compile(
    r"torch|torchvision|torchaudio|torchsde|xformers|triton|flash-attn|numpy|nvidia-.+|cuda-.+|diffusers|transformers"
)
_CHANGE = re.compile(r" ([+\-~]) ([A-Za-z0-9][\w.\-]*)(?:==(\S+))?(?: @ (\S+))?(?: \(from (.+)\))?")


@dataclass(frozen=True)
class Change:
    """One package that gets another version. `in_base`: the base's stays, hidden by the workstation's own."""

    name: str
    old: str
    new: str
    in_base: bool

    def __str__(self) -> str:
        return f"{self.name} {self.old} by {self.new}"


@dataclass(frozen=True)
class Conflict:
    """After the plan, `needed_by` would not find what it requires."""

    needed_by: str
    needed_by_version: str
    requirement: str
    found: str | None  # the version that would be there; None: nothing

    def __str__(self) -> str:
        found = f"{self.found} would be there" if self.found else "nothing would be there"
        return f"{self.needed_by} {self.needed_by_version} requires {self.requirement}, but {found}"


@dataclass(frozen=True)
class Plan:
    """What installing `requirements` would do. `pins` is what is to be installed, exactly; may be empty."""

    requirements: tuple[str, ...]
    pins: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[Change, ...] = ()
    removed: Mapping[str, str] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def protected_changes(self) -> tuple[Change, ...]:
        """The changes of packages that everything else relies on."""
        return tuple(change for change in self.changed if PROTECTED.fullmatch(change.name))

    @property
    def is_empty(self) -> bool:
        """Whether everything required is installed already."""
        return not self.pins and not self.removed

    def check(self, accept: Iterable[str] = ()) -> None:
        """Raise ProtectedChange or DependencyConflict for what `accept` (package names) does not cover."""
        accepted = {normalise(name) for name in accept}
        refused = [change for change in self.protected_changes if change.name not in accepted]
        if refused:
            raise ProtectedChange([str(change) for change in refused], [change.name for change in refused])
        broken = [conflict for conflict in self.conflicts if conflict.needed_by not in accepted]
        if broken:
            raise DependencyConflict([str(c) for c in broken], sorted({c.needed_by for c in broken}))


def plan(
    project: Project, base: Base, requirements: Sequence[str] | Path, *, upgrade: Sequence[str] = ()
) -> Plan:
    """What installing these requirements (lines, or a requirements file) would change; changes nothing.

    Raises RequirementsDoNotResolve with uv's reason, or RequirementsUnreadable.
    """
    if isinstance(requirements, Path):
        wanted = read_requirements(requirements)
    else:
        wanted = given_requirements(tuple(requirements))
    if not wanted.lines:
        return Plan(())
    own, under = installed_layers(project, base)
    changes = _dry_run(base, {**under, **own}, wanted, upgrade)
    return _plan(wanted, changes, own, under, base.python_version)


def plan_removal(project: Project, base: Base, names: Sequence[str]) -> Plan:
    """What removing packages of the workstation's own environment would leave; changes nothing."""
    own, under = installed_layers(project, base)
    gone = {normalise(name) for name in names}
    after = {**under, **{name: d for name, d in own.items() if name not in gone}}
    before = {**under, **own}
    removed = {name: own[name].version for name in sorted(gone & own.keys())}
    versions = {name: d.version for name, d in after.items()}
    conflicts = _new_conflicts(before, after, versions, base.python_version)
    return Plan(tuple(names), removed=removed, conflicts=conflicts)


def installed_layers(project: Project, base: Base) -> tuple[dict[str, Distribution], dict[str, Distribution]]:
    """The workstation's own distributions and those of its base (none for an isolated environment)."""
    venv = project.workstation.venv
    own = read_distributions(site_packages_of(venv))
    return own, visible_distributions(base.site_packages) if is_layered(venv) else {}


@dataclass(frozen=True)
class _Line:
    sign: str
    name: str
    version: str
    url: str | None


def _dry_run(
    base: Base, installed: Mapping[str, Distribution], wanted: Requirements, upgrade: Sequence[str]
) -> list[_Line]:
    with tempfile.TemporaryDirectory(prefix="stillframe-plan-") as folder:
        scratch = Path(folder)
        venv = scratch / "venv"
        made = run_uv("venv", "--no-project", "--python", str(base.python), str(venv))
        if not made.ok:
            raise EnvironmentNotMade(venv, made.reason)
        _mirror(installed.values(), site_packages_of(venv))
        (scratch / "requirements.txt").write_text("\n".join(wanted.lines) + "\n", encoding="utf-8")
        (scratch / "constraints.txt").write_text("\n".join(wanted.constraints) + "\n", encoding="utf-8")
        done = run_uv(
            *("pip", "install", "--dry-run", "--python", str(venv / "bin" / "python")),
            *("--requirements", str(scratch / "requirements.txt")),
            *("--constraints", str(scratch / "constraints.txt")),
            *(word for name in upgrade for word in ("--upgrade-package", name)),
            *wanted.options,
        )
        if not done.ok:
            raise RequirementsDoNotResolve(wanted.lines, done.reason.replace(folder, "").strip())
        return [line for line in map(_parse, done.output.splitlines()) if line]


def _mirror(distributions: Iterable[Distribution], site_packages: Path) -> None:
    """Metadata alone, by links: uv then believes that everything is installed."""
    for distribution in distributions:
        info = site_packages / distribution.info.name
        info.mkdir()
        for entry in os.scandir(distribution.info):
            if entry.is_file() and entry.name != "RECORD":
                (info / entry.name).symlink_to(entry.path)
        (info / "RECORD").touch()


def _parse(text: str) -> _Line | None:
    found = _CHANGE.fullmatch(text)
    if found is None:
        return None
    sign, name, version, at, source = found.groups()
    url = at or source
    if version is None:
        version = _version_of(url or "")
    return _Line(sign, normalise(name), version, url)


def _version_of(url: str) -> str:
    file = url.rpartition("/")[2].partition("#")[0]
    return str(parse_wheel_filename(file)[1]) if file.endswith(".whl") else url


def _plan(
    wanted: Requirements,
    lines: Sequence[_Line],
    own: Mapping[str, Distribution],
    under: Mapping[str, Distribution],
    python_version: str,
) -> Plan:
    before = {**under, **own}
    new = {line.name: line for line in lines if line.sign in "+~"}
    gone = {line.name for line in lines if line.sign == "-"} - new.keys()
    versions = {name: d.version for name, d in before.items() if name not in gone}
    versions.update({name: line.version for name, line in new.items()})
    staying = {name: d for name, d in before.items() if name not in gone and name not in new}
    return Plan(
        requirements=wanted.lines,
        pins=tuple(_pin(line) for line in new.values()),
        added={name: line.version for name, line in sorted(new.items()) if name not in before},
        changed=tuple(
            Change(name, before[name].version, line.version, in_base=name not in own)
            for name, line in sorted(new.items())
            if name in before
        ),
        removed={name: own[name].version for name in sorted(gone) if name in own},
        conflicts=_new_conflicts(before, staying, versions, python_version),
        options=wanted.options,
    )


def _pin(line: _Line) -> str:
    return f"{line.name} @ {line.url}" if line.url else f"{line.name}=={line.version}"


def _new_conflicts(
    before: Mapping[str, Distribution],
    staying: Mapping[str, Distribution],
    versions: Mapping[str, str],
    python_version: str,
) -> tuple[Conflict, ...]:
    """Conflicts that the plan makes; what was broken before is not the plan's fault."""
    old = {name: d.version for name, d in before.items()}
    return tuple(
        conflict
        for distribution in staying.values()
        for conflict in _conflicts(distribution, versions, python_version)
        if conflict not in _conflicts(distribution, old, python_version)
    )


def _conflicts(
    distribution: Distribution, versions: Mapping[str, str], python_version: str
) -> list[Conflict]:
    found = []
    for requirement in _requires(distribution, python_version):
        version = versions.get(normalise(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            found.append(Conflict(distribution.name, distribution.version, str(requirement), version))
    return found


def _requires(distribution: Distribution, python_version: str) -> list[Requirement]:
    """The requirements that hold on this machine under that Python, without extras."""
    environment = {
        "extra": "",
        "python_version": ".".join(python_version.split(".")[:2]),
        "python_full_version": python_version,
    }
    requires = []
    text = (distribution.info / "METADATA").read_text(encoding="utf-8", errors="replace")
    for line in text.partition("\n\n")[0].splitlines():
        if line.startswith("Requires-Dist:"):
            try:
                requirement = Requirement(line.partition(":")[2].strip())
            except InvalidRequirement:
                continue  # old metadata that no tool understands promises nothing that could be broken
            if requirement.marker is None or requirement.marker.evaluate(environment):
                requires.append(requirement)
    return requires
