"""`comfy.model_management`: devices, memory and interruption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import progress
from ...devices import main_memory
from ...errors import InterruptProcessingException
from ...models import attention, memory
from ..placeholders import placeholder
from ..server import PromptServer

if TYPE_CHECKING:
    import torch

__all__ = ["InterruptProcessingException"]


def get_torch_device() -> torch.device:
    """Where models run."""
    return memory.device()


def intermediate_device() -> torch.device:
    """Where values between nodes are kept."""
    return _cpu()


def unet_offload_device() -> torch.device:
    return _cpu()


def vae_device() -> torch.device:
    return memory.device()


def vae_offload_device() -> torch.device:
    return _cpu()


def text_encoder_device() -> torch.device:
    return memory.device()


def text_encoder_offload_device() -> torch.device:
    return _cpu()


def is_device_cpu(device: Any) -> bool:
    return str(getattr(device, "type", device)) == "cpu"


def is_device_mps(device: Any) -> bool:
    return str(getattr(device, "type", device)) == "mps"


def get_autocast_device(device: Any) -> str:
    return str(getattr(device, "type", "cuda"))


def get_free_memory(dev: Any = None, torch_free_too: bool = False) -> Any:
    """Free memory of a device in bytes; with `torch_free_too`, also what torch holds unused."""
    device = dev if dev is not None else memory.device()
    if is_device_cpu(device):
        free, unused = main_memory()[1], 0
    else:
        import torch

        reserved = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        free, unused = torch.cuda.mem_get_info(device)[0] + reserved, reserved
    return (free, unused) if torch_free_too else free


def get_total_memory(dev: Any = None, torch_total_too: bool = False) -> Any:
    """Memory of a device in bytes; with `torch_total_too`, also what torch holds."""
    device = dev if dev is not None else memory.device()
    if is_device_cpu(device):
        total = held = main_memory()[0]
    else:
        import torch

        total, held = torch.cuda.mem_get_info(device)[1], torch.cuda.memory_reserved(device)
    return (total, held) if torch_total_too else total


def get_torch_device_name(device: Any) -> str:
    """How a device is shown to people."""
    if is_device_cpu(device):
        return "cpu"
    import torch

    return f"{device} {torch.cuda.get_device_name(device)}"


def intermediate_dtype() -> torch.dtype:
    """The precision of values between nodes."""
    import torch

    return torch.float32


def is_intel_xpu() -> bool:
    return False


def is_nvidia() -> bool:
    return not is_device_cpu(memory.device())


def soft_empty_cache(force: bool = False) -> None:
    """Give unused memory back."""
    memory.free(unload=False)


def unload_all_models() -> None:
    """Forget loaded weights."""
    memory.free(unload=True)


def xformers_enabled() -> bool:
    return bool(attention.report(memory.device().type == "cuda")["effective"] == "xformers")


def throw_exception_if_processing_interrupted() -> None:
    """Raise InterruptProcessingException when the prompt was asked to stop."""
    progress.current().check_interrupted()


def processing_interrupted() -> bool:
    """Whether the prompt was asked to stop."""
    try:
        progress.current().check_interrupted()
    except InterruptProcessingException:
        return True
    return False


def interrupt_current_processing(value: bool = True) -> None:
    """Ask the running prompt to stop."""
    if value:
        PromptServer.instance.interrupt()


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "OOM_EXCEPTION":
        import torch

        return torch.OutOfMemoryError
    return placeholder(f"comfy.model_management.{name}")
