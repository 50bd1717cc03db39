"""What an engine sees: the snapshot where the workstation was, and a layer of its own for changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from online_runtime.instance.copied_view import build_copied_view
from online_runtime.instance.errors import BaseChanged, SpecUnreadable, ViewMissing
from online_runtime.instance.isolation import Isolation, IsolationKind
from online_runtime.instance.namespace_view import build_namespace_view
from online_runtime.instance.private_network import KINDS
from online_runtime.instance.privileges import give_up_mounting, keep_writing_own_files
from online_runtime.instance.spec import InstanceFolder, InstanceSpec
from workstation.bases import fingerprint
from workstation.layout import Workstation


def read_spec(folder: InstanceFolder) -> InstanceSpec:
    """The spec of this instance, checked. Raises SpecUnreadable or SpecTooNew."""
    try:
        spec = InstanceSpec.from_json(folder.spec.read_text())
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise SpecUnreadable(folder.spec, f"{type(error).__name__}: {error}") from error
    if spec.network not in KINDS:
        raise SpecUnreadable(folder.spec, f"{spec.network!r} is no kind of network")
    for path in (spec.workstation, spec.models, spec.input, *(mount.source for mount in spec.mounts)):
        _check_path(folder, path)
    for mount in spec.mounts:
        _check_path(folder, mount.place)
        place = Path(mount.place)
        if place != Path(spec.base_site_packages or "/") and not (
            place.is_relative_to(spec.workstation) and place != Path(spec.workstation)
        ):
            raise SpecUnreadable(folder.spec, f"{mount.place} is outside the workstation and the base")
    return spec


def check_sources(spec: InstanceSpec, isolation: Isolation) -> None:
    """All that the view is made of is here and is what was frozen. Raises ViewMissing or BaseChanged."""
    for mount in spec.mounts:
        if not Path(mount.source).exists():
            raise ViewMissing(mount.component, mount.source)
    if not Path(spec.models).is_dir():
        raise ViewMissing("models", spec.models)
    if spec.base_site_packages is None or spec.base_fingerprint is None:
        return
    covered = any(mount.place == spec.base_site_packages for mount in spec.mounts)
    if isolation.kind is IsolationKind.NAMESPACE and covered:
        return
    found = fingerprint(Path(spec.base_site_packages))
    if found != spec.base_fingerprint:
        raise BaseChanged(spec.base_site_packages, spec.base_fingerprint, found)


def build_view(
    spec: InstanceSpec,
    folder: InstanceFolder,
    isolation: Isolation,
    close_network: Callable[[], None] | None = None,
) -> Workstation:
    """Put this process in front of its snapshot; returns the workstation to start the engine from.

    The process must have one thread and be about to execute the engine. `close_network` is called in the
    namespace, while there still is the right to. Raises InstanceError.
    """
    if isolation.kind is IsolationKind.COPY:
        return build_copied_view(spec, folder)
    build_namespace_view(spec, folder, user_namespace=isolation.user_namespace)
    if close_network is not None:
        close_network()
    if os.geteuid() == 0:
        give_up_mounting()
    else:
        keep_writing_own_files()
    return Workstation(Path(spec.workstation))


def _check_path(folder: InstanceFolder, path: str) -> None:
    if not path.startswith("/") or path == "/" or ".." in Path(path).parts:
        raise SpecUnreadable(folder.spec, f"{path!r} is not an absolute path without '..'")
