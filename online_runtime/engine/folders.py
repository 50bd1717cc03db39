"""Where the engine reads and writes: models, input, output, temp, user and custom_nodes.

Names come from outside (prompts, requests), so each is checked here: no name leaves its root.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .errors import FileMissing, ModelMissing, PathOutside, UnknownFolder

WEIGHTS = frozenset({".ckpt", ".pt", ".pt2", ".bin", ".pth", ".safetensors", ".pkl", ".sft"})

# ComfyUI's folder kinds: the folders below models/ that each searches, the first being the proper one.
_KINDS: dict[str, tuple[str, ...]] = {
    "checkpoints": ("checkpoints",),
    "configs": ("configs",),
    "loras": ("loras",),
    "vae": ("vae",),
    "text_encoders": ("text_encoders", "clip"),
    "diffusion_models": ("diffusion_models", "unet"),
    "clip_vision": ("clip_vision",),
    "style_models": ("style_models",),
    "embeddings": ("embeddings",),
    "diffusers": ("diffusers",),
    "vae_approx": ("vae_approx",),
    "controlnet": ("controlnet", "t2i_adapter"),
    "gligen": ("gligen",),
    "upscale_models": ("upscale_models",),
    "latent_upscale_models": ("latent_upscale_models",),
    "hypernetworks": ("hypernetworks",),
    "photomaker": ("photomaker",),
    "classifiers": ("classifiers",),
    "model_patches": ("model_patches",),
    "audio_encoders": ("audio_encoders",),
}
_EXTENSIONS: dict[str, frozenset[str]] = {
    "configs": frozenset({".yaml"}),
    "diffusers": frozenset({"folder"}),
    "classifiers": frozenset(),
}
_OLD_NAMES = {"unet": "diffusion_models", "clip": "text_encoders"}

FolderKind = tuple[list[str], set[str]]
FolderKinds = dict[str, FolderKind]


@dataclass(frozen=True)
class SavePath:
    """Where to save next: `folder / f"{stem}_{counter:05}_.png"`. `subfolder` is relative, with `/`."""

    folder: Path
    stem: str
    counter: int
    subfolder: str


@dataclass(frozen=True)
class Folders:
    """The folders of one engine. `kinds` is open: plugins add kinds and search paths to it."""

    base: Path
    models: Path
    input: Path
    output: Path
    temp: Path
    user: Path
    custom_nodes: Path
    kinds: FolderKinds = field(default_factory=dict, compare=False)

    @classmethod
    def below(
        cls,
        base: Path,
        *,
        models: Path | None = None,
        input: Path | None = None,
        output: Path | None = None,
        temp: Path | None = None,
        user: Path | None = None,
    ) -> Folders:
        """The folders of base directory `base`, each replaceable. Creates nothing."""
        base = base.absolute()
        weights = models or base / "models"
        custom_nodes = base / "custom_nodes"
        return cls(
            base=base,
            models=weights,
            input=input or base / "input",
            output=output or base / "output",
            temp=temp or base / "temp",
            user=user or base / "user",
            custom_nodes=custom_nodes,
            kinds=_comfyui_kinds(weights, custom_nodes),
        )

    def list(self, kind: str) -> list[str]:
        """Names of all files of `kind` below its folders, sorted, with `/`. Raises UnknownFolder."""
        roots, extensions = self._kind(kind)
        names = {name for root in roots for name in _names_below(Path(root), extensions)}
        return sorted(names, key=str.lower)

    def path(self, kind: str, name: str) -> Path:
        """The file `name` of `kind`. Raises ModelMissing, UnknownFolder, PathOutside."""
        roots, _ = self._kind(kind)
        parts = _plain_parts(name, where=f"models/{kind}")
        for root in roots:
            if (found := Path(root, *parts)).exists():
                return found
        raise ModelMissing(kind=kind, name=name, folder=Path(roots[0]) if roots else self.models / kind)

    def directory(self, type: str) -> Path | None:
        """The folder that `type` (input, output or temp) names in requests; None for another word."""
        return {"input": self.input, "output": self.output, "temp": self.temp}.get(type)

    def annotated(self, name: str, default: str = "input") -> Path:
        """The path of `x.png`, `x.png [temp]` and the like; it need not exist. Raises PathOutside."""
        plain, type = split_annotation(name)
        root = self.directory(type or default)
        if root is None:
            raise FileMissing(name=name, where=default)
        return inside(root, plain)

    def save_path(self, prefix: str, directory: Path, width: int = 0, height: int = 0) -> SavePath:
        """The next free counter for `prefix` (may hold a subfolder and %width%, %year% and so on) below
        `directory`; makes the folder. Raises PathOutside."""
        parts = _plain_parts(_filled(prefix, width, height), where=directory.name)
        subfolder, stem = "/".join(parts[:-1]), parts[-1]
        folder = inside(directory, subfolder)
        folder.mkdir(parents=True, exist_ok=True)
        return SavePath(folder=folder, stem=stem, counter=_next_counter(folder, stem), subfolder=subfolder)

    def _kind(self, kind: str) -> FolderKind:
        found = self.kinds.get(_OLD_NAMES.get(kind, kind))
        if found is None:
            raise UnknownFolder(kind=kind)
        return found


def inside(root: Path, name: str) -> Path:
    """`root / name`, when that stays below `root` also after links are followed. Raises PathOutside."""
    path = root.joinpath(*_plain_parts(name, where=root.name)) if name else root
    if not path.resolve().is_relative_to(root.resolve()):
        raise PathOutside(name=name, where=root.name)
    return path


def split_annotation(name: str) -> tuple[str, str | None]:
    """`"x.png [temp]"` as `("x.png", "temp")`; None when there is no annotation."""
    for type in ("input", "output", "temp"):
        if name.endswith(f"[{type}]"):
            return name[: -len(type) - 2].rstrip(), type
    return name, None


def current_kind(kind: str) -> str:
    """The present name of a kind that had another (`unet`, `clip`)."""
    return _OLD_NAMES.get(kind, kind)


_current: Folders | None = None


def current() -> Folders:
    """The folders of this process. RuntimeError before `use`."""
    if _current is None:
        raise RuntimeError("folders.use() was not called; the engine does it at its start")
    return _current


def use(folders: Folders) -> None:
    """Make `folders` those of this process. Once, at the start; tests may call it again."""
    global _current
    _current = folders


def _comfyui_kinds(models: Path, custom_nodes: Path) -> FolderKinds:
    kinds: FolderKinds = {
        kind: ([str(models / name) for name in names], set(_EXTENSIONS.get(kind, WEIGHTS)))
        for kind, names in _KINDS.items()
    }
    kinds["custom_nodes"] = ([str(custom_nodes)], set())
    return kinds


def _names_below(root: Path, extensions: set[str]) -> Iterator[str]:
    if "folder" in extensions:
        yield from _diffusers_folders(root)
        return
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [n for n in folders if not n.startswith(".") and not _leads_back(Path(folder, n))]
        for name in files:
            if not extensions or Path(name).suffix.lower() in extensions:
                yield Path(folder, name).relative_to(root).as_posix()


def _leads_back(path: Path) -> bool:
    """Whether a link points to a folder that holds it: following it would never end."""
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def _diffusers_folders(root: Path) -> Iterator[str]:
    for index in sorted(root.glob("**/model_index.json")):
        yield index.parent.relative_to(root).as_posix()


def _plain_parts(name: str, where: str) -> list[str]:
    """The parts of a relative name. Raises PathOutside for anything that could climb or be absolute."""
    slashed = name.replace("\\", "/")
    parts = [part for part in slashed.split("/") if part not in ("", ".")]
    if slashed.startswith("/") or ".." in parts or "\0" in name or not parts or Path(slashed).drive:
        raise PathOutside(name=name, where=where)
    return parts


def _filled(prefix: str, width: int, height: int) -> str:
    now = time.localtime()
    values = {
        "%width%": str(width),
        "%height%": str(height),
        "%year%": f"{now.tm_year:04}",
        "%month%": f"{now.tm_mon:02}",
        "%day%": f"{now.tm_mday:02}",
        "%hour%": f"{now.tm_hour:02}",
        "%minute%": f"{now.tm_min:02}",
        "%second%": f"{now.tm_sec:02}",
    }
    for name, value in values.items():
        prefix = prefix.replace(name, value)
    return prefix


def _next_counter(folder: Path, stem: str) -> int:
    """One more than the largest N of `STEM_N_...`; scanned, because other engines may write here too."""
    taken = 0
    for entry in os.scandir(folder):
        if entry.name.startswith(f"{stem}_"):
            digits = entry.name[len(stem) + 1 :].split("_")[0].split(".")[0]
            taken = max(taken, int(digits) if digits.isdecimal() else 0)
    return taken + 1
