"""The models that workflows name, with what is known of their files. No byte of a model is read.

Workflows come in two forms: what engines run (API format: inputs have names), and what the editor saves (the
values of a node's widgets in a row, without names). Of the second only texts that look like weights count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workstation.errors import WorkflowError
from workstation.layout import Home, Workstation
from workstation.models import KINDS, ModelFile, find_model, known_digest
from workstation.stamps import Remembered
from workstation.workflows import parse_workflow

MAX_WORKFLOW_BYTES = 32 * 1024 * 1024  # a saved workflow of this size is no graph but its pictures
SMOKE = "(the service's smoke workflow)"
_WEIGHTS = (".safetensors", ".sft", ".ckpt", ".pt", ".pt2", ".pth", ".bin", ".gguf", ".pkl", ".onnx")
# Which folder an editor's node means; a node that is not here is asked for its file's name in every folder.
_KIND_OF_NODE: Mapping[str, str] = {
    "CheckpointLoaderSimple": "checkpoints",
    "CheckpointLoader": "checkpoints",
    "ImageOnlyCheckpointLoader": "checkpoints",
    "unCLIPCheckpointLoader": "checkpoints",
    "LoraLoader": "loras",
    "LoraLoaderModelOnly": "loras",
    "VAELoader": "vae",
    "ControlNetLoader": "controlnet",
    "DiffControlNetLoader": "controlnet",
    "UNETLoader": "diffusion_models",
    "CLIPLoader": "text_encoders",
    "DualCLIPLoader": "text_encoders",
    "TripleCLIPLoader": "text_encoders",
    "QuadrupleCLIPLoader": "text_encoders",
    "CLIPVisionLoader": "clip_vision",
    "StyleModelLoader": "style_models",
    "UpscaleModelLoader": "upscale_models",
    "LatentUpscaleModelLoader": "latent_upscale_models",
    "ModelPatchLoader": "model_patches",
    "GLIGENLoader": "gligen",
    "HypernetworkLoader": "hypernetworks",
    "PhotoMakerLoader": "photomaker",
    "AudioEncoderLoader": "audio_encoders",
}
UNKNOWN_KIND = "unknown"


def named_models(
    home: Home,
    workstation: Workstation,
    smoke: Mapping[str, Any] | None = None,
    known: Remembered | None = None,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The models that the saved workflows and `smoke` name, ready for a manifest, and what could not be read.

    Each has kind, name, the workflows that name it, and size, mtime and digest of its file; these are None
    when it is missing or its digest was not computed yet. Raises OSError.
    """
    using: dict[tuple[str, str], set[str]] = {}
    problems: list[str] = []
    for path in _saved(workstation.workflows):
        title = path.relative_to(workstation.workflows).as_posix()
        try:
            for kind, name in _names_in(path, known):
                using.setdefault(_settled(home, kind, name), set()).add(title)
        except (WorkflowError, ValueError, RecursionError) as error:
            problems.append(f"Workflow {title} was not read for its models: {error}")
    if smoke is not None:
        for kind, name in _of_document(dict(smoke)):
            using.setdefault(_settled(home, kind, name), set()).add(SMOKE)
    return [_described(home, *key, titles) for key, titles in sorted(using.items())], problems


def _saved(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(files) if name.endswith(".json") and name[0] != ".")


def _names_in(path: Path, known: Remembered | None) -> list[tuple[str, str]]:
    facts = path.stat()
    remembered = known.recall(path, facts) if known else None
    if remembered is not None:
        return [(kind, name) for kind, name in remembered]
    if facts.st_size > MAX_WORKFLOW_BYTES:
        raise ValueError(f"it has {facts.st_size} bytes")
    names = sorted(set(_of_document(json.loads(path.read_bytes()))))
    if known:
        known.keep(path, facts, names)
    return names


def _of_document(document: Any) -> Iterator[tuple[str, str]]:
    if isinstance(document, dict) and isinstance(document.get("nodes"), list):
        yield from _of_editor(document)
    else:
        yield from parse_workflow(json.dumps(document)).model_names()


def _of_editor(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    graphs = [document]
    definitions = document.get("definitions")
    if isinstance(definitions, dict):
        graphs += [graph for graph in definitions.get("subgraphs") or () if isinstance(graph, dict)]
    for graph in graphs:
        for node in graph.get("nodes") or ():
            if isinstance(node, dict):
                yield from _of_node(node)


def _of_node(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Templates state folder and name; elsewhere the node's class says which folder its texts are in."""
    stated: dict[str, str] = {}
    properties = node.get("properties")
    for model in (properties.get("models") if isinstance(properties, dict) else None) or ():
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            stated[model["name"]] = str(model.get("directory") or UNKNOWN_KIND)
    kind = _KIND_OF_NODE.get(str(node.get("type")), UNKNOWN_KIND)
    values = node.get("widgets_values")
    for value in values.values() if isinstance(values, dict) else values or ():
        if isinstance(value, str) and "\n" not in value and value.lower().endswith(_WEIGHTS):
            name = value.replace("\\", "/")
            yield stated.pop(name.rpartition("/")[2], kind), name
    yield from ((kind, name) for name, kind in stated.items())


def _settled(home: Home, kind: str, name: str) -> tuple[str, str]:
    """A name whose folder nobody stated belongs where a file of that name lies."""
    if kind != UNKNOWN_KIND:
        return kind, name
    return next((found for found in KINDS if find_model(home, found, name)), UNKNOWN_KIND), name


def _described(home: Home, kind: str, name: str, titles: set[str]) -> dict[str, Any]:
    file = find_model(home, kind, name)
    return {
        "kind": kind,
        "name": name,
        "workflows": sorted(titles),
        "size_bytes": file.size_bytes if file else None,
        "modified_at": file.modified_at.isoformat() if file else None,
        "digest": _digest(home, file),
    }


def _digest(home: Home, file: ModelFile | None) -> str | None:
    if file is None or not file.path.is_file():
        return None
    found = known_digest(home, file.path)
    return None if found is None else f"blake3:{found}"
