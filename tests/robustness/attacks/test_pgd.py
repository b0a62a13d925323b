"""PGD and FGSM on networks: against brute force, against torchattacks, and the promises of batching."""

import importlib.util
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lemmata import nets
from lemmata.figures import static
from lemmata.robustness.attacks import fgsm, log_odds, pgd
from lemmata.robustness.attacks.balls import distance

ORACLES = Path(__file__).parents[2] / "oracles"
F64 = torch.float64


def perceptron(seed: int = 0, inputs: int = 12, classes: int = 4, activation: str = "tanh") -> nn.Module:
    return nets.mlp(inputs, [16], classes, activation=activation, gain=3.0, seed=seed, dtype=F64).eval()


def images(count: int = 30, inputs: int = 12, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return (1.6 * torch.rand(count, inputs, generator=draw, dtype=F64) - 0.3).clamp(0, 1)


def labels(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(x).argmax(1)


# ---- against other answers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_brute_force_on_tiny_networks(norm):
    """Two inputs: the largest log-odds over 40,000 points of the ball, local ones among them: 50 restarts."""
    model, x = perceptron(3, inputs=2), images(12, 2, seed=5)
    y = labels(model, x)
    eps = 0.2
    side = torch.linspace(-eps, eps, 201, dtype=F64)
    moves = torch.cartesian_prod(side, side)
    moves = moves[distance(moves, torch.zeros_like(moves), norm) <= eps]
    grid = x[:, None] + moves
    with torch.no_grad():
        values = log_odds(model(grid.flatten(0, 1)).unflatten(0, (12, -1)), y[:, None].expand(12, len(moves)))
    allowed = ((grid >= 0) & (grid <= 1)).all(2)
    best = values.masked_fill(~allowed, -torch.inf).amax(1)
    found = pgd(model, x, y, eps=eps, norm=norm, steps=60, restarts=50, early_exit=False)
    reached = log_odds(model(found.adversarial), y).detach()
    # The grid is 0.002 apart; the gradient of the log-odds is below 30 here, so that it misses at most 0.06.
    assert bool((reached > best - 1e-6).all()), (reached - best).min()
    assert bool((reached < best + 0.06).all())


@pytest.fixture(scope="module")
def recorded():
    spec = importlib.util.spec_from_file_location("torchattacks_record", ORACLES / "torchattacks_record.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, json.loads((ORACLES / "torchattacks_3.5.1.json").read_text())["cases"]


@pytest.mark.parametrize("place", range(15))
def test_at_least_as_strong_as_torchattacks(recorded, place):
    """Same steps from the same points. Signs: the same path, to float32. l2: the projection uses all of eps."""
    module, case = recorded[0], recorded[1][place]
    net, x = module.network(**case["network"]), module.images()
    assert float(sum(p.detach().double().sum() for p in net.parameters())) == pytest.approx(case["weights"], abs=1e-9)
    y, theirs = labels(net, x), torch.tensor(case["loss"])
    if case["attack"] == "FGSM":
        found = fgsm(net, x, y, eps=case["eps"])
    else:
        found = pgd(
            net, x, y, eps=case["eps"], norm="l2" if case["attack"] == "PGDL2" else "linf", steps=case["steps"],
            step_size=case["alpha"], random_start=False, early_exit=False,
        )  # fmt: skip
    ours = found.loss_at_end
    assert int(found.success.sum()) >= sum(case["broken"])
    assert float(ours.mean()) >= float(theirs.mean()) - 1e-6
    if case["network"]["scale"] == 1.0:
        assert bool((ours >= theirs - 1e-6).all())
        if case["attack"] != "PGDL2":
            torch.testing.assert_close(found.loss[-1], theirs, rtol=0, atol=1e-6)
        else:
            assert bool((found.distance >= torch.tensor(case["l2"]) - 1e-6).all())


def test_a_confident_network_is_attacked_where_rounded_cross_entropy_is_lost(recorded):
    """Logits times 3,000: in float32 the gradient of cross-entropy is 0, that of the log-odds is not."""
    module = recorded[0]
    net, x = module.network("perceptron", 3, 3000.0), module.images()
    y = labels(net, x)
    z = x.clone().requires_grad_()
    slope = torch.autograd.grad(nn.functional.cross_entropy(net(z), y, reduction="sum"), z)[0]
    lost = (slope.flatten(1) == 0).all(1)
    assert float(lost.float().mean()) > 0.3
    exact = module.network("perceptron", 3, 3000.0).double()
    for norm, eps in (("linf", 0.1), ("l2", 1.0)):
        found = pgd(net, x, y, eps=eps, norm=norm, random_start=False)
        assert int(found.success[lost].sum()) > 0.3 * int(lost.sum())
        assert not found.vanished.any()
        wanted = pgd(exact, x.double(), y, eps=eps, norm=norm, random_start=False)
        assert int((found.success != wanted.success).sum()) <= 1  # a path may turn on a rounded corner


# ---- promises --------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6), norm=st.sampled_from(["linf", "l2"]), box=st.booleans(), early=st.booleans(),
    size=st.tuples(st.integers(1, 3), st.integers(1, 6)), targeted=st.booleans(),
)  # fmt: skip
def test_what_is_found_lies_in_the_ball_and_the_box_and_is_judged_right(*, seed, norm, box, early, size, targeted):
    restarts, steps = size
    model, x = perceptron(seed), images(7, seed=seed)
    y = labels(model, x)
    y = (y + 1) % 4 if targeted else y
    eps = [0.0, 0.05, 0.3, 1.0]
    found = pgd(
        model, x, y, eps=eps, norm=norm, clip=(0, 1) if box else None, early_exit=early, restarts=restarts,
        steps=steps, targeted=targeted, seed=seed,
    )  # fmt: skip
    radii = torch.tensor(eps, dtype=F64)[:, None]
    for z, away, hit, value, radius in zip(
        found.adversarial, found.distance, found.success, found.loss_at_end, radii, strict=True
    ):
        torch.testing.assert_close(distance(z, x, norm), away)
        assert bool((away <= radius * (1 + 1e-12) + 1e-15).all())
        assert not box or bool(((z >= 0) & (z <= 1)).all())
        assert ((labels(model, z) == y) == targeted).equal(hit)
        entropy = nn.functional.cross_entropy(model(z), y, reduction="none").detach()
        torch.testing.assert_close(value, -entropy if targeted else entropy)
    assert found.adversarial[0].equal(x)
    if early:
        assert bool((found.success[1:] >= found.success[:-1]).all())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_early_exit_breaks_the_same_images_for_fewer_gradients(norm):
    model, x = perceptron(1), images(60)
    y = labels(model, x)
    long, short = (
        pgd(model, x, y, eps=0.1 if norm == "linf" else 0.25, norm=norm, early_exit=early) for early in (False, True)
    )
    assert short.success.equal(long.success)
    assert 0 < int(short.success.sum()) < 60
    assert long.gradients == 60 * 40
    assert short.gradients < 0.9 * long.gradients
    standing = ~long.success
    torch.testing.assert_close(short.adversarial[standing], long.adversarial[standing])
    assert bool((short.loss_at_end <= long.loss_at_end + 1e-12).all())
    ended = short.loss.isnan()
    assert bool((ended[1:] >= ended[:-1]).all())
    assert not ended[:, standing].any()


def test_more_restarts_and_more_steps_never_weaken():
    model, x = perceptron(2, activation="relu"), images(40)
    y = labels(model, x)
    by_restarts = [pgd(model, x, y, eps=0.1, steps=5, restarts=r, early_exit=False).loss_at_end for r in (1, 2, 5)]
    by_steps = [
        pgd(model, x, y, eps=0.1, steps=s, step_size=0.02, early_exit=False).loss_at_end for s in (1, 3, 9)
    ]  # fmt: skip
    for values in (by_restarts, by_steps):
        for less, more in pairwise(values):
            assert bool((more >= less - 1e-12).all())
        assert int((values[-1] > values[0] + 1e-9).sum()) >= 3


@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_neither_the_batch_nor_the_block_matters(batch, monkeypatch):
    model, x = perceptron(4), images(20)
    y = labels(model, x)
    options = {"eps": [0.05, 0.2], "restarts": 3, "steps": 8, "seed": 11, "norm": "l2"}
    wanted = pgd(model, x, y, **options)
    if batch == 7:
        monkeypatch.setattr("lemmata.robustness.attacks.ascent.STATE", 1)  # an image a block
    found = pgd(model, x, y, batch=batch, **options)
    assert found.success.equal(wanted.success)
    torch.testing.assert_close(found.adversarial, wanted.adversarial)
    torch.testing.assert_close(found.loss, wanted.loss, equal_nan=True)
    assert (found.gradients, found.evaluations) == pytest.approx((wanted.gradients, wanted.evaluations), rel=0.1)


def test_several_models_are_attacked_as_each_alone():
    models, x = [perceptron(seed) for seed in (1, 2, 3)], images(25)
    y = labels(models[0], x)
    for attack in (pgd, fgsm):
        options = {} if attack is fgsm else {"seed": 3, "restarts": 2, "steps": 6}
        together = attack(models, x, y, eps=[0.1, 0.2], **options)
        assert together.success.shape == (3, 2, 25)
        for i, model in enumerate(models):
            alone = attack(model, x, y, eps=[0.1, 0.2], **options)
            assert together.success[i].equal(alone.success)
            torch.testing.assert_close(together.adversarial[i], alone.adversarial)
            torch.testing.assert_close(together.loss[:, i], alone.loss, equal_nan=True)


def test_radii_one_an_image_or_a_grid():
    model, x = perceptron(5), images(9)
    y = labels(model, x)
    own = torch.linspace(0.01, 0.3, 9, dtype=F64)
    each = pgd(model, x, y, eps=own, early_exit=False, steps=5)
    for i in range(9):
        alone = pgd(model, x, y, eps=float(own[i]), early_exit=False, steps=5)
        torch.testing.assert_close(each.adversarial[i], alone.adversarial[i])
    grid = pgd(model, x, y, eps=[0.1, 0.2], early_exit=False, steps=5)
    column = pgd(model, x, y, eps=torch.tensor([[0.1], [0.2]]), early_exit=False, steps=5)
    assert grid.eps.shape == (2, 9)
    torch.testing.assert_close(grid.adversarial, column.adversarial, rtol=1e-6, atol=1e-6)  # 0.1 in float32


def test_a_targeted_attack_reaches_its_class():
    model, x = perceptron(6), images(30)
    y = labels(model, x)
    target = (y + 1) % 4
    found = pgd(model, x, target, eps=0.8, targeted=True, restarts=2)
    assert float(found.success.double().mean()) > 0.7
    assert bool((labels(model, found.adversarial)[found.success] == target[found.success]).all())
    assert bool((pgd(model, x, y, eps=0.1, targeted=True).distance == 0).all())  # there already


def test_nothing_of_the_model_is_changed():
    model, x = perceptron(7), images(10)
    y = labels(model, x)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    x.requires_grad_()
    pgd(model, x, y, eps=0.1)
    fgsm(model, x, y, eps=0.1)
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert x.grad is None
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())
    assert not model.training


def test_seeds_decide_and_generators_serve():
    model, x = perceptron(8), images(10)
    y = labels(model, x)

    def starts(seed):
        return pgd(model, x, y, eps=0.3, steps=1, step_size=0.0, early_exit=False, seed=seed).loss[0]

    assert starts(1).equal(starts(1))
    assert not starts(1).equal(starts(2))
    generator = torch.Generator().manual_seed(1)
    assert not starts(generator).equal(starts(generator))
    before = torch.get_rng_state()
    starts(3)
    assert torch.get_rng_state().equal(before)


def test_schedules_and_losses_of_ones_own():
    model, x = perceptron(9), images(10)
    y = labels(model, x)
    still = pgd(model, x, y, eps=0.3, schedule=lambda k, steps: 0.0, random_start=False, early_exit=False)
    assert still.adversarial.equal(x)
    climbed = pgd(model, x, y, eps=0.3, loss=lambda logits, y: logits[:, 0], early_exit=False)
    torch.testing.assert_close(climbed.loss_at_end, model(climbed.adversarial)[:, 0].detach())
    assert bool((climbed.loss_at_end > model(x)[:, 0]).all())


def test_plots_show_images_or_the_course():
    draw = torch.Generator().manual_seed(0)
    net = nets.convnet(4, image=(1, 14, 14), seed=0).eval()
    x = torch.rand(12, 1, 14, 14, generator=draw)
    found = pgd(net, x, labels(net, x), eps=[0.05, 0.1], steps=3)
    figure = found.plot()
    assert figure.panels[0].y.ticks[::2] == ("adversarial", "image")
    assert "ℓ∞ eps = 0.05" in figure.title
    assert static.render(figure, None).startswith("<svg")
    top = figure.panels[0].fields[0].z[-1, :14]  # the first row of the first image is drawn at the top
    first = int(found.success[0].nonzero()[0]) if found.success[0].any() else 0
    assert top == pytest.approx(x[first, 0, 0].numpy())
    flat = pgd(perceptron(), images(), labels(perceptron(), images()), eps=0.1)
    course = flat.plot()
    assert static.render(course, None).startswith("<svg")
    curve = course.panels[0].series[0]
    assert (np.diff(curve.y) >= 0).all()  # the largest loss so far does not fall as the broken leave
    assert (curve.low <= curve.y).all()
    assert (curve.y <= curve.high).all()
    assert f"{float(flat.success.double().mean()):.0%} at 0.1" in course.title


@pytest.mark.gpu
def test_the_device_does_not_matter():
    model, x = perceptron(1), images(20)
    y = labels(model, x)
    wanted = pgd(model, x, y, eps=[0.05, 0.2], restarts=2, norm="l2")
    found = pgd(model.cuda(), x.cuda(), y.cuda(), eps=[0.05, 0.2], restarts=2, norm="l2")
    assert found.adversarial.is_cuda
    assert found.success.cpu().equal(wanted.success)
    torch.testing.assert_close(found.adversarial.cpu(), wanted.adversarial, rtol=0, atol=1e-6)
