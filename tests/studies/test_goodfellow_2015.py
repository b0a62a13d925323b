"""The study of Goodfellow et al.: exact symmetries of its lines, that members do not see each other, its verdicts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lemmata import data, training
from lemmata.studies import _goodfellow_2015_lines as lines
from lemmata.studies._goodfellow_2015_lines import Interpolation, convex_envelope, judged, permuted, untrained
from lemmata.verdicts import Outcome
from lemmata.verdicts.verdict import ControlOutcome

TINY = {"n": 60, "pool": 4, "network.width": 12, "training.batch": 20, "training.epochs": 8, "points": 11}
ACTIVATIONS = ["relu", "tanh", "sigmoid", "maxout"]


def tiny(**values) -> Interpolation:
    return Interpolation.build({**TINY, **values})


def network(activation: str):
    config = tiny(**{"network.activation": activation})
    return config, untrained(config, data.load("mnist-5k"), 0)


def test_maxout_units_are_the_largest_of_their_pieces():
    z = torch.tensor([[1.0, 3.0, -2.0, -5.0]])
    assert lines.Maxout(2)(z).tolist() == [[3.0, -2.0]]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_permuted_units_are_the_same_function_far_away(activation):
    config, model = network(activation)
    x = torch.randn(20, 1, 7, 7, generator=torch.Generator().manual_seed(0))
    outputs, state = model(x), {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pieces = config.network.pieces if activation == "maxout" else 1
    moved = permuted(state, torch.Generator().manual_seed(1), pieces)
    again = permuted(moved, torch.Generator().manual_seed(1), pieces)
    assert all(again[name].equal(tensor) for name, tensor in state.items())  # an involution, to the last bit
    away = sum(float((moved[name] - tensor).square().sum()) for name, tensor in state.items())
    assert away > 0.5 * sum(float(tensor.square().sum()) for tensor in state.values())
    model.load_state_dict(moved)
    torch.testing.assert_close(model(x), outputs, atol=1e-6, rtol=0)  # sums of 12 terms in another order


def test_the_line_to_the_permuted_copy_is_symmetric():
    (found,) = lines.lines([tiny(line="permuted")])
    y = found.curves["loss"].y
    np.testing.assert_allclose(y, y[::-1], atol=1e-5)  # float32 losses


def test_ends_of_the_lines_are_what_they_say():
    configs = [tiny(line=line) for line in ("initialisation", "unrelated", "solutions", "permuted")]
    own, unrelated, solutions, copy = (found.curves["loss"].y for found in lines.lines(configs))
    scalars = lines.lines(configs[:1])[0].scalars
    solution = scalars["final_loss"] / scalars["initial_loss"]
    assert own[0] == pytest.approx(1.0, abs=1e-6)
    for y in (own, unrelated, solutions, copy):
        assert y[-1] == pytest.approx(solution, abs=1e-5)
    assert copy[0] == pytest.approx(solution, abs=1e-5)
    assert unrelated[0] != pytest.approx(1.0, abs=1e-4)
    assert solutions[0] != pytest.approx(solution, abs=1e-5)
    assert solutions[0] < 0.9


def test_the_other_solution_has_weights_and_batches_of_its_own():
    config, whole = tiny(line="solutions"), data.load("mnist-5k")
    (found,) = lines.lines([config])
    x, y = lines.sample(config, whole, 0)
    start = untrained(config, whole, 0, other=True)
    setting = config.training
    loop = {"batch_size": setting.batch, "epochs": setting.epochs, "optimiser": training.SGD(lr=setting.step_size)}
    final = {}
    for purpose in ("other batches", "batches"):
        result = training.train([start], x, y, seeds=[lines.STREAMS.seed(0, purpose)], **loop)
        final[purpose] = float(result.final["train_loss"][0]) / found.scalars["initial_loss"]
    assert found.curves["loss"].y[0] == pytest.approx(final["other batches"], abs=1e-5)
    assert abs(final["other batches"] - final["batches"]) > 1e-4


def test_a_line_that_reaches_further_is_the_same_line():
    whole, beyond = lines.lines([tiny(points=11), tiny(points=11, reach=1.25)])  # 0, 0.1, ..., and 0, 0.125, ...
    np.testing.assert_allclose(beyond.curves["loss"].y[[0, 4, 8]], whole.curves["loss"].y[[0, 5, 10]], atol=1e-5)


def test_members_do_not_see_each_other():
    configs = [tiny(), tiny(seed=1, line="solutions"), tiny(line="permuted"), tiny(line="unrelated", reach=1.25)]
    for config, found in zip(configs, lines.lines(configs), strict=True):
        (alone,) = lines.lines([config])
        assert found.scalars == pytest.approx(alone.scalars, abs=1e-5)
        np.testing.assert_allclose(found.curves["loss"].y, alone.curves["loss"].y, atol=1e-5)


def test_a_diverged_member_says_so():
    (found,) = lines.lines([tiny(**{"training.step_size": 1e9})])
    assert found.status == "diverged"


def test_what_a_line_says():
    x = np.linspace(0, 1, 101)
    falls = judged(x, 2 * (1 - x) ** 2, scale=2.0)
    assert falls == pytest.approx({"rise": 0, "monotone": 1, "excess": 0, "barrier": 0}, abs=1e-12)
    climbs = judged(x, 4 * x * (1 - x), scale=2.0)  # a parabola of height 1 between two minima at 0
    assert climbs == pytest.approx({"rise": 0.5, "monotone": 0, "excess": 0.5, "barrier": 0.5}, abs=1e-12)
    late = judged(x, 1 - x**4, scale=1.0)  # falls, and is concave: as far from convex as from the chord
    assert late["monotone"] == 1
    assert late["excess"] == pytest.approx(late["barrier"])
    assert late["excess"] == pytest.approx(np.max(x - x**4))


@given(st.lists(st.floats(-10, 10, width=32), min_size=3, max_size=30))
def test_the_envelope_is_convex_below_the_points_and_as_large_as_can_be(values):
    x, y = np.arange(float(len(values))), np.array(values, dtype=float)
    envelope = convex_envelope(x, y)
    assert (envelope <= y + 1e-9).all()
    assert (np.diff(envelope, 2) >= -1e-9).all()
    lowest = np.array(  # by definition: the least of all chords over a point, ends included
        [min(np.interp(k, [i, j], [y[i], y[j]]) for i in range(k + 1) for j in range(k, len(y))) for k in range(len(y))]
    )
    np.testing.assert_allclose(envelope, lowest, atol=1e-9)


REPRODUCED = ["no-obstacle", "approximately-convex", "barrier-between-solutions", "barrier-to-permuted-copy"]


@pytest.mark.parametrize("name", REPRODUCED)
def test_reproduced_at_smoke_scale_with_every_control_refuted(smoke, name):
    verdict = smoke("goodfellow-2015").verdicts[name]
    assert verdict.outcome is Outcome.REPRODUCED, verdict.reason
    assert all(control.outcome is ControlOutcome.REFUTED for control in verdict.controls)


def test_no_control_passes_at_smoke_scale(smoke):
    for name, verdict in smoke("goodfellow-2015").verdicts.items():
        assert all(control.outcome is not ControlOutcome.PASSED for control in verdict.controls), name


CONTRADICTED = {"approximately-convex-relu", "unrelated-initialisation"}


@pytest.mark.slow
def test_every_claim_at_laptop_scale(laptop):
    found = laptop("goodfellow-2015")
    found.assert_outcomes(dict.fromkeys(CONTRADICTED, Outcome.CONTRADICTED))
    # lines from unrelated weights are nearly monotone
    own = found.tables["lines"].query("control == False and line == 'unrelated'")
    assert (own["rise"] < 0.01).all()
    assert (own["rise"] < 1e-3).mean() > 0.9
