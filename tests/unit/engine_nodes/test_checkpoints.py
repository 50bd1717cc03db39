"""Single files give the very networks that they were written from."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from online_runtime.engine.errors import ModelMissing
from online_runtime.engine.models import memory
from online_runtime.engine.models.errors import NotSafetensors, UnknownFamily, WeightsIncomplete
from online_runtime.engine.models.families import Family, recognise
from online_runtime.engine.models.noise import Prediction
from online_runtime.engine.models.single_file import read_header
from online_runtime.engine.nodes.loaders import CheckpointLoaderSimple, LoraLoader, VAELoader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def layouts() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "engine_node_layouts", Path(__file__).with_name("layouts.py")
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def same_weights(ours: object, theirs: object) -> bool:
    import torch

    mine, other = ours.state_dict(), theirs.state_dict()
    other = {name: other.get(name, other.get(f"text_model.{name}")) for name in mine}
    return all(torch.equal(mine[name], other[name]) for name in mine)


def test_the_tiny_checkpoint_loads_bit_equal_to_the_networks_it_was_made_from(tiny: Path) -> None:
    import torch

    from online_runtime.engine.models.tiny import make_parts

    model, clip, vae = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
    unet, text, autoencoder = make_parts(0)
    assert model.family is Family.SD1 and model.noise.prediction is Prediction.NOISE
    assert len(model.unet.module.state_dict()) == len(unet.state_dict())
    assert same_weights(model.unet.module, unet)
    assert same_weights(clip.encoders[0].network.module, text)
    assert same_weights(vae.network, autoencoder)
    latent, context = torch.randn(2, 4, 8, 8), torch.randn(2, 77, 32)
    with torch.no_grad():
        expected = unet(latent, torch.tensor([7, 7]), context, return_dict=False)[0]
        given = model.unet(latent, torch.tensor([7, 7]), context, return_dict=False)[0]
        assert torch.equal(expected, given)
        assert torch.equal(autoencoder.decode(latent).sample, vae.network.decode(latent).sample)


def test_our_names_agree_with_diffusers_own_conversion(tiny_checkpoint: Path) -> None:
    import torch
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint, convert_ldm_vae_checkpoint
    from safetensors.torch import load_file

    from online_runtime.engine.models.tiny import make_parts

    unet, _, vae = make_parts(0)
    theirs = convert_ldm_unet_checkpoint(load_file(tiny_checkpoint), dict(unet.config))
    assert set(theirs) == set(unet.state_dict())
    assert all(torch.equal(theirs[name], tensor) for name, tensor in unet.state_dict().items())
    theirs = convert_ldm_vae_checkpoint(load_file(tiny_checkpoint), dict(vae.config))
    assert set(theirs) == set(vae.state_dict())
    assert all(torch.equal(theirs[n].reshape(t.shape), t) for n, t in vae.state_dict().items())


def test_the_text_is_encoded_as_transformers_does(tiny: Path) -> None:
    import torch

    _, clip, _ = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
    encoder = clip.encoders[0]
    ids = torch.tensor([[512, *encoder.tokenizer.words("cat")[0], *[513] * 73]])
    with torch.no_grad():
        output = encoder.network.module(input_ids=ids)
    encoded = clip.encode("cat")
    assert torch.allclose(encoded.tokens, output.last_hidden_state, atol=1e-5)
    assert torch.allclose(encoded.pooled, output.pooler_output, atol=1e-5)


def test_sd2_is_recognised_with_its_own_text_layout_and_v_prediction(base: Path, layouts: ModuleType) -> None:
    import torch

    original = layouts.write_sd2(base / "models/checkpoints/two.safetensors")
    model, clip, vae = CheckpointLoaderSimple().load_checkpoint("two.safetensors")
    assert model.family is Family.SD2 and model.noise.prediction is Prediction.VELOCITY
    assert same_weights(model.unet.module, original.unet) and same_weights(vae.network, original.vae)
    ids = torch.tensor([[512, *clip.encoders[0].tokenizer.words("cat")[0], 513, *[0] * 72]])
    text = original.texts[0]
    with torch.no_grad():
        expected = text.final_layer_norm(text(input_ids=ids, output_hidden_states=True).hidden_states[-2])
    assert torch.allclose(clip.encode("cat").tokens, expected, atol=1e-5)
    # A v-prediction UNet of zeros answers: clean is the input's share, x / (σ² + 1).
    zeros = {name: torch.zeros_like(p) for name, p in original.unet.named_parameters()}
    model.unet.module.load_state_dict(zeros)
    clean = model.denoised(torch.ones(1, 4, 8, 8), 2.0, torch.zeros(1, 77, 32), {})
    assert torch.allclose(clean, torch.full_like(clean, 1 / 5), atol=1e-6)


def test_sdxl_joins_two_text_encoders_and_samples(base: Path, layouts: ModuleType) -> None:
    import torch

    from online_runtime.engine.models.sampling import Plan, sample
    from online_runtime.engine.nodes.conditioning import CLIPTextEncode

    original = layouts.write_sdxl(base / "models/checkpoints/xl.safetensors")
    model, clip, _ = CheckpointLoaderSimple().load_checkpoint("xl.safetensors")
    assert model.family is Family.SDXL
    assert same_weights(model.unet.module, original.unet)
    encoded = clip.encode("cat")
    word = clip.encoders[0].tokenizer.words("cat")[0]
    with torch.no_grad():
        first = original.texts[0](
            input_ids=torch.tensor([[512, *word, *[513] * 73]]), output_hidden_states=True
        )
        second = original.texts[1](
            input_ids=torch.tensor([[512, *word, 513, *[0] * 72]]), output_hidden_states=True
        )
    expected = torch.cat((first.hidden_states[-2], second.hidden_states[-2]), -1)
    assert torch.allclose(encoded.tokens, expected, atol=1e-5)
    assert torch.allclose(encoded.pooled, second.text_embeds, atol=1e-5)
    (conditioning,) = CLIPTextEncode().encode(clip, "cat")
    latent = torch.zeros(2, 4, 8, 8)
    plan = Plan(seed=1, steps=2, scale=5.0, sampler="dpmpp_2m", scheduler="karras")
    assert torch.isfinite(sample(model, plan, conditioning, conditioning, latent)).all()


def test_half_precision_files_load_as_float32_on_the_cpu(base: Path, tiny_checkpoint: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    halves = {name: tensor.half() for name, tensor in load_file(tiny_checkpoint).items()}
    save_file(halves, base / "models/checkpoints/half.safetensors")
    memory.configure(cpu=True)
    try:
        model, _, _ = CheckpointLoaderSimple().load_checkpoint("half.safetensors")
    finally:
        memory.configure(cpu=False)
    assert {p.dtype for p in model.unet.module.parameters()} == {torch.float32}


def test_a_checkpoint_is_read_once_until_its_file_changes(tiny: Path, tiny_checkpoint: Path) -> None:
    first = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
    assert CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0] is first[0]
    path = tiny / "models/checkpoints/tiny.safetensors"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0] is not first[0]


def test_free_forgets_the_weights(tiny: Path) -> None:
    first = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0]
    memory.free(unload=False)
    assert CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0] is first
    memory.free(unload=True)
    assert CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0] is not first


def test_weights_loaded_within_a_prompt_are_ordinary_tensors_and_work_in_it(tiny: Path) -> None:
    import torch

    memory.free(unload=True)
    with torch.inference_mode():
        model, clip, vae = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
        model, clip = LoraLoader().load_lora(model, clip, "tiny-lora.safetensors", 1.0, 1.0)
        assert torch.isfinite(clip.encode("cat").tokens).all()
        given = model.denoised(torch.ones(1, 4, 8, 8), 2.0, torch.zeros(1, 77, 32), {})
        assert torch.isfinite(vae.decode(given)).all()
    assert not any(p.is_inference() for p in model.unet.module.parameters())
    assert torch.isfinite(clip.encode("dog").tokens).all()


def test_many_loras_do_not_push_out_the_checkpoint(tiny: Path, tiny_lora: Path) -> None:
    first, clip, _ = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")
    for n in range(memory.KEPT_FILES["checkpoint"] + 2):
        (tiny / f"models/loras/{n}.safetensors").write_bytes(tiny_lora.read_bytes())
        LoraLoader().load_lora(first, clip, f"{n}.safetensors", 1.0, 1.0)
    assert CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0] is first


def test_running_out_of_memory_is_raised_and_forgets_the_weights(tiny: Path) -> None:
    import torch

    first = CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0]
    with pytest.raises(torch.OutOfMemoryError), memory.dropping_when_full():
        raise torch.OutOfMemoryError("no room")
    assert CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[0] is not first


def test_overwriting_the_file_does_not_change_loaded_weights(base: Path, tiny_checkpoint: Path) -> None:
    path = base / "models/checkpoints/mine.safetensors"
    path.write_bytes(tiny_checkpoint.read_bytes())
    model, _, _ = CheckpointLoaderSimple().load_checkpoint("mine.safetensors")
    before = {name: tensor.clone() for name, tensor in model.unet.module.state_dict().items()}
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 4)
        file.write(b"\xff" * (path.stat().st_size // 2))
    after = model.unet.module.state_dict()
    assert all(bool((before[name] == after[name]).all()) for name in before)


def test_a_checkpoint_that_lacks_a_tensor_says_which(base: Path, tiny_checkpoint: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_checkpoint)
    del tensors["model.diffusion_model.out.2.bias"]
    save_file(tensors, base / "models/checkpoints/partial.safetensors")
    with pytest.raises(WeightsIncomplete, match=r"UNet.*conv_out\.bias"):
        CheckpointLoaderSimple().load_checkpoint("partial.safetensors")


def test_a_checkpoint_that_was_cut_off_is_refused(base: Path, tiny_checkpoint: Path) -> None:
    content = tiny_checkpoint.read_bytes()
    (base / "models/checkpoints/cut.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(NotSafetensors, match="download or copy it again"):
        CheckpointLoaderSimple().load_checkpoint("cut.safetensors")


def test_inpainting_weights_are_refused_with_the_reason(tmp_path: Path, tiny_checkpoint: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_checkpoint)
    tensors["model.diffusion_model.input_blocks.0.0.weight"] = torch.zeros(32, 9, 3, 3)
    save_file(tensors, tmp_path / "inpaint.safetensors")
    with pytest.raises(UnknownFamily, match="9 channels"):
        recognise(read_header(tmp_path / "inpaint.safetensors"))


def test_a_missing_checkpoint_is_named(base: Path) -> None:
    with pytest.raises(ModelMissing, match=r"gone\.safetensors"):
        CheckpointLoaderSimple().load_checkpoint("gone.safetensors")


@pytest.mark.parametrize("prefix", ["", "first_stage_model."])
def test_a_vae_loads_from_a_file_of_its_own(tiny: Path, tiny_checkpoint: Path, prefix: str) -> None:
    from safetensors.torch import load_file, save_file

    inside = "first_stage_model."
    tensors = {
        prefix + n.removeprefix(inside): t
        for n, t in load_file(tiny_checkpoint).items()
        if n.startswith(inside)
    }
    save_file(tensors, tiny / "models/vae/own.safetensors")
    (vae,) = VAELoader().load_vae("own.safetensors")
    assert same_weights(vae.network, CheckpointLoaderSimple().load_checkpoint("tiny.safetensors")[2].network)
