"""What can go wrong with weights, texts and sampling.

EngineError
├── WeightsError
│   ├── PickleRefused          a file that could run code when it is read
│   ├── NotSafetensors         a file that is damaged, cut off or something else
│   ├── UnknownFamily          weights of a kind that this engine does not run
│   ├── WeightsIncomplete      a known kind, with parts missing or of another shape
│   └── LoraUnusable           a LoRA that changes nothing here, or is of another make
├── TextError
│   ├── VocabularyMissing      no tokenizer vocabulary for this text encoder
│   ├── EmbeddingMissing       a prompt that names a textual inversion that is not there
│   └── EmbeddingUnusable      a textual inversion for another text encoder
└── SamplingError
    ├── SamplerUnavailable     a sampler or scheduler that only ComfyUI has
    ├── ConditioningUnusable   conditioning that does not fit the weights or asks for what is not there
    └── LatentUnusable         a latent of the wrong shape
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import EngineError


class WeightsError(EngineError):
    """A file of weights cannot be used."""


@dataclass(eq=False)
class PickleRefused(WeightsError):
    """`path` is a pickle by its name; reading one can run any code."""

    path: Path

    def __str__(self) -> str:
        return (
            f"{self.path.name} is a pickle file, which can run code when it is read; "
            "use the same weights as .safetensors."
        )


@dataclass(eq=False)
class NotSafetensors(WeightsError):
    """`path` does not hold what a safetensors file must; `why` says what was found."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path.name} is not a whole safetensors file ({self.why}); download or copy it again."


@dataclass(eq=False)
class UnknownFamily(WeightsError):
    """`path` is sound, but of no family that the builtin engine runs."""

    path: Path
    why: str

    def __str__(self) -> str:
        return (
            f"{self.path.name} is of no known family: {self.why}. "
            "The builtin engine runs SD1.x, SD2.x, SDXL and SVD; others need the comfyui engine."
        )


@dataclass(eq=False)
class WeightsIncomplete(WeightsError):
    """`path` lacks tensors of its `part`, or has them in another shape."""

    path: Path
    part: str
    names: Sequence[str]

    def __str__(self) -> str:
        shown = ", ".join(self.names[:3]) + (" …" if len(self.names) > 3 else "")
        return (
            f"{self.path.name} has no usable {self.part}: {len(self.names)} tensors are missing or misshapen "
            f"({shown}); use a complete file."
        )


@dataclass(eq=False)
class LoraUnusable(WeightsError):
    """The LoRA `path` was not applied, for the reason `why`."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"LoRA {self.path.name} was not applied: {self.why}."


class TextError(EngineError):
    """A prompt's text cannot be encoded."""


@dataclass(eq=False)
class VocabularyMissing(TextError):
    """No vocabulary of `size` tokens is at hand."""

    size: int
    file: str

    def __str__(self) -> str:
        if self.size != 49408:
            return (
                f"No vocabulary of {self.size} tokens is known, only CLIP's of 49408 and the demo's of 514."
            )
        return (
            f"CLIP's vocabulary {self.file} is not here; install the package open_clip_torch into the "
            f"workstation, or put that file into models/text_encoders/."
        )


@dataclass(eq=False)
class EmbeddingMissing(TextError):
    """The text names the textual inversion `name`, and there is no such file."""

    name: str

    def __str__(self) -> str:
        return (
            f"The text uses embedding:{self.name}, and models/embeddings/ has no file of that name; "
            "put it there or take it out of the text."
        )


@dataclass(eq=False)
class EmbeddingUnusable(TextError):
    """The textual inversion `name` has vectors of `widths`; the text encoder needs `width`."""

    name: str
    width: int
    widths: Sequence[int]

    def __str__(self) -> str:
        found = ", ".join(map(str, self.widths)) or "none"
        return (
            f"embedding:{self.name} has vectors of width {found} where this checkpoint's text encoder needs "
            f"{self.width}; it was made for another family of models."
        )


class SamplingError(EngineError):
    """A sampling run cannot start."""


@dataclass(eq=False)
class SamplerUnavailable(SamplingError):
    """`name` is a `what` (sampler, scheduler) that is offered for compatibility but not possible here."""

    what: str
    name: str
    possible: Sequence[str]

    def __str__(self) -> str:
        return (
            f"The builtin engine has no {self.what} {self.name!r}; choose one of "
            f"{', '.join(self.possible)}, or use the comfyui engine."
        )


@dataclass(eq=False)
class ConditioningUnusable(SamplingError):
    """Conditioning that the sampling run cannot honour, for the reason `why`."""

    why: str

    def __str__(self) -> str:
        return f"This conditioning cannot be used: {self.why}."


@dataclass(eq=False)
class LatentUnusable(SamplingError):
    """A latent that does not fit, for the reason `why`."""

    why: str

    def __str__(self) -> str:
        return f"This latent cannot be used: {self.why}."
