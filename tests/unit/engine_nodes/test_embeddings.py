"""Textual inversions in prompts, on the tiny text encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from online_runtime.engine.models.errors import EmbeddingMissing, EmbeddingUnusable, PickleRefused
from online_runtime.engine.nodes.conditioning import CLIPTextEncode
from online_runtime.engine.nodes.loaders import CheckpointLoaderSimple

pytestmark = pytest.mark.slow


@pytest.fixture
def clip(tiny: Path) -> Any:
    (tiny / "models" / "embeddings").mkdir(parents=True)
    return CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[1]


def saved(base: Path, name: str, **tensors: Any) -> None:
    from safetensors.torch import save_file

    save_file(tensors, base / "models" / "embeddings" / name)


def encoded(clip: Any, text: str) -> Any:
    return CLIPTextEncode().encode(clip, text)[0][0][0]


def test_an_embedding_of_a_words_own_vectors_reads_as_the_word(tiny: Path, clip: Any) -> None:
    import torch

    encoder = clip.encoders[0]
    numbers = [number for word in encoder.tokenizer.words("cat") for number in word]
    own = encoder.network.module.get_input_embeddings().weight.detach()[numbers].clone()
    saved(tiny, "cat.safetensors", emb_params=own)
    by_name = encoded(clip, "a embedding:cat sits")
    assert torch.allclose(by_name, encoded(clip, "a cat sits"), atol=1e-5)
    assert torch.equal(by_name, encoded(clip, "a embedding:cat.safetensors sits"))
    assert not torch.allclose(by_name, encoded(clip, "a dog sits"), atol=1e-3)
    # afterwards the encoder is as it was
    assert torch.allclose(encoded(clip, "a aaa sits"), encoded(clip, "a aaa sits"))


def test_of_several_tensors_the_one_for_this_encoder_is_taken(tiny: Path, clip: Any) -> None:
    import torch

    width = clip.encoders[0].width
    saved(tiny, "two.safetensors", clip_g=torch.ones(2, width * 2), clip_l=torch.ones(width))
    assert encoded(clip, "embedding:two").shape[-1] == width


def test_what_is_missing_or_for_another_family_is_told_and_a_pickle_is_refused(tiny: Path, clip: Any) -> None:
    import torch

    with pytest.raises(EmbeddingMissing, match="badhands"):
        encoded(clip, "a hand, embedding:badhands")
    saved(tiny, "wide.safetensors", emb_params=torch.ones(1, 9999))
    with pytest.raises(EmbeddingUnusable, match="9999"):
        encoded(clip, "embedding:wide")
    (tiny / "models" / "embeddings" / "old.pt").write_bytes(b"\x80\x02")
    with pytest.raises(PickleRefused):
        encoded(clip, "embedding:old")
