"""The view by namespaces: the snapshot at the workstation's own path, and nothing else of the platform.

In the mount namespace of the coming engine, and nowhere else:

    HOME                      empty, read-only, in memory: no other project, no database, no token, no store
    the workstation's path    the instance's own layer, so that what the workstation gains later is not seen
    each component's place    an overlay: the frozen tree below, the instance's changes above
    the base's site-packages  the frozen tree, read-only
    models                    the shared folder, read-only, here and at its own path
    input, output             the service's shared input, this instance's output
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from online_runtime.instance import namespaces
from online_runtime.instance.errors import PlaceMissing
from online_runtime.instance.interpreter import interpreter_prefixes
from online_runtime.instance.layer import Layer, frozen_file, inside_workstation, make_places, make_scratch
from online_runtime.instance.spec import InstanceFolder, InstanceSpec, Mount
from workstation.layout import Home


@dataclass(frozen=True)
class _Bind:
    component: str
    source: Path
    place: Path
    read_only: bool = True


def build_namespace_view(spec: InstanceSpec, folder: InstanceFolder, *, user_namespace: bool) -> None:
    """Move this process into its view; what it executes next sees the snapshot.

    The process must have one thread. Raises ViewRefused when the kernel refuses a step, PlaceMissing when
    there is nothing to mount a component on.
    """
    layer, home = Layer(folder.root / "layer"), home_of(folder)
    make_scratch(spec, folder, layer)
    make_places(spec, layer)
    binds = _binds(spec, folder, home)
    overlays = [m for m in spec.mounts if inside_workstation(spec, m) and frozen_file(m) is None]
    hidden = {bind: home is not None and _inside(bind.place, home) for bind in binds}
    skeleton = _Bind("the workstation", layer.workstation, Path(spec.workstation), read_only=False)
    hidden[skeleton] = home is not None and _inside(skeleton.place, home)

    namespaces.enter(user_namespace=user_namespace)
    pins = namespaces.Pins()
    pinned = {bind: pins.pin(bind.source) for bind in hidden}
    layers = {m: [pins.pin(p) for p in (Path(m.source), layer.changes(m), layer.work(m))] for m in overlays}
    if home is not None:
        namespaces.cover(home)
    for bind in sorted(hidden, key=lambda bind: len(bind.place.parts)):
        _bind(bind, pinned[bind], hidden[bind])
        if bind is skeleton:
            _mount_overlays(layers, user_namespace)
    if home is not None:
        namespaces.make_read_only(home, with_what_is_below=False)
    pins.release()


def home_of(folder: InstanceFolder) -> Path | None:
    """The home folder that this instance's folder lies in.

    None when it lies elsewhere: then nothing can be hidden.
    """
    if len(folder.root.parts) < 5:
        return None
    home = Home(folder.root.parents[2])
    return home.root if home.instances == folder.root.parent and home.file.is_file() else None


def _binds(spec: InstanceSpec, folder: InstanceFolder, home: Path | None) -> list[_Bind]:
    """What is shown besides the overlays.

    An interpreter inside HOME would be hidden with it, so it is shown again.
    """
    workstation, models = Path(spec.workstation), Path(spec.models)
    prefixes = [] if home is None else [p for p in interpreter_prefixes(spec) if _inside(p, home)]
    return [
        *(_Bind("the interpreter", prefix, prefix) for prefix in prefixes),
        *(
            _Bind(m.component, Path(m.source), Path(m.place))
            for m in spec.mounts
            if not inside_workstation(spec, m)
        ),
        _Bind("models", models, models),
        _Bind("models", models, workstation / "models"),
        _Bind("input", Path(spec.input), workstation / "input", read_only=False),
        _Bind("output", folder.output, workstation / "output", read_only=False),
    ]


def _bind(bind: _Bind, source: Path, hidden: bool) -> None:
    if hidden:
        bind.place.mkdir(parents=True, exist_ok=True)
    if not bind.place.exists():
        raise PlaceMissing(bind.component, bind.place)
    namespaces.bind(source, bind.place, read_only=bind.read_only)


def _mount_overlays(layers: dict[Mount, list[Path]], user_namespace: bool) -> None:
    for mount in sorted(layers, key=lambda mount: len(Path(mount.place).parts)):
        lower, upper, work = layers[mount]
        namespaces.overlay(lower, upper, work, Path(mount.place), user_namespace=user_namespace)


def _inside(path: Path, home: Path) -> bool:
    """Whether `path` would be hidden with `home`. To be asked before it is hidden: links are followed."""
    return path.resolve().is_relative_to(home.resolve())
