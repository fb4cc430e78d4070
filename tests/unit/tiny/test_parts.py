"""The pieces below a training: packing as diffusers packs, schedules, Muon, the matte, the photos' heads."""

import copy

import numpy as np
import pytest
import torch
from diffusers import FluxPipeline

from portraitist.engine.tiny.attention import TrainingAttention
from portraitist.engine.tiny.autoencoder import shuffle, unshuffle
from portraitist.engine.tiny.drawing import Scene, compose
from portraitist.engine.tiny.flow import make_transformer, pack, positions, unpack
from portraitist.engine.tiny.light import relight
from portraitist.engine.tiny.matte import matte_guessed
from portraitist.engine.tiny.muon import orthogonal
from portraitist.engine.tiny.people import identity
from portraitist.engine.tiny.photos import find_head, words_of
from portraitist.engine.tiny.pixels import picture_loss
from portraitist.engine.tiny.schedule import decay, rate


def test_latents_are_packed_and_numbered_as_the_pipeline_does() -> None:
    latents = torch.randn(2, 16, 16, 12)
    packed = pack(latents)
    assert torch.equal(packed, FluxPipeline._pack_latents(latents, 2, 16, 16, 12))
    assert torch.equal(unpack(packed, 16, 12), latents)
    theirs = FluxPipeline._prepare_latent_image_ids(1, 8, 6, torch.device("cpu"), torch.float32)
    assert torch.equal(positions(8, 6), theirs)


def test_attention_while_training_is_the_pipelines_own() -> None:
    torch.manual_seed(0)
    theirs = make_transformer()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    ours = copy.deepcopy(theirs)
    ours.set_attn_processor(TrainingAttention())
    given = {
        "hidden_states": torch.randn(2, 48, 64), "encoder_hidden_states": torch.randn(2, 20, 128),
        "pooled_projections": torch.randn(2, 128), "timestep": torch.rand(2), "img_ids": positions(8, 6),
        "txt_ids": torch.zeros(20, 3), "return_dict": False,
    }  # fmt: skip
    wanted, made = theirs(**given)[0], ours(**given)[0]
    assert torch.allclose(made, wanted, atol=1e-5)
    pull = torch.randn_like(wanted)
    wanted.backward(pull)
    made.backward(pull)
    for (name, first), second in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        assert first.grad is not None, name
        assert second.grad is not None, name
        assert torch.allclose(second.grad, first.grad, rtol=1e-3, atol=1e-4), name


def test_the_picture_loss_is_its_formula_and_its_gradient() -> None:
    torch.manual_seed(0)
    made, wanted, weights = torch.randn(2, 3, 8, 6), torch.randn(2, 3, 8, 6), torch.rand(2, 1, 8, 6)
    plain, quick = made.clone().requires_grad_(), made.clone().requires_grad_()
    error = plain - wanted
    across, down = error.diff(dim=-1).abs(), error.diff(dim=-2).abs()
    formula = (
        (error.abs() * weights).mean()
        + (across * weights[..., 1:]).mean()
        + (down * weights[..., 1:, :]).mean()
    )
    loss = picture_loss(quick, wanted, weights)
    assert float(loss.detach()) == pytest.approx(float(formula.detach()), rel=1e-5)
    formula.backward()
    loss.backward()
    assert plain.grad is not None
    assert quick.grad is not None
    assert torch.allclose(quick.grad, plain.grad, atol=1e-7)


def test_shuffling_is_undone() -> None:
    pictures = torch.randn(2, 3, 32, 16)
    assert torch.equal(shuffle(unshuffle(pictures, 4), 4), pictures)


def test_an_untrained_transformer_says_zero() -> None:
    assert not make_transformer().proj_out.weight.any()


@pytest.mark.parametrize("shape", [(8, 32), (32, 8)])
def test_muon_brings_singular_values_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(2, *shape)).float())
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.4


def test_the_rate_warms_up_holds_and_falls() -> None:
    assert rate(0, 0.0, warm_up=10, hold=0.5) == pytest.approx(0.1)
    assert rate(50, 0.4, warm_up=10, hold=0.5) == 1
    assert rate(99, 1.0, warm_up=10, hold=0.5, floor=0.02) == pytest.approx(0.02)


def test_an_average_forgets_the_start_quickly_and_later_slowly() -> None:
    assert decay(0, 0.99) < 0.2
    assert decay(10_000, 0.99) == 0.99


def test_a_drawn_person_before_a_plain_backdrop_is_cut_out() -> None:
    rng = np.random.default_rng(3)
    picture = compose(rng, identity(rng), Scene("teal background", "", "", "")).astype(np.uint8)
    alpha = matte_guessed(picture)
    assert alpha is not None
    assert alpha[5, 5] < 0.2
    assert alpha[120:150, 90:102].mean() > 0.8
    head = find_head(alpha)
    assert head is not None
    assert abs(head.x - 96) < 30


def test_colourless_and_dark_pictures_are_called_so() -> None:
    grey = np.full((256, 192, 3), 40, np.uint8)
    assert words_of(grey) == ["dark", "black and white"]


def test_black_and_white_has_no_colour_left() -> None:
    picture = np.random.default_rng(0).uniform(0, 255, (16, 12, 3)).astype(np.float32)
    grey = relight(picture, ["black and white"], np.random.default_rng(0))
    assert float((grey.max(-1) - grey.min(-1)).max()) < 1e-3
