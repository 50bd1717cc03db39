"""Workflows in API format: which nodes and which models they name. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from workstation.errors import EmptyWorkflow, NotJson, UiFormatWorkflow

# Inputs that name a model, and the folder the name is looked up in.
_KIND_OF_INPUT: Mapping[str, str] = {
    "ckpt_name": "checkpoints",
    "lora_name": "loras",
    "vae_name": "vae",
    "control_net_name": "controlnet",
    "unet_name": "diffusion_models",
    "clip_name": "text_encoders",
    "clip_name1": "text_encoders",
    "clip_name2": "text_encoders",
    "clip_name3": "text_encoders",
    "clip_name4": "text_encoders",
    "style_model_name": "style_models",
    "gligen_name": "gligen",
    "hypernetwork_name": "hypernetworks",
    "photomaker_model_name": "photomaker",
    "audio_encoder_name": "audio_encoders",
}
# The same input means another folder on these nodes.
_KIND_OF_NODE_INPUT: Mapping[tuple[str, str], str] = {
    ("CLIPVisionLoader", "clip_name"): "clip_vision",
    ("UpscaleModelLoader", "model_name"): "upscale_models",
    ("LatentUpscaleModelLoader", "model_name"): "latent_upscale_models",
    ("ModelPatchLoader", "name"): "model_patches",
    ("DiffusersLoader", "model_path"): "diffusers",
}
# Either folder will do.
_SAME_KIND: tuple[frozenset[str], ...] = (
    frozenset({"diffusion_models", "unet"}),
    frozenset({"text_encoders", "clip"}),
)
# Choices of VAELoader and others that are no files.
_NO_FILES = frozenset({"", "None", "none", "pixel_space", "taesd", "taesdxl", "taesd3", "taef1"})
_EMBEDDING = re.compile(r"\bembedding:([^\s,():]+)")


@dataclass(frozen=True)
class Node:
    """One node: its id in the workflow, its class and its literal or linked inputs."""

    id: str
    class_type: str
    inputs: Mapping[str, Any]


@dataclass(frozen=True)
class MissingModel:
    """A model that a workflow names and that is not there."""

    kind: str
    name: str
    nodes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"{self.name} is missing: put it into models/{self.kind}."


@dataclass(frozen=True)
class UnknownNode:
    """A node class that the engine does not have."""

    class_type: str
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class Workflow:
    """A workflow that an engine can run, as `POST /prompt` takes it."""

    nodes: tuple[Node, ...]
    prompt: Mapping[str, Any]

    def node_classes(self) -> frozenset[str]:
        """The node classes it uses."""
        return frozenset(node.class_type for node in self.nodes)

    def model_names(self) -> frozenset[tuple[str, str]]:
        """(kind, name) of each model that it names; embeddings are named without their extension."""
        return frozenset((kind, name) for kind, name, _ in self._named_models())

    def _named_models(self) -> Iterable[tuple[str, str, str]]:
        for node in self.nodes:
            for field, value in node.inputs.items():
                if not isinstance(value, str):
                    continue
                kind = _KIND_OF_NODE_INPUT.get((node.class_type, field)) or _KIND_OF_INPUT.get(field)
                if kind is not None and value not in _NO_FILES:
                    yield kind, value.replace("\\", "/"), node.id
                yield from (("embeddings", name, node.id) for name in _EMBEDDING.findall(value))


def parse_workflow(text: str | bytes) -> Workflow:
    """Read a workflow in API format. Raises NotJson, UiFormatWorkflow or EmptyWorkflow."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: bad JSON as well as bytes that are not UTF-8
        raise NotJson(str(error)) from error
    if isinstance(value, dict) and isinstance(value.get("prompt"), dict):
        value = value["prompt"]  # a whole body of POST /prompt
    if not isinstance(value, dict):
        raise EmptyWorkflow("it is a JSON list or value, not an object of nodes")
    if isinstance(value.get("nodes"), list):
        raise UiFormatWorkflow
    if not value:
        raise EmptyWorkflow("it has no nodes")
    return Workflow(tuple(_node(node_id, node) for node_id, node in value.items()), value)


def _node(node_id: str, value: Any) -> Node:
    if not isinstance(value, dict) or not isinstance(value.get("class_type"), str):
        raise EmptyWorkflow(f"entry {node_id!r} has no class_type")
    inputs = value.get("inputs", {})
    if not isinstance(inputs, dict):
        raise EmptyWorkflow(f"the inputs of node {node_id!r} are no object")
    return Node(node_id, value["class_type"], inputs)


def unknown_nodes(workflow: Workflow, object_info: Collection[str]) -> tuple[UnknownNode, ...]:
    """The node classes that `object_info` (an engine's GET /object_info) does not have, by name."""
    using: dict[str, list[str]] = {}
    for node in workflow.nodes:
        if node.class_type not in object_info:
            using.setdefault(node.class_type, []).append(node.id)
    return tuple(UnknownNode(name, tuple(ids)) for name, ids in sorted(using.items()))


def missing_models(workflow: Workflow, present: Mapping[str, Collection[str]]) -> tuple[MissingModel, ...]:
    """The models that are not among `present` (kind to names), each with the folder it belongs in."""
    using: dict[tuple[str, str], list[str]] = {}
    for kind, name, node_id in workflow._named_models():
        if not _is_present(kind, name, present):
            using.setdefault((kind, name), []).append(node_id)
    return tuple(MissingModel(kind, name, tuple(ids)) for (kind, name), ids in sorted(using.items()))


def _is_present(kind: str, name: str, present: Mapping[str, Collection[str]]) -> bool:
    kinds = next((same for same in _SAME_KIND if kind in same), frozenset({kind}))
    names = {entry for folder in kinds for entry in present.get(folder, ())}
    if name in names:
        return True
    if kind == "embeddings":
        return any(entry.rpartition(".")[0] == name for entry in names)
    # A diffusers folder is named as a whole.
    return kind == "diffusers" and any(entry.startswith(f"{name}/") for entry in names)
