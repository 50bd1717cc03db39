"""Pictures and sound as mp4, by PyAV."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Any

from .errors import AudioUnusable, VideoLibraryMissing
from .writing import picture

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

# H.264 takes frame rates as fractions; finer ones than this do not occur.
_FINEST_RATE = 1_000_000
_SOUND_BLOCK = 1024  # samples of one AAC frame


@dataclass(frozen=True)
class Clip:
    """Frames [frames, H, W, 3] at `frame_rate` a second. `audio` is AUDIO's: waveform [1, channels, samples]
    and sample_rate; `trim` ends the pictures with the sound."""

    images: Tensor
    frame_rate: float
    audio: Mapping[str, Any] | None = None
    trim: bool = False

    def refuse_audio(self, format: str) -> None:
        """Raises AudioUnusable when there is sound, which `format` cannot hold."""
        if self.audio is not None:
            raise AudioUnusable(f"{format} holds no sound")


def encode_mp4(
    file: IO[bytes], clip: Clip, times: int, pixel_format: str, crf: int, texts: Mapping[str, str]
) -> None:
    """Write `clip`, `times` in a row, to `file`; odd sides get one more pixel, which H.264 needs.

    Raises VideoLibraryMissing, AudioUnusable.
    """
    if importlib.util.find_spec("av") is None:
        raise VideoLibraryMissing()
    import av

    sound = _sound(clip)
    # Without the second flag mp4 drops texts under names of their own; with the first it can be played while
    # it loads.
    options = {"movflags": "faststart+use_metadata_tags"}
    with av.open(file, mode="w", format="mp4", options=options) as container:
        container.metadata.update(texts)
        rate = Fraction(clip.frame_rate).limit_denominator(_FINEST_RATE)
        stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf)})
        stream.pix_fmt = pixel_format
        track = None
        if sound is not None:
            track = container.add_stream("aac", rate=sound[1], layout=_layout(sound[0]))
        frames = _pictures(clip, times, sound)
        for at, pixels in enumerate(frames):
            if at == 0:
                stream.height, stream.width = pixels.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
        if sound is not None and track is not None:
            for block in _blocks(sound[0], sound[1]):
                container.mux(track.encode(block))
            container.mux(track.encode(None))


def _pictures(clip: Clip, times: int, sound: tuple[np.ndarray, int] | None) -> Iterator[np.ndarray]:
    import numpy as np

    frames = list(clip.images) * times
    if clip.trim and sound is not None:
        frames = frames[: max(1, round(sound[0].shape[1] / sound[1] * clip.frame_rate))]
    for image in frames:
        pixels = np.asarray(picture(image).convert("RGB"))
        yield np.pad(pixels, ((0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)), mode="edge")


def _sound(clip: Clip) -> tuple[np.ndarray, int] | None:
    """Samples [channels, n] and their rate."""
    if clip.audio is None:
        return None
    import numpy as np

    try:
        waveform, rate = clip.audio["waveform"], int(clip.audio["sample_rate"])
        samples = np.ascontiguousarray(waveform[0].detach().float().cpu().numpy())
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise AudioUnusable(f"it is no AUDIO ({type(error).__name__}: {error})") from error
    if samples.ndim != 2 or samples.shape[0] not in (1, 2) or not samples.shape[1]:
        raise AudioUnusable(f"it has the shape {list(waveform.shape)}; one or two channels are possible")
    return samples, rate


def _layout(samples: np.ndarray) -> str:
    return "mono" if samples.shape[0] == 1 else "stereo"


def _blocks(samples: np.ndarray, rate: int) -> Iterator[Any]:
    import av
    import numpy as np

    for start in range(0, samples.shape[1], _SOUND_BLOCK):
        part = np.ascontiguousarray(samples[:, start : start + _SOUND_BLOCK])
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=_layout(samples))
        frame.sample_rate = rate
        frame.pts = start
        frame.time_base = Fraction(1, rate)
        yield frame


__all__ = ["Clip", "encode_mp4"]
