"""The tiny video checkpoint: random weights in the layout in which SVD is published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .unet_shape import UNetShape
    from .vae_shape import VAEShape
    from .vision_shape import VisionShape

WIDTH = 32
LEVELS = (32, 64)
VAE_LEVELS = (32, 32, 32, 32)
TIME_WIDTH = 32
_PICTURE, _PATCH = 224, 32


def unet_shape() -> UNetShape:
    """Two levels; only the coarse one attends, so that whole videos run on a CPU."""
    from .unet_shape import UNetShape

    return UNetShape(
        in_channels=8,
        out_channels=4,
        channels=LEVELS,
        depths=(0, 1),
        layers=1,
        middle_depth=1,
        context_width=WIDTH,
        linear_projection=True,
        added_width=3 * TIME_WIDTH,
    )


def _vision_shape() -> VisionShape:
    from .vision_shape import VisionShape

    return VisionShape(
        width=WIDTH,
        feedforward=2 * WIDTH,
        layers=2,
        patch=_PATCH,
        picture=_PICTURE,
        projection=WIDTH,
        openclip=True,
    )


def _vae_shape(temporal: bool) -> VAEShape:
    from .vae_shape import VAEShape

    return VAEShape(channels=VAE_LEVELS, layers=2, latent_channels=4, temporal=temporal)


def make_video_parts(seed: int = 0, temporal: bool = True) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Random UNet over time, image encoder and VAE. Equal seeds give equal weights."""
    import torch

    from . import video_shape
    from .networks import new_vae, new_video_unet, new_vision_encoder

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        unet: Any = new_video_unet(video_shape.diffusers(unet_shape()))
        vision: Any = new_vision_encoder(_vision_shape().transformers())
        vae: Any = new_vae(_vae_shape(temporal).diffusers(), temporal)
        # As initialised, estimates and pictures would be almost flat: bring both to a visible size.
        noisy, context = torch.randn(1, 2, 8, 16, 16), torch.randn(1, 1, WIDTH)
        output = unet(noisy, torch.tensor([0.5]), context, added_time_ids=torch.ones(1, 3), return_dict=False)
        unet.conv_out.weight.mul_(0.9 / output[0].std())
        frames = {"num_frames": 2} if temporal else {}
        pictures = vae.decode(torch.randn(2, 4, 16, 16), return_dict=False, **frames)[0]
        vae.decoder.conv_out.weight.mul_(0.5 / pictures.std())
        if temporal:
            # The last convolution over time starts as random as the others and would leave only noise.
            vae.decoder.time_conv_out.weight.zero_()
            for colour in range(3):
                vae.decoder.time_conv_out.weight[colour, colour, 1] = 1.0
    return unet.eval(), vision.eval(), vae.eval()


def video_file(unet: nn.Module, vision: nn.Module, vae: nn.Module, temporal: bool) -> dict[str, Tensor]:
    """The tensors of such parts under the names, and in the shapes, of published SVD checkpoints."""
    from . import video_shape
    from .tiny import prefixed
    from .video_loading import VISION

    tensors = prefixed("model.diffusion_model.", unet, _inverted(video_shape.prefixes(unet_shape())))
    for name, tensor in prefixed("", vae, _inverted(_vae_shape(temporal).prefixes())).items():
        # SVD's own files have no convolutions around the latent; they would change nothing here.
        if "quant_conv" not in name:
            convolved = ".mid.attn_1." in name and tensor.dim() == 2
            tensors[f"first_stage_model.{name}"] = (
                tensor[:, :, None, None].contiguous() if convolved else tensor
            )
    return tensors | {VISION + name: tensor for name, tensor in _openclip(vision).items()}


def _inverted(table: dict[str, str]) -> dict[str, str]:
    from .renaming import inverted

    return inverted(table)


def _openclip(vision: nn.Module) -> dict[str, Tensor]:
    import torch

    from .renaming import renamed

    table = _inverted(_vision_shape().prefixes())
    state = vision.state_dict()
    named: dict[str, Tensor] = {"proj": state["visual_projection.weight"].T.contiguous()}
    for name, tensor in state.items():
        if ".q_proj." in name:
            theirs = name.replace("vision_model.encoder.layers", "transformer.resblocks")
            parts = [state[name.replace(".q_proj.", f".{part}_proj.")] for part in "qkv"]
            named[theirs.replace("self_attn.q_proj.", "attn.in_proj_")] = torch.cat(parts)
        elif (new := renamed(name, table)) is not None:
            named[new] = tensor
    return named


def write_video_checkpoint(path: Path, seed: int = 0, temporal: bool = True) -> Path:
    """Write the tiny video checkpoint to `path`, whole or not at all. With `temporal` False its VAE decodes
    frame by frame, as in the files called image decoder."""
    from .tiny import write

    parts = make_video_parts(seed, temporal)
    return write(path, video_file(*parts, temporal), f"SVD layout, seed {seed}")
