"""The study of Ba and Caruana: who is taught what, what a bottleneck costs, and verdicts at smoke and laptop scale."""

import pytest
import torch

from lemmata.plan import plan
from lemmata.studies import _ba_caruana_2014_bottleneck as factoring
from lemmata.studies._ba_caruana_2014_bottleneck import Factored
from lemmata.studies._ba_caruana_2014_learners import Classroom, Learner, accuracy, teach
from lemmata.studies.ba_caruana_2014 import study
from lemmata.verdicts import Outcome

TINY = {"labelled": 100, "test": 50, "hidden": 12, "width": 8, "steps": 20, "convolutional_steps": 4}


def learner(**fields: object) -> Learner:
    """A member of tiny networks."""
    return Learner.build({**TINY, **fields})


@pytest.fixture(scope="module")
def classroom() -> Classroom:
    return Classroom(learner(seed=1))


# ---- who is taught what ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1, 3, 6])
def test_a_target_stands_beside_the_input_that_it_was_computed_for(classroom: Classroom, times: int):
    """The teacher evaluated anew on the inputs as the student meets them; float32, one scale for all targets."""
    x, targets = classroom.tiled(classroom.x, times), classroom.targets(learner(times=times, teacher="CNN", seed=1))
    assert len(x) == len(targets) == 600
    assert len(x.unique(dim=0)) == 100 * times
    pool = classroom.logits("CNN", ensemble=3, steps=4)[0]
    row = {tuple(signal[:3].tolist()): place for place, signal in enumerate(classroom.x)}
    places = torch.tensor([row[tuple(signal[:3].tolist())] for signal in x])
    centred = (pool - pool.mean(1, keepdim=True))[places]
    torch.testing.assert_close(targets / targets.norm(), centred / centred.norm(), rtol=1e-4, atol=1e-7)


def test_true_labels_and_decisions_stand_beside_their_inputs(classroom: Classroom):
    x, labels = classroom.tiled(classroom.x, 3), classroom.targets(learner(learner="SNN", times=3, seed=1))
    hard = classroom.targets(learner(learner="SNN-HARD", times=3, teacher="CNN", seed=1))
    pool = classroom.logits("CNN", ensemble=3, steps=4)[0]
    for place in (0, 77, 299, 300, 599):
        first = int((classroom.x == x[place]).all(1).nonzero()[0])
        assert first == place % 300
        assert labels[place] == classroom.y[first]
        assert hard[place] == pool[first].argmax()


def test_permuted_logits_are_those_of_other_inputs(classroom: Classroom):
    own, other = (classroom.targets(learner(permuted=p, seed=1)) for p in (False, True))
    assert torch.equal(own.unique(dim=0), other.unique(dim=0))  # whole rows, in order of their first entries
    assert float((own == other).all(1).double().mean()) < 0.03


def test_output_means_move_predictions_and_come_back(classroom: Classroom):
    """A student that has learned its targets exactly predicts as its teacher, if what was taken out is added back."""
    raw = classroom.mimicked(learner(removed="nothing", seed=1))
    taken = classroom.targets(learner(removed="output means", seed=1))
    back = classroom.targets(learner(removed="output means, added back", seed=1))
    assert torch.equal(taken, back)
    torch.testing.assert_close(taken.mean(0), torch.zeros(10), rtol=0, atol=1e-5)
    assert torch.equal((taken + raw.mean(0)).argmax(1), raw.argmax(1))
    assert not torch.equal(taken.argmax(1), raw.argmax(1))


def test_an_offset_leaves_centred_targets_as_they_are_and_spoils_raw_ones(classroom: Classroom):
    """Rounding of float32: 1e-5."""
    plain, moved = (classroom.targets(learner(offset=o, seed=1)) for o in (0.0, 3.0))
    torch.testing.assert_close(moved, plain, rtol=0, atol=1e-5)
    raw = classroom.mimicked(learner(offset=3.0, removed="nothing", seed=1))
    assert float(raw.mean(1).std()) > 0.9  # an offset of three deviations has nine tenths of the variance, which is 1


def test_an_ensemble_is_the_mean_of_its_networks_logits(classroom: Classroom):
    pool, test = classroom.cnns(4)
    torch.testing.assert_close(classroom.logits("ECNN", ensemble=3, steps=4)[1], (test[0] + test[1] + test[2]) / 3)
    torch.testing.assert_close(classroom.logits("random labels", ensemble=3, steps=4)[0], pool[3])
    assert torch.equal(*(classroom.logits(net, ensemble=1, steps=4)[0] for net in ("CNN", "ECNN")))


PAIRS = [
    ({"learner": "SNN", "permuted": True, "teacher": "random labels"}, {"learner": "SNN"}),
    ({"learner": "SNN-HARD", "permuted": True, "removed": "nothing"}, {"learner": "SNN-HARD"}),
    ({"ensemble": 1}, {"teacher": "CNN"}),
    ({"teacher": "DNN", "convolutional_steps": 2}, {"teacher": "DNN", "convolutional_steps": 500}),
]


@pytest.mark.parametrize(("fields", "same"), PAIRS)
def test_members_that_share_a_lesson_have_the_same_targets(classroom: Classroom, fields: dict, same: dict):
    a, b = learner(**fields, seed=1), learner(**same, seed=1)
    assert a.lesson == b.lesson
    assert torch.equal(classroom.targets(a), classroom.targets(a.lesson))


DIFFERENT = [
    {}, {"teacher": "CNN"}, {"teacher": "CNN", "convolutional_steps": 2}, {"convolutional_steps": 2},
    {"removed": "nothing"}, {"permuted": True}, {"offset": 1.0}, {"times": 3}, {"learner": "SNN"},
    {"learner": "SNN-HARD"}, {"learner": "SNN-HARD", "teacher": "SNN"}, {"ensemble": 2}, {"teacher": "random labels"},
]  # fmt: skip


def test_no_two_different_lessons_are_taken_for_one():
    assert len({learner(**fields).lesson for fields in DIFFERENT}) == len(DIFFERENT)


def test_what_is_added_to_outputs_takes_no_training_of_its_own(classroom: Classroom):
    back, without = (learner(removed=r, seed=1) for r in ("output means, added back", "output means"))
    assert back.lesson != without.lesson
    assert back.training == without.training == without.lesson
    assert torch.equal(classroom.targets(back), classroom.targets(without))
    found = classroom.students([back.lesson, without.lesson])
    assert found[back.lesson] != found[without.lesson]


def test_the_student_of_the_labelled_inputs_alone_is_the_shallow_teacher(classroom: Classroom):
    """Trained by itself, 50 test signals: float32 may move one of them."""
    config = learner(learner="SNN", times=1, seed=1).lesson
    net = classroom.fit([classroom.targets(config)], [1], "cross_entropy").model(0)
    own = accuracy(net(classroom.x_test), classroom.y_test)
    assert classroom.students([config])[config] == pytest.approx(own, abs=0.021)


def test_a_member_does_not_depend_on_its_company():
    """Alone and among others; float32 over 20 steps: single test signals of 50 may change sides."""
    configs = [learner(learner=name, seed=2) for name in ("CNN", "SNN", "SNN-MIMIC")] + [learner(teacher="DNN", seed=2)]
    together = teach(configs)
    for config, member in zip(configs, together, strict=True):
        assert teach([config])[0].scalars["accuracy"] == pytest.approx(member.scalars["accuracy"], abs=0.041)


def test_accuracy_counts():
    assert accuracy(torch.tensor([[1.0, 2.0], [3.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 0, 0])) == pytest.approx(2 / 3)


# ---- the bottleneck --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factored", [True, False])
def test_multiplications_are_the_weights_of_the_layers(factored: bool):
    config = Factored(factored=factored, rank=7, hidden=30)
    weights = [p for name, p in factoring.student(config).named_parameters() if name.endswith("weight")]
    assert factoring.multiplications(config) == sum(w.numel() for w in weights)


def test_epochs_are_what_the_free_student_costs():
    assert factoring.affordable_epochs(Factored(factored=False)) == 4
    assert factoring.affordable_epochs(Factored(rank=200)) == 9  # 794,000 / 366,800 = 2.16 times 4
    assert factoring.affordable_epochs(Factored(rank=50)) == 16  # 8 times as many could be had: at most 4
    assert factoring.affordable_epochs(Factored(rank=784)) == 2  # 794,000 / 1,408,656 = 0.56 times 4


def test_losses_are_read_off_the_curves():
    config = Factored(n=200, hidden=20, epochs=2, rank=10)
    assert factoring.affordable_epochs(config) == 4  # 15,880 / 8,240 = 1.93 times 2
    found = factoring.train_factored([config])[0]
    by_updates, by_flops = found.curves["by_updates"], found.curves["by_flops"]
    assert by_updates.x.tolist() == [2, 4, 6, 8]
    assert found.scalars["loss_by_updates"] == by_updates.y[1]
    assert found.scalars["loss_by_flops"] == by_flops.y[3]
    assert by_flops.x[0] == pytest.approx(6e-9 * 200 * (10 * 804 + 200))
    assert found.scalars["seconds_per_update"] > 0


def test_the_free_student_is_one_for_all_ranks():
    configs = [Factored(n=100, hidden=10, epochs=1, factored=f, rank=r) for f in (False, True) for r in (5, 10)]
    found = factoring.train_factored(configs)
    assert found[0] is found[1]
    assert found[2].scalars["loss_by_updates"] != found[3].scalars["loss_by_updates"]


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_the_snn_has_the_parameters_of_the_dnn_and_its_control_twice_as_many_at_both_scales(scale: str):
    """To the margin of the claim, 0.005; paper scale has other numbers of hidden units."""
    sizes = [member.config for member in plan.make(study, scale=scale, seeds=1).members_of("sizes")]
    found = {(c.net, c.wider): factoring.count_parameters([c])[0].scalars["parameters"] for c in sizes}
    for wider in (1, 2):
        assert found["SNN", wider] / found["DNN", wider] == pytest.approx(wider, abs=0.005)


# ---- verdicts --------------------------------------------------------------------------------------------------------


def test_at_smoke_scale_nothing_fails_and_nothing_is_void(smoke):
    outcomes = {name: verdict.outcome for name, verdict in smoke("ba-caruana-2014").verdicts.items()}
    for name in ("equal-parameters", "bottleneck-parameters"):
        assert outcomes[name] is Outcome.REPRODUCED


REPRODUCED = [
    "taught-by-labels", "mimic-passes-dnn", "mimic-passes-snn", "unlabelled-inputs-help", "not-only-more-data",
    "not-only-decisions", "better-teacher", "ensemble-adds", "offset-harmless", "output-means", "mimic-behind-teacher",
    "mimic-stays-behind", "equal-parameters", "bottleneck-parameters", "bottleneck-seconds", "bottleneck-per-flop",
    "bottleneck-per-update",
]  # fmt: skip
OTHER = dict.fromkeys(("timit-labels", "timit-mimic", "timit-large-mimic", "million-points"), Outcome.NOT_TESTABLE)


@pytest.mark.slow
def test_laptop_scale(laptop):
    """Every claim by name, and every control. What needs TIMIT, or a million points, is not tested."""
    found = laptop("ba-caruana-2014")
    assert set(found.verdicts) == {*REPRODUCED, *OTHER}
    found.assert_outcomes(OTHER)
