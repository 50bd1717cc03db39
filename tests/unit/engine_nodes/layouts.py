"""Random weights in the layouts of SD2.x and SDXL, made from diffusers' and transformers' own networks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from online_runtime.engine.models.renaming import inverted, renamed
from online_runtime.engine.models.tiny import make_parts
from online_runtime.engine.models.unet_shape import UNetShape

_LAYER = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip


@dataclass(frozen=True)
class Original:
    """The networks that a file was written from."""

    path: Path
    unet: Any
    vae: Any
    texts: tuple[Any, ...]


def text_config(act: str, width: int = 32, projection: int = 48) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=514, hidden_size=width, intermediate_size=64, num_hidden_layers=3, num_attention_heads=1,
        hidden_act=act, projection_dim=projection, bos_token_id=512, eos_token_id=513, pad_token_id=513,
    )  # fmt: skip


def openclip(text: Any) -> dict[str, Tensor]:
    """A text encoder's tensors in OpenCLIP's writing: query, key and value in one."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in text.state_dict().items()}
    named = {
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
    }
    if "text_projection.weight" in state:
        named["text_projection"] = state["text_projection.weight"].T.contiguous()
    for layer in range(3):
        ours, theirs = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            parts = [state[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
            named[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(parts)
            for a, b in _LAYER.items():
                named[f"{theirs}.{b}.{kind}"] = state[f"{ours}.{a}.{kind}"]
    return named


def prefixed(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: tensor.clone() for name, tensor in tensors.items()}


def unet_tensors(unet: UNet2DConditionModel, shape: UNetShape) -> dict[str, Tensor]:
    names = inverted(shape.prefixes())
    return {f"model.diffusion_model.{renamed(n, names)}": t.clone() for n, t in unet.state_dict().items()}


def vae_tensors() -> tuple[AutoencoderKL, dict[str, Tensor]]:
    from online_runtime.engine.models.tiny import single_file

    unet, text, vae = make_parts(1)
    tensors = single_file(unet, text, vae)
    return vae, {name: tensor for name, tensor in tensors.items() if name.startswith("first_stage_model.")}


def write_sd2(path: Path) -> Original:
    torch.manual_seed(1)
    text = CLIPTextModel(text_config("gelu")).eval()
    unet = UNet2DConditionModel(
        block_out_channels=(64, 64), layers_per_block=1, cross_attention_dim=32, attention_head_dim=[1, 1],
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        use_linear_projection=True,
    ).eval()  # fmt: skip
    shape = UNetShape(4, 4, (64, 64), (1, 0), 1, 1, 32, True, None)
    vae, tensors = vae_tensors()
    tensors |= unet_tensors(unet, shape) | prefixed("cond_stage_model.model.", openclip(text))
    save_file(tensors, path, {"modelspec.prediction_type": "v"})
    return Original(path, unet, vae, (text,))


def write_sdxl(path: Path) -> Original:
    torch.manual_seed(2)
    first = CLIPTextModel(text_config("quick_gelu")).eval()
    second = CLIPTextModelWithProjection(text_config("gelu", width=64)).eval()
    unet = UNet2DConditionModel(
        block_out_channels=(64, 64, 128), layers_per_block=2, cross_attention_dim=96,
        attention_head_dim=[1, 1, 2],
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 2, 3], use_linear_projection=True, addition_embed_type="text_time",
        addition_time_embed_dim=16, projection_class_embeddings_input_dim=6 * 16 + 48,
    ).eval()  # fmt: skip
    shape = UNetShape(4, 4, (64, 64, 128), (0, 2, 3), 2, 3, 96, True, 6 * 16 + 48)
    vae, tensors = vae_tensors()
    tensors |= unet_tensors(unet, shape)
    plain = {name.removeprefix("text_model."): tensor for name, tensor in first.state_dict().items()}
    tensors |= prefixed("conditioner.embedders.0.transformer.text_model.", plain)
    tensors |= prefixed("conditioner.embedders.1.model.", openclip(second))
    save_file(tensors, path)
    return Original(path, unet, vae, (first, second))
