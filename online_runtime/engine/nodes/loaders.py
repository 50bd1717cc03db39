"""Nodes that read weights: checkpoints, VAEs, LoRAs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import folders
from .inputs import Inputs, strength

if TYPE_CHECKING:
    from pathlib import Path

    from ..models.autoencoder import VAE
    from ..models.diffusion import DiffusionModel
    from ..models.text import TextEncoders


def _vocabularies() -> list[Path]:
    """Where a tokenizer's vocabulary may lie, beside the packages that bring one."""
    models = folders.current().models
    return [models / "text_encoders", models / "clip", models / "configs", models]


class CheckpointLoaderSimple:
    """MODEL, CLIP and VAE of a single-file checkpoint; its family is told from the file."""

    RETURN_TYPES = ("MODEL", "CLIP", "VAE")
    FUNCTION = "load_checkpoint"
    CATEGORY = "loaders"
    DESCRIPTION = "Loads a checkpoint (SD1.x, SD2.x or SDXL, safetensors) without any network."

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"ckpt_name": (folders.current().list("checkpoints"),)}}

    def load_checkpoint(self, ckpt_name: str) -> tuple[DiffusionModel, TextEncoders, VAE]:
        """Raises ModelMissing, WeightsError, VocabularyMissing, torch.OutOfMemoryError."""
        from ..models.loading import load_checkpoint

        loaded = load_checkpoint(folders.current().path("checkpoints", ckpt_name), _vocabularies())
        return loaded.model, loaded.clip, loaded.vae


class VAELoader:
    """A VAE from a file of its own."""

    RETURN_TYPES = ("VAE",)
    FUNCTION = "load_vae"
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"vae_name": (folders.current().list("vae"),)}}

    def load_vae(self, vae_name: str) -> tuple[VAE]:
        """Raises ModelMissing, WeightsError."""
        from ..models.loading import load_vae

        return (load_vae(folders.current().path("vae", vae_name)),)


class LoraLoader:
    """A LoRA on top of MODEL and CLIP. Those given stay as they were; at strength 0 they are returned."""

    RETURN_TYPES = ("MODEL", "CLIP")
    FUNCTION = "load_lora"
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "model": ("MODEL",),
                "clip": ("CLIP",),
                "lora_name": (folders.current().list("loras"),),
                "strength_model": strength(),
                "strength_clip": strength(),
            }
        }

    def load_lora(
        self, model: Any, clip: Any, lora_name: str, strength_model: float, strength_clip: float
    ) -> tuple[Any, Any]:
        """Raises ModelMissing, LoraUnusable, PickleRefused, NotSafetensors."""
        if strength_model == 0 and strength_clip == 0:
            return model, clip
        from ..models.lora_loading import with_lora

        path = folders.current().path("loras", lora_name)
        return with_lora(path, model, clip, strength_model, strength_clip)


class LoraLoaderModelOnly:
    """A LoRA on top of MODEL alone."""

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "load_lora_model_only"
    CATEGORY = "loaders"

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        loras = folders.current().list("loras")
        return {"required": {"model": ("MODEL",), "lora_name": (loras,), "strength_model": strength()}}

    def load_lora_model_only(self, model: Any, lora_name: str, strength_model: float) -> tuple[Any]:
        """As LoraLoader.load_lora; what the file has for text encoders is left out."""
        return (LoraLoader().load_lora(model, None, lora_name, strength_model, 0)[0],)


NODE_CLASS_MAPPINGS = {
    "CheckpointLoaderSimple": CheckpointLoaderSimple,
    "VAELoader": VAELoader,
    "LoraLoader": LoraLoader,
    "LoraLoaderModelOnly": LoraLoaderModelOnly,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "CheckpointLoaderSimple": "Load Checkpoint",
    "VAELoader": "Load VAE",
    "LoraLoader": "Load LoRA",
    "LoraLoaderModelOnly": "LoraLoaderModelOnly",
}
