"""The networks themselves, from diffusers and transformers, with random weights or without any yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn


def new_unet(config: Mapping[str, Any]) -> nn.Module:
    """diffusers' UNet2DConditionModel, as UNetShape.diffusers() describes it."""
    import diffusers

    build: Any = diffusers.UNet2DConditionModel
    unet: nn.Module = build(**config)
    return unet


def new_vae(config: Mapping[str, Any], temporal: bool = False) -> nn.Module:
    """diffusers' AutoencoderKL, or with `temporal` its AutoencoderKLTemporalDecoder, as VAEShape.diffusers()
    describes it."""
    import diffusers

    build: Any = diffusers.AutoencoderKLTemporalDecoder if temporal else diffusers.AutoencoderKL
    vae: nn.Module = build(**config)
    return vae


def new_video_unet(config: Mapping[str, Any]) -> nn.Module:
    """diffusers' UNetSpatioTemporalConditionModel, as video_shape.diffusers() describes it."""
    import diffusers

    build: Any = diffusers.UNetSpatioTemporalConditionModel
    unet: nn.Module = build(**config)
    return unet


def new_control_net(config: Mapping[str, Any]) -> nn.Module:
    """diffusers' ControlNetModel, as control_shape.diffusers() describes it."""
    import diffusers

    build: Any = diffusers.ControlNetModel
    net: nn.Module = build(**config)
    return net


def new_vision_encoder(config: Mapping[str, Any]) -> nn.Module:
    """transformers' CLIPVisionModelWithProjection, as VisionShape.transformers() describes it."""
    import transformers

    build: Any = transformers.CLIPVisionModelWithProjection
    settings: Any = transformers.CLIPVisionConfig
    vision: nn.Module = build(settings(**config))
    return vision


def new_text_encoder(config: Mapping[str, Any]) -> nn.Module:
    """transformers' CLIPTextModel, as TextShape.transformers() describes it."""
    import transformers

    build: Any = transformers.CLIPTextModel
    settings: Any = transformers.CLIPTextConfig
    text: nn.Module = build(settings(**config))
    return text
