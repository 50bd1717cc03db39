"""`comfy.utils`: progress, resizing and reading of weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import progress
from ...nodes.resizing import resized
from ..placeholders import placeholder

if TYPE_CHECKING:
    import torch

PROGRESS_BAR_ENABLED = True


def set_progress_bar_enabled(enabled: bool) -> None:
    """Show or hide bars on the terminal; this engine has none, so it only keeps the wish."""
    global PROGRESS_BAR_ENABLED
    PROGRESS_BAR_ENABLED = enabled


class ProgressBar:
    """Tells how far the running node is. Raises InterruptProcessingException when it should stop."""

    def __init__(self, total: int, node_id: str | None = None) -> None:
        self.total = total
        self.current = 0

    def update_absolute(self, value: int, total: int | None = None, preview: Any = None) -> None:
        """`value` steps are done; `preview` is ComfyUI's (format, picture, largest side)."""
        self.total = self.total if total is None else total
        self.current = min(value, self.total)
        image = preview[1] if isinstance(preview, tuple) else preview
        progress.current().update(self.current, self.total, image)

    def update(self, value: int) -> None:
        """`value` more steps are done."""
        self.update_absolute(self.current + value)


def common_upscale(
    samples: torch.Tensor, width: int, height: int, upscale_method: str, crop: str
) -> torch.Tensor:
    """Resize [B, C, H, W] to `height` x `width`; `crop="center"` keeps the proportions by cutting."""
    return resized(samples, width, height, upscale_method, crop)


def lanczos(samples: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """Resize [B, C, H, W] by Lanczos' filter."""
    return resized(samples, width, height, "lanczos")


def state_dict_prefix_replace(
    state_dict: dict[str, Any], replace_prefix: dict[str, str], filter_keys: bool = False
) -> dict[str, Any]:
    """Names that begin with a key of `replace_prefix` begin with its value; only those with `filter_keys`."""
    kept = {} if filter_keys else state_dict
    for old, new in replace_prefix.items():
        for name in [name for name in state_dict if name.startswith(old)]:
            kept[new + name[len(old) :]] = state_dict.pop(name)
    return kept


def load_torch_file(
    ckpt: str, safe_load: bool = False, device: Any = None, return_metadata: bool = False
) -> Any:
    """The tensors of a file, by name. Never runs code in it: pickles load as plain weights or not at all."""
    import torch

    place = str(device) if device is not None else "cpu"
    if Path(ckpt).suffix.lower() in (".safetensors", ".sft"):
        from safetensors import safe_open

        with safe_open(ckpt, framework="pt", device=place) as file:
            tensors: Any = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            metadata = file.metadata()
    else:
        tensors, metadata = torch.load(ckpt, map_location=place, weights_only=True), None
        tensors = tensors.get("state_dict", tensors)
    return (tensors, metadata) if return_metadata else tensors


def save_torch_file(sd: dict[str, Any], ckpt: str, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors."""
    from safetensors.torch import save_file

    save_file(sd, ckpt, metadata=metadata)


def repeat_to_batch_size(tensor: torch.Tensor, batch_size: int, dim: int = 0) -> torch.Tensor:
    """`tensor` cut or repeated so that dimension `dim` has `batch_size` entries."""
    size = tensor.shape[dim]
    if size > batch_size:
        return tensor.narrow(dim, 0, batch_size)
    if size < batch_size:
        repeats = [1] * tensor.dim()
        repeats[dim] = -(-batch_size // size)
        return tensor.repeat(repeats).narrow(dim, 0, batch_size)
    return tensor


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return placeholder(f"comfy.utils.{name}")
