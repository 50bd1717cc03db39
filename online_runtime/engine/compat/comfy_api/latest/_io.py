"""`comfy_api.latest.io`: schemas, nodes and what they return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ...placeholders import placeholder
from . import _types
from ._types import (
    ComboInput,
    FolderType,
    Input,
    MatchInput,
    MatchOutput,
    MultiInput,
    NumberDisplay,
    Output,
    Template,
    UploadType,
    comfytype,
    type_named,
)

__all__ = [
    "ComfyNode",
    "Custom",
    "FolderType",
    "Hidden",
    "Input",
    "NodeOutput",
    "NumberDisplay",
    "Output",
    "Schema",
    "UploadType",
    "comfytype",
]

Combo = type_named("COMBO", "Combo", ComboInput)
MultiCombo = type_named("COMBO", "MultiCombo", ComboInput, multiselect=True)
String = type_named("STRING", "String", multiline=False)
MultiType = type_named("*", "MultiType", MultiInput)
AnyType = type_named("*", "AnyType")
MatchType = type_named("*", "MatchType", MatchInput)
MatchType.Template, MatchType.Output = Template, MatchOutput

# Links that have no widget: ComfyUI's class name, and the type that it stands for.
_LINKS = """
    Boolean=BOOLEAN Int=INT Float=FLOAT Image=IMAGE Mask=MASK Latent=LATENT Conditioning=CONDITIONING
    Sampler=SAMPLER Sigmas=SIGMAS Noise=NOISE Guider=GUIDER Clip=CLIP ControlNet=CONTROL_NET Vae=VAE
    Model=MODEL ClipVision=CLIP_VISION ClipVisionOutput=CLIP_VISION_OUTPUT StyleModel=STYLE_MODEL
    Gligen=GLIGEN UpscaleModel=UPSCALE_MODEL Audio=AUDIO Video=VIDEO SVG=SVG LoraModel=LORA_MODEL
    LossMap=LOSS_MAP Voxel=VOXEL Mesh=MESH Hooks=HOOKS HookKeyframes=HOOK_KEYFRAMES
    TimestepsRange=TIMESTEPS_RANGE LatentOperation=LATENT_OPERATION FlowControl=FLOW_CONTROL
    Accumulation=ACCUMULATION Load3DCamera=LOAD3D_CAMERA Load3D=LOAD_3D
    Load3DAnimation=LOAD_3D_ANIMATION Photomaker=PHOTOMAKER Point=POINT FaceAnalysis=FACE_ANALYSIS
    BBOX=BBOX SEGS=SEGS MODEL_PATCH=MODEL_PATCH AudioEncoder=AUDIO_ENCODER
    AudioEncoderOutput=AUDIO_ENCODER_OUTPUT Webcam=WEBCAM WanCameraEmbedding=WAN_CAMERA_EMBEDDING
    Tracks=TRACKS BoundingBox=BOUNDING_BOX LatentUpscaleModel=LATENT_UPSCALE_MODEL
"""
globals().update(
    {name: type_named(kind, name) for name, _, kind in (pair.partition("=") for pair in _LINKS.split())}
)


def Custom(io_type: str) -> Any:
    """A type of the plugin's own."""
    return type_named(io_type)


class Hidden(StrEnum):
    """What a node may get besides its inputs, as `cls.hidden.NAME`."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"
    auth_token_comfy_org = "AUTH_TOKEN_COMFY_ORG"
    api_key_comfy_org = "API_KEY_COMFY_ORG"


@dataclass
class Schema:
    """What a node is: what ComfyUI's class attributes say of other nodes."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: Sequence[Input] | None = None
    outputs: Sequence[Output] | None = None
    hidden: Sequence[Hidden] | None = None
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    is_dev_only: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False
    search_aliases: Sequence[str] = field(default_factory=list)
    essentials_category: str | None = None
    # Newer versions' fields, which this engine takes and does nothing with.
    accept_all_inputs: bool = False
    has_intermediate_output: bool = False
    price_badge: Any = None


class NodeOutput:
    """What `execute` returns: outputs in order, what is shown, a graph instead, or a reason to stop."""

    def __init__(
        self,
        *args: Any,
        ui: Any = None,
        expand: Mapping[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    @property
    def result(self) -> tuple[Any, ...] | None:
        """The outputs; None when there are none."""
        return self.args or None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NodeOutput:
        """What a node of the older protocol returned."""
        return cls(*(data.get("result") or ()), ui=data.get("ui"), expand=data.get("expand"))


class HiddenHolder:
    """The hidden values of one call; what the schema did not ask for is None."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        for name in Hidden:
            setattr(self, name.name, values.get(name.name))


class ComfyNode:
    """A node as a class that is never made: `define_schema` says what it is, `execute` works."""

    hidden = HiddenHolder({})

    @classmethod
    def define_schema(cls) -> Schema:
        """What the node is; asked anew each time, since choices change."""
        raise NotImplementedError(f"{cls.__name__} has no define_schema")

    @classmethod
    def execute(cls, **inputs: Any) -> Any:
        """The work; may be async."""
        raise NotImplementedError(f"{cls.__name__} has no execute")

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The schema."""
        return cls.define_schema()


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if hasattr(_types, name):
        return getattr(_types, name)
    return placeholder(f"comfy_api.latest.io.{name}")
