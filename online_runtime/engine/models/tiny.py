"""Makes tiny weights for demonstrations and tests: a checkpoint in SD1.x's layout, a LoRA for it, or a video
checkpoint in SVD's.

    python -m online_runtime.engine.models.tiny OUT.safetensors [--seed N]
        [--lora | --svd | --svd-image-decoder]

Also runnable by its file, inside a workstation. The pictures mean nothing; the files say so in their
metadata.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from .text_shape import TextShape
    from .unet_shape import UNetShape
    from .vae_shape import VAEShape

LABEL = "random weights, for demonstration only; made by Stillframe"
WIDTH = 32
LEVELS = (32, 32, 64, 64)
LORA_RANK = 4


def _unet_shape() -> UNetShape:
    from .unet_shape import UNetShape

    return UNetShape(
        in_channels=4,
        out_channels=4,
        channels=LEVELS,
        depths=(1, 1, 1, 0),
        layers=2,
        middle_depth=1,
        context_width=WIDTH,
        linear_projection=False,
        added_width=None,
    )


def _text_shape() -> TextShape:
    from .text_shape import TextShape
    from .tokens import BYTE_VOCABULARY

    return TextShape(
        vocabulary=BYTE_VOCABULARY,
        positions=77,
        width=WIDTH,
        feedforward=4 * WIDTH,
        layers=2,
        projection=None,
        openclip=False,
    )


def _vae_shape() -> VAEShape:
    from .vae_shape import VAEShape

    return VAEShape(channels=LEVELS, layers=2, latent_channels=4)


def make_parts(seed: int = 0) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Random UNet, text encoder and VAE, tiny and of SD1.x's structure. Equal seeds give equal weights."""
    import torch

    from .networks import new_text_encoder, new_unet, new_vae

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        unet: Any = new_unet(_unet_shape().diffusers(None))
        text = new_text_encoder(_text_shape().transformers())
        vae: Any = new_vae(_vae_shape().diffusers())
        # As initialised, noise estimates and pictures would be almost flat: bring both to a visible size.
        latent = torch.randn(1, 4, 16, 16)
        noise = unet(latent, torch.tensor([500]), torch.randn(1, 77, WIDTH), return_dict=False)[0]
        unet.conv_out.weight.mul_(0.9 / noise.std())
        vae.decoder.conv_out.weight.mul_(0.5 / vae.decode(latent, return_dict=False)[0].std())
    return unet.eval(), text.eval(), vae.eval()


def single_file(unet: nn.Module, text: nn.Module, vae: nn.Module) -> dict[str, Tensor]:
    """The tensors of such parts under the names, and in the shapes, of published SD1.x checkpoints."""
    from .renaming import inverted

    tensors = prefixed("model.diffusion_model.", unet, inverted(_unet_shape().prefixes()))
    vae_names = inverted(_vae_shape().prefixes())
    for name, tensor in prefixed("first_stage_model.", vae, vae_names).items():
        convolved = ".mid.attn_1." in name and tensor.dim() == 2
        tensors[name] = tensor[:, :, None, None].contiguous() if convolved else tensor
    for name, tensor in text.state_dict().items():
        tensors[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = tensor
    return tensors


def prefixed(prefix: str, module: nn.Module, names: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of `module` with its prefixes replaced by those in `names`, behind `prefix`."""
    from .renaming import renamed

    tensors: dict[str, Tensor] = {}
    for name, tensor in module.state_dict().items():
        new = renamed(name, names)
        if new is None:
            raise KeyError(f"no checkpoint name for {name}")
        tensors[prefix + new] = tensor
    return tensors


def write_checkpoint(path: Path, seed: int = 0) -> Path:
    """Write the tiny checkpoint (about 15 MB) to `path`, whole or not at all. The same seed writes the same
    bytes."""
    return write(path, single_file(*make_parts(seed)), f"SD1 layout, seed {seed}")


def write_lora(path: Path, seed: int = 0) -> Path:
    """Write a random LoRA in kohya's writing that fits the tiny checkpoint: UNet attention and the text
    encoder."""
    import torch

    unet, text, _ = make_parts(seed)
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    for prefix, module in (("lora_unet_", unet), ("lora_te_text_model_", text)):
        for name, weight in module.named_parameters():
            if (
                name.endswith(("to_q.weight", "to_k.weight", "to_v.weight", "_proj.weight"))
                and weight.dim() == 2
            ):
                plain = name.removeprefix("text_model.").removesuffix(".weight").replace(".", "_")
                tensors |= _pair(prefix + plain, weight, generator)
    return write(path, tensors, f"LoRA, seed {seed}")


def _pair(name: str, weight: Tensor, generator: Any) -> dict[str, Tensor]:
    import torch

    # About half as large as the weight itself: visible, and no more than that.
    size = 0.5 * float(weight.detach().std()) ** 0.5
    return {
        f"{name}.lora_down.weight": torch.randn(LORA_RANK, weight.shape[1], generator=generator) * size,
        f"{name}.lora_up.weight": torch.randn(weight.shape[0], LORA_RANK, generator=generator) * size,
        f"{name}.alpha": torch.tensor(float(LORA_RANK)),
    }


def write(path: Path, tensors: Mapping[str, Tensor], what: str) -> Path:
    """Write `tensors` to `path`, whole or not at all; `what` goes into the label."""
    from safetensors.torch import save

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            # One entry only: safetensors writes several in any order, and the bytes would differ each time.
            file.write(save(dict(tensors), {"stillframe": f"{LABEL}; {what}"}))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _chosen(chosen: argparse.Namespace) -> Path:
    from .tiny_video import write_video_checkpoint

    if chosen.svd or chosen.svd_image_decoder:
        return write_video_checkpoint(chosen.out, chosen.seed, temporal=chosen.svd)
    return (write_lora if chosen.lora else write_checkpoint)(chosen.out, chosen.seed)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line above."""
    parser = argparse.ArgumentParser(prog="tiny", description="Writes tiny files of random weights.")
    parser.add_argument("out", type=Path, help="the .safetensors file to write")
    parser.add_argument("--seed", type=int, default=0)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--lora", action="store_true", help="write a LoRA for that checkpoint instead")
    kind.add_argument("--svd", action="store_true", help="write a video checkpoint instead")
    kind.add_argument("--svd-image-decoder", action="store_true", help="the same, decoding frame by frame")
    chosen = parser.parse_args(arguments)
    path = _chosen(chosen)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes, {LABEL}\n")


if __name__ == "__main__" and not __package__:
    # Started by its file: run it again as part of its package, whatever the engine's folder is called.
    here = Path(__file__).resolve()
    sys.path[0] = str(here.parents[2])
    runpy.run_module(f"{here.parents[1].name}.{here.parent.name}.{here.stem}", run_name="__main__")
elif __name__ == "__main__":
    main()
