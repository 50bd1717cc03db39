"""Which engine a plugin needs, told before it is installed, from its sources alone.

A name counts where it stands in a node's class or in what that class calls within the plugin; at the top of
a file that is imported it concerns the whole plugin. Sources can hide what they use (`getattr`, `exec`, what
other packages do): a verdict is a good guess with its evidence, not a proof.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from workstation.plugins.declared import plugin_sources
from workstation.plugins.surface import Presence, Surface
from workstation.plugins.uses import Definition, Source, Use, read_source

MAX_SOURCE_BYTES = 4 * 1024 * 1024  # a larger file is named as not read
_COMFYUI_BRINGS = (
    "torchvision",
    "torchaudio",
    "torchsde",
    "einops",
    "scipy",
    "kornia",
    "spandrel",
    "sentencepiece",
)
_GPU_PACKAGES = (b"triton", b"flash_attn", b"sageattention", b"xformers", b"bitsandbytes", b"CUDAExtension")


class EngineNeed(StrEnum):
    """What a plugin needs to work."""

    BUILTIN = "builtin"  # all of its nodes work with the builtin engine, as far as sources tell
    PARTLY = "builtin-partly"  # it loads; the nodes that are named do not work
    COMFYUI = "comfyui"  # it does not load with the builtin engine, or none of its nodes works


@dataclass(frozen=True)
class Evidence:
    """A use of something that the builtin engine does not have, and where it stands."""

    name: str
    presence: str
    file: str
    line: int


@dataclass(frozen=True)
class NodeNeed:
    """A node that does not work with the builtin engine."""

    node: str
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class PluginScan:
    """The verdict on a plugin's sources.

    `gpu` names packages that only work with a GPU, `assumed` those that ComfyUI brings, that the builtin
    engine does not need, and that the plugin does not require although it imports them.
    """

    verdict: EngineNeed
    nodes: int
    failing: tuple[NodeNeed, ...]
    at_import: tuple[Evidence, ...]
    gpu: tuple[str, ...]
    assumed: tuple[str, ...]
    unread: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if self.at_import:
            first = self.at_import[0]
            return f"It needs the comfyui engine: importing it uses {first.name} ({first.file}:{first.line})."
        if self.verdict is EngineNeed.COMFYUI:
            return f"It needs the comfyui engine: none of its {self.nodes} nodes works with the builtin one."
        if self.verdict is EngineNeed.PARTLY:
            share = f"{len(self.failing)} of {self.nodes} nodes"
            return f"The builtin engine loads it; {share} need the comfyui engine."
        if not self.nodes:
            return "The builtin engine loads it; no nodes stand in its sources by name."
        return (
            f"The builtin engine is enough: nothing in the sources of {self.nodes} nodes speaks against it."
        )


def scan_plugin(plugin: Path, surface: Surface) -> PluginScan:
    """Read the sources of `plugin`, a folder or a .py file. Nothing of it is run. Raises OSError."""
    reader = _Pack(plugin, surface)
    at_import = reader.at_import()
    nodes = reader.nodes()
    failing = tuple(
        NodeNeed(name, found) for name, place in sorted(nodes.items()) if (found := reader.needs(place))
    )
    verdict = EngineNeed.BUILTIN
    if at_import or (nodes and len(failing) == len(nodes)):
        verdict = EngineNeed.COMFYUI
    elif failing:
        verdict = EngineNeed.PARTLY
    return PluginScan(verdict, len(nodes), failing, at_import, reader.gpu, reader.assumed, reader.unread)


_Place = tuple[str, str]  # module of the plugin, definition in it


class _Pack:
    """All sources of one plugin."""

    def __init__(self, plugin: Path, surface: Surface) -> None:
        self._surface = surface
        self._sources: dict[str, Source] = {}
        self._files: dict[str, str] = {}
        unread, gpu, assumed = [], set[str](), set[str]()
        root = plugin if plugin.is_dir() else plugin.parent
        for file in plugin_sources(plugin):
            shown = file.relative_to(root).as_posix()
            data = file.read_bytes() if file.stat().st_size <= MAX_SOURCE_BYTES else b""
            module = _module(Path(shown))
            try:
                self._sources[module] = read_source(data, shown)
            except (SyntaxError, ValueError, RecursionError):
                unread.append(shown)
            self._files[module] = shown
            gpu.update(name.decode() for name in _GPU_PACKAGES if b"import " + name in data)
            assumed.update(name for name in _COMFYUI_BRINGS if _imports(data, name))
        self.unread = tuple(unread)
        self.assumed = tuple(sorted(assumed - _required(root)))
        self.gpu = tuple(sorted(gpu))
        self._entry = "" if plugin.is_dir() else plugin.stem
        self._own = {
            use.name
            for source in self._sources.values()
            for definition in source.definitions.values()
            for use in definition.uses
            if use.stored
        }

    def at_import(self) -> tuple[Evidence, ...]:
        """What fails as soon as the plugin is imported."""
        found: list[Evidence] = []
        for module in self._loaded_first():
            top = self._sources[module].definitions[""]
            found += self._evidence(module, top.uses)
        return _once(found)

    def nodes(self) -> dict[str, _Place]:
        """Each node's name, and where its class stands; the first place counts."""
        found: dict[str, _Place] = {}
        for module, source in self._sources.items():
            for key, class_name in source.mapped:
                place = self._find(module, class_name) or self._anywhere(class_name)
                if place is not None:
                    found.setdefault(self._shown(module, key, place), place)
            for name, definition in source.definitions.items():
                if definition.node_id:
                    found.setdefault(definition.node_id, (module, name))
        return found

    def needs(self, place: _Place) -> tuple[Evidence, ...]:
        """What the node at `place`, and what it calls within the plugin, need of ComfyUI."""
        seen: set[_Place] = set()
        todo, found = [place], list[Evidence]()
        while todo:
            module, name = current = todo.pop()
            if current in seen:
                continue
            seen.add(current)
            definition = self._sources[module].definitions[name]
            found += self._evidence(module, definition.uses)
            todo += [at for at in self._called(module, definition) if at is not None]
        return _once(found)

    def _called(self, module: str, definition: Definition) -> Iterator[_Place | None]:
        for reference in sorted(definition.references):
            yield self._find(module, reference)

    def _evidence(self, module: str, uses: Iterable[Use]) -> Iterator[Evidence]:
        for use in uses:
            if use.of_object:
                if use.name not in self._surface.methods:
                    yield Evidence(f"MODEL.{use.name}", Presence.ABSENT, self._files[module], use.line)
                continue
            if use.name in self._own or any(use.name.startswith(f"{own}.") for own in self._own):
                continue
            presence = self._surface.of(use.name)
            if presence is Presence.ABSENT or (presence is Presence.PLACEHOLDER and use.hard):
                yield Evidence(use.name, presence, self._files[module], use.line)

    def _loaded_first(self) -> list[str]:
        """The files that importing the plugin imports, by relative imports; all when it has no entry."""
        if self._entry not in self._sources:
            return list(self._sources)
        found: dict[str, None] = {}
        todo = [self._entry]
        while todo:
            module = todo.pop()
            if module in found or module not in self._sources:
                continue
            found[module] = None
            todo += [self._absolute(module, dots, name) for dots, name in self._sources[module].loaded]
        return list(found)

    def _find(self, module: str, name: str) -> _Place | None:
        """Where `name`, as used in `module`, is defined in the plugin."""
        for _ in range(8):  # re-exports through several __init__ files
            source = self._sources.get(module)
            if source is None:
                return None
            if name in source.definitions and name:
                return module, name
            if name not in source.imported:
                return None
            dots, target, name = source.imported[name]
            module = self._absolute(module, dots, target)
        return None

    def _anywhere(self, name: str) -> _Place | None:
        places = [(module, name) for module, source in self._sources.items() if name in source.definitions]
        return places[0] if len(places) == 1 and name else None

    def _absolute(self, module: str, dots: int, target: str) -> str:
        package = module.split(".") if module else []
        if self._files.get(module, "").endswith("__init__.py"):
            package = [*package, ""]
        base = package[: len(package) - dots] if dots <= len(package) else []
        return ".".join([*(part for part in base if part), *(part for part in target.split(".") if part)])

    def _shown(self, module: str, key: str, place: _Place) -> str:
        """A node's name; a key such as `Context.NAME` is looked up in the class."""
        attribute = key.rpartition(".")[2]
        return self._sources[place[0]].definitions[place[1]].constants.get(attribute, key)


def _imports(data: bytes, package: str) -> bool:
    name = package.encode()
    return any(sign + name in data for sign in (b"\nimport ", b"\nfrom ")) or data.startswith(
        b"import " + name
    )


def _required(root: Path) -> set[str]:
    """The packages of the plugin's requirements.txt."""
    file = root / "requirements.txt"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    return {re.split(r"[^\w.-]", line.strip(), maxsplit=1)[0].lower() for line in lines}


def _module(relative: Path) -> str:
    parts = relative.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _once(found: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """One evidence a name, the first place of each."""
    return tuple({one.name: one for one in reversed(list(found))}.values())[::-1]
