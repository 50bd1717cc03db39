"""Which attention is used, and what is said about it."""

from __future__ import annotations

import pytest

from online_runtime.engine.arguments import parse
from online_runtime.engine.devices import system_stats
from online_runtime.engine.models import attention, memory


@pytest.fixture(autouse=True)
def as_before():
    yield
    attention.configure("auto")


@pytest.mark.parametrize("choice", attention.CHOICES)
def test_without_a_gpu_it_is_torchs_own_whatever_was_asked_for(choice: str) -> None:
    attention.configure(choice)
    told = system_stats(cpu_only=True)["attention"]
    assert told == {"requested": choice, "effective": "sdpa", "reason": "no GPU", "ratio": None}


def test_the_command_line_takes_the_choices_and_comfyuis_words(tmp_path, capsys) -> None:
    (tmp_path / "custom_nodes").mkdir()
    base = ["--base-directory", str(tmp_path)]
    assert parse(base).attention == "auto"
    assert parse([*base, "--attention", "xformers"]).attention == "xformers"
    assert parse([*base, "--use-pytorch-cross-attention"]).attention == "sdpa"
    with pytest.raises(SystemExit):
        parse([*base, "--attention", "magic"])
    assert "sdpa-cudnn" in capsys.readouterr().err


def test_on_a_gpu_nothing_is_claimed_before_a_network_ran() -> None:
    attention.configure("auto")
    assert attention.report(gpu=True)["effective"] is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("requested", "ratio", "capability", "expected"),
    [
        ("auto", 1.3, (8, 0), "xformers"),
        ("auto", 0.8, (8, 0), "sdpa"),
        ("auto", 0.8, (9, 0), "sdpa-cudnn"),
        ("auto", None, (9, 0), "sdpa-cudnn"),
        ("xformers", 0.8, (9, 0), "xformers"),
        ("xformers", None, (9, 0), "sdpa"),
        ("sage", 2.0, (9, 0), "sage"),
        ("sdpa", 2.0, (9, 0), "sdpa"),
    ],
)
def test_on_a_gpu_the_measurement_decides(monkeypatch, requested, ratio, capability, expected) -> None:
    """The GPU itself is imitated: its kernels and its capability."""
    import torch

    monkeypatch.setattr(memory, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(attention, "_kernel_of", lambda name: (lambda q, k, v: q, "it loads"))
    monkeypatch.setattr(attention, "_measured", lambda kernel: (ratio, "as measured"))
    attention.configure(requested)
    with attention.used():
        pass
    told = attention.report(gpu=True)
    assert (told["requested"], told["effective"]) == (requested, expected) and told["reason"]


@pytest.mark.slow
def test_what_is_not_installed_is_named_and_torchs_own_is_used(monkeypatch) -> None:
    import torch

    monkeypatch.setattr(memory, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(attention.importlib.util, "find_spec", lambda name: None)
    attention.configure("sage")
    with attention.used():
        pass
    told = attention.report(gpu=True)
    assert (told["effective"], told["reason"]) == ("sdpa", "sageattention is not installed")


@pytest.mark.slow
def test_a_chosen_kernel_gets_plain_half_precision_attention_and_nothing_else() -> None:
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    seen = []

    def kernel(query, key, value):
        seen.append(tuple(query.shape))
        return value

    query, key, value = (torch.randn(1, 2, 5, 8, dtype=torch.bfloat16) for _ in range(3))
    with attention._routed(kernel):
        assert scaled_dot_product_attention(query, key, value, dropout_p=0.0) is value
        assert scaled_dot_product_attention(query=query, key=key, value=value, attn_mask=None) is value
        masked = scaled_dot_product_attention(query, key, value, attn_mask=torch.ones(5, 5, dtype=torch.bool))
        scaled_dot_product_attention(query.float(), key.float(), value.float())
    assert seen == [(1, 2, 5, 8)] * 2 and masked is not value
    scaled_dot_product_attention(query, key, value)
    assert len(seen) == 2
