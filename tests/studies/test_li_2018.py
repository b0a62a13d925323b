"""The study of Li et al.: its measure of convexity, what it trains, and that its parts say what they claim to."""

import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lemmata import data
from lemmata.errors import DataMissing
from lemmata.plan import make
from lemmata.studies import li_2018 as li
from lemmata.studies._li_2018_batch import Batch, compare_batches, explained, network, shrunk
from lemmata.studies._li_2018_convexity import violations
from lemmata.studies._li_2018_depth import Depth, images, train_and_draw
from lemmata.studies._li_2018_published import Errors, Published, count_errors, draw_published, published
from lemmata.verdicts import Outcome

X = np.linspace(-1, 1, 9)
TINY = {"n": 100, "n_test": 80, "large": 100, "small": 10, "epochs": 4, "samples": 50, "pool": 4, "width": 16}


# ---- the measure of convexity ----------------------------------------------------------------------------------------


def by_definition(f):
    """Every pair of grid points whose midpoint is a grid point, one by one."""
    points = [(i, j) for i in range(f.shape[0]) for j in range(f.shape[1])]
    pairs = convex = quasi = 0
    for a, u in enumerate(points):
        for v in points[a + 1 :]:
            if (u[0] + v[0]) % 2 or (u[1] + v[1]) % 2:
                continue
            middle = f[(u[0] + v[0]) // 2, (u[1] + v[1]) // 2]
            pairs += 1
            convex += middle > (f[u] + f[v]) / 2
            quasi += middle > max(f[u], f[v])
    return convex / pairs, quasi / pairs


@pytest.mark.parametrize("shape", [(5, 5), (4, 7), (7, 4), (6, 6)])
def test_violations_are_those_of_the_definition(shape):
    f = np.random.default_rng(sum(shape)).normal(size=shape)
    assert violations(f, rounding=0.0) == pytest.approx(by_definition(f), abs=1e-12)


@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6), st.floats(1e-3, 1e6))
@settings(max_examples=50, deadline=None)
def test_no_convex_surface_is_found_guilty_at_any_scale(v, scale):
    a = np.array(v[:4]).reshape(2, 2)
    hessian = a @ a.T
    x, y = np.meshgrid(X, X)
    quadratic = hessian[0, 0] * x**2 + 2 * hessian[0, 1] * x * y + hessian[1, 1] * y**2 + v[4] * x + v[5] * y
    assert violations(scale * (quadratic + 30)) == (0.0, 0.0)
    assert violations(scale * np.exp(quadratic / 10))[0] == 0.0


def test_bumps_count_and_infinity_far_out_does_not():
    f = X**2 + X[:, None] ** 2
    f[4, 4] = 3.0
    both = violations(f)
    assert 0 < both[1] <= both[0] < 0.1
    f = X**2 + X[:, None] ** 2
    f[0], f[:, -1], f[2, 2] = np.inf, np.inf, np.nan
    assert violations(f) == (0.0, 0.0)
    f[4, 4] = np.inf
    assert violations(f)[0] > 0
    assert np.isnan(violations(np.full((3, 3), np.nan))).all()


# ---- depth -----------------------------------------------------------------------------------------------------------


def test_images_are_padded_pooled_whitened_and_have_three_channels():
    x = torch.rand(4, 1, 28, 28)
    made = images(x, 4)
    assert made.shape == (4, 3, 8, 8)
    torch.testing.assert_close(made[:, 0], made[:, 2])
    torch.testing.assert_close(made.flatten(1).mean(1), torch.zeros(4), atol=1e-6, rtol=0)
    assert images(torch.rand(2, 3, 32, 32), 1).shape == (2, 3, 32, 32)


def test_members_do_not_see_each_other():
    """Tolerance: a grouped convolution adds up in another order; 16 steps amplify that, 2 % of a loss in practice."""
    values = {"n": 60, "n_test": 50, "depth": 8, "epochs": 2, "batch": 20, "images": 30, "points": 5, "planes": 1}
    configs = [Depth.build({**values, "seed": seed}) for seed in (0, 1)]
    for config, found in zip(configs, train_and_draw(configs), strict=True):
        (alone,) = train_and_draw([config])
        assert found.scalars["train_loss"] == pytest.approx(alone.scalars["train_loss"], rel=1e-3)
        np.testing.assert_allclose(found.arrays["surface"], alone.arrays["surface"], rtol=2e-2)


# ---- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mlp", "vgg9"])
def test_shrunk_weights_give_the_same_function(kind):
    config = Batch.build({"network": kind, "width": 8})
    side, channels = (32, 3) if kind == "vgg9" else (8, 1)
    net = network(config, channels, side, seed=0)
    x = torch.randn(6, channels, side, side)
    net(x)  # running statistics are not those of the start
    net.eval()
    small = shrunk(net, 0.2)
    torch.testing.assert_close(small(x), net(x), rtol=1e-4, atol=1e-4)  # float32, nine layers
    first = next(p for p in net.parameters() if p.ndim > 1)
    torch.testing.assert_close(next(p for p in small.parameters() if p.ndim > 1), 0.2 * first)
    assert sum(p.ndim > 1 for p in net.parameters()) == (9 if kind == "vgg9" else 4)


def test_two_components_of_a_long_random_walk_hold_76_percent():
    walk = torch.randn(400, 4000, generator=torch.Generator().manual_seed(0)).cumsum(0)
    assert explained(walk) == pytest.approx(6 / np.pi**2 * 1.25, abs=0.01)
    assert explained(torch.randn(100, 5000, generator=torch.Generator().manual_seed(1))) < 0.05


def test_pairs_are_measured_alike_alone_and_together():
    configs = [
        Batch.build({**TINY, "seed": seed, **more})
        for seed, more in ((0, {}), (1, {"decayed": True}), (0, {"normalization": "none", "shrink": 0.2}),
                           (0, {"plane": "random", "steps": "independent"}), (0, {"against": "small"}))
    ]  # fmt: skip
    together = compare_batches(configs)
    for config, found in zip(configs, together, strict=True):
        (alone,) = compare_batches([config])
        assert found.scalars == pytest.approx(alone.scalars, rel=1e-2, abs=1e-3)  # steps amplify rounding
    plain, _, unnormalised, random, same = (m.scalars for m in together)
    assert plain["moved"] < 1e-3 < unnormalised["moved"]
    assert random["explained_small"] < 0.05
    assert plain["explained_small"] > 0.4
    assert random["walk"] < plain["walk"] - 0.2  # of five points
    assert same["error_small"] == plain["error_small"]
    assert same["error_large"] != plain["error_large"]


# ---- the whole study -------------------------------------------------------------------------------------------------


def test_invariance_is_exact_even_at_smoke_scale(smoke):
    verdicts = smoke("li-2018").verdicts
    assert verdicts["filter-normalisation-is-invariant"].outcome is Outcome.REPRODUCED
    assert verdicts["vgg9-test-errors"].outcome is Outcome.NOT_TESTABLE


def test_paper_scale_covers_the_published_networks_and_names_what_is_missing(tmp_path):
    plan = make(li.study, scale="paper", data_dir=tmp_path)
    for name in ("published-residual-error", "published-plain-surface", "plain-not-convex", "line-with-decay"):
        assert plan.of_claim[name]
    missing = {entry.experiment: str(entry) for entry in plan.missing}
    assert set(missing) == {"depth", "batch", "published", "published-errors"}
    assert "resnet56_epoch300.npz" in missing["published"]
    laptop = make(li.study, scale="laptop", data_dir=tmp_path)
    assert not laptop.missing


def test_absent_images_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LEMMATA_DATA", str(tmp_path))
    with pytest.raises(DataMissing, match=r"test_batch.bin is not in .*lemmata data fetch cifar10"):
        count_errors([Errors()])


LAPTOP = {
    "residual-nearly-convex": Outcome.INCONCLUSIVE,
    "shortcuts-keep-convexity": Outcome.INCONCLUSIVE,
    "large-batches-worse-with-decay": Outcome.INCONCLUSIVE,
    "path-in-two-dimensions-large-without-decay": Outcome.CONTRADICTED,  # 99 %: more than the paper's 90 %
    "path-in-two-dimensions-large-with-decay": Outcome.CONTRADICTED,
    "densenet-eigenvalues": Outcome.NOT_TESTABLE,
    "vgg9-test-errors": Outcome.NOT_TESTABLE,
}


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    laptop("li-2018").assert_outcomes(but=LAPTOP)


HERE = os.environ.get("LEMMATA_DATA")
with_weights = pytest.mark.skipif(
    not (HERE and next(e for e in data.available() if e.name == "resnet56-cifar10").found),
    reason="the published weights are not here: name their folder by LEMMATA_DATA",
)


@pytest.mark.slow
@with_weights
def test_for_random_labels_the_published_weights_are_no_solution():
    """Nats at the middle of the plane: next to none for the labels the weights were trained on, many for others."""
    settings = [Published(images=10, points=3, labels=labels) for labels in ("true", "random")]
    try:
        solved, not_solved = (m.arrays["surface"][1, 1] for m in draw_published(settings))
    except DataMissing as missing:
        pytest.skip(str(missing))
    assert solved < 0.1
    assert not_solved > 5.0


@pytest.mark.slow
@with_weights
@pytest.mark.parametrize(("shortcuts", "wrong"), [(True, 29), (False, 66)])
def test_published_networks_misclassify_as_many_of_the_first_500(shortcuts, wrong):
    from lemmata.studies._li_2018_published import batch

    try:
        x, y = batch("test_batch.bin", verify=False)
    except DataMissing as missing:
        pytest.skip(str(missing))
    with torch.no_grad():
        net = published(shortcuts)
        found = sum(
            int((net(a).argmax(1) != b).sum()) for a, b in zip(x[:500].split(250), y[:500].split(250), strict=True)
        )
    assert found == wrong
