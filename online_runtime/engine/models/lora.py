"""LoRA files, as kohya's trainers and diffusers/PEFT write them: small changes to the weights of a UNet and
text encoders."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from .errors import LoraUnusable
from .renaming import inverted, renamed
from .single_file import read_header, read_tensors

_log = logging.getLogger(__name__)

# How the two halves and the scale are named, by the different writers.
_HALVES = (
    (re.compile(r"(.+)\.(?:lora_down|lora_A|lora\.down|lora_linear_layer\.down)\.weight"), "down"),
    (re.compile(r"(.+)\.(?:lora_up|lora_B|lora\.up|lora_linear_layer\.up)\.weight"), "up"),
    (re.compile(r"(.+)_lora\.down\.weight"), "down"),
    (re.compile(r"(.+)_lora\.up\.weight"), "up"),
    (re.compile(r"(.+)\.alpha"), "alpha"),
)
_OTHER_MAKES = {"hada_w1_a": "LoHa", "lokr_w1": "LoKr", "dora_scale": "DoRA", "lora_mid": "Tucker LoCon"}
_UNET_PREFIXES = ("lora_unet_", "unet.", "base_model.model.unet.", "base_model.model.")
_TEXT_PREFIXES = (
    ("lora_te_", "lora_te1_", "text_encoder.", "lora_te_clip_l_"),
    ("lora_te2_", "text_encoder_2.", "lora_te_clip_g_"),
)


@dataclass(frozen=True)
class Change:
    """What is added to one weight: `up @ down`, times `scale`. Shapes [out, rank, …] and [rank, in, …]."""

    up: Tensor
    down: Tensor
    scale: float

    def difference(self, shape: torch.Size) -> Tensor:
        """The change in float32, in the weight's `shape`."""
        product = self.up.float().flatten(1) @ self.down.float().flatten(1)
        return (product * self.scale).reshape(shape)

    def times(self, strength: float) -> Change:
        """The same change, `strength` times as strong."""
        return replace(self, scale=self.scale * strength)


@dataclass(frozen=True)
class LoraFile:
    """The changes in a file, by the name of the module that the file gives."""

    path: Path
    changes: Mapping[str, Change] = field(repr=False)


@dataclass(frozen=True)
class Matched:
    """The changes that fit: for the UNet, and for each text encoder, by parameter name."""

    unet: dict[str, Change]
    texts: tuple[dict[str, Change], ...]


def read_lora(path: Path) -> LoraFile:
    """The changes in `path`. Raises LoraUnusable, PickleRefused, NotSafetensors."""
    names = list(read_header(path).shapes)
    for mark, make in _OTHER_MAKES.items():
        if any(mark in name for name in names):
            raise LoraUnusable(path, f"it is a {make}, which the builtin engine cannot apply")
    halves: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_tensors(path, names).items():
        for pattern, half in _HALVES:
            if found := pattern.fullmatch(name):
                halves.setdefault(found[1], {})[half] = tensor
                break
    changes = {m: _change(h) for m, h in halves.items() if "up" in h and "down" in h}
    if not changes:
        raise LoraUnusable(path, "it holds no pair of LoRA matrices")
    return LoraFile(path, changes)


def _change(halves: Mapping[str, Tensor]) -> Change:
    rank = halves["down"].shape[0]
    alpha = float(halves["alpha"]) if "alpha" in halves else float(rank)
    return Change(up=halves["up"], down=halves["down"], scale=alpha / rank)


def match(
    file: LoraFile, unet: torch.nn.Module, unet_prefixes: Mapping[str, str], texts: Iterable[torch.nn.Module]
) -> Matched:
    """Which weight each change of `file` belongs to. `unet_prefixes` is UNetShape.prefixes().

    Names that fit nothing are logged. Raises LoraUnusable when none fits, or when one has the wrong shape.
    """
    unet_names = _unet_names(unet, unet_prefixes)
    text_names = [_text_names(text, at) for at, text in enumerate(texts)]
    matched = Matched({}, tuple({} for _ in text_names))
    unknown: list[str] = []
    for module, change in file.changes.items():
        name = _flat(module)
        if name in unet_names:
            _put(matched.unet, unet_names[name], change, unet, file.path)
        elif at_text := [(at, names[name]) for at, names in enumerate(text_names) if name in names]:
            at, parameter = at_text[0]
            matched.texts[at][parameter] = change
        else:
            unknown.append(module)
    if len(unknown) == len(file.changes):
        raise LoraUnusable(
            file.path, f"none of its {len(unknown)} changes fits these weights; it is for others"
        )
    if unknown:
        _log.warning(
            "LoRA %s: %d of its changes fit nothing here, as %s", file.path.name, len(unknown), unknown[0]
        )
    return matched


def _put(into: dict[str, Change], name: str, change: Change, module: torch.nn.Module, path: Path) -> None:
    shape = module.get_parameter(name).shape
    if change.up.shape[0] * change.down[0].numel() != shape.numel():
        raise LoraUnusable(
            path, f"its change of {name} has another shape; it is for weights of another family"
        )
    into[name] = change


def _flat(module: str) -> str:
    """A module's name with the writers' differences taken out; kohya writes underscores for dots."""
    flat = module.replace(".", "_").replace("_processor_", "_")
    return re.sub(r"(_attn[12])_to_out$", r"\1_to_out_0", flat)


def _unet_names(unet: torch.nn.Module, prefixes: Mapping[str, str]) -> dict[str, str]:
    back = inverted(prefixes)
    names: dict[str, str] = {}
    for parameter in _weights(unet):
        ldm = renamed(parameter, back)
        for writing in (parameter, ldm) if ldm else (parameter,):
            for prefix in _UNET_PREFIXES:
                names[_flat(prefix + writing.removesuffix(".weight"))] = parameter
    return names


def _text_names(text: torch.nn.Module, at: int) -> dict[str, str]:
    names: dict[str, str] = {}
    for parameter in _weights(text):
        module = parameter.removesuffix(".weight").removeprefix("text_model.")
        for prefix in _TEXT_PREFIXES[at]:
            names[_flat(f"{prefix}text_model.{module}")] = parameter
            names[_flat(prefix + module)] = parameter
    return names


def _weights(module: torch.nn.Module) -> list[str]:
    return [
        name for name, tensor in module.named_parameters() if name.endswith(".weight") and tensor.dim() > 1
    ]
