"""Students drawn from expansion manifolds are recognised with their own labels, and those moved off are not."""

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.figures import static
from lemmata.landscape.symmetry import draw_configuration, expansion_manifold, membership


@pytest.mark.parametrize("outputs", [1, 3])
def test_drawn_students_are_members_with_their_labels(outputs: int):
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Tanh(), nn.Linear(4, outputs, bias=False)).double()
    V, b = teacher[0].weight.detach(), teacher[2].weight.detach().T
    b = b[:, 0] if outputs == 1 else b
    wide = expansion_manifold(teacher, 0, neurons=9)
    for seed in range(10):
        labels = draw_configuration(4, 9, seed=seed)
        state = wide.draw(3, labels=labels, seed=seed)
        W, a = state["0.weight"], state["2.weight"].transpose(1, 2)
        a = a[..., 0] if outputs == 1 else a
        found = membership(W, a, teacher_incoming=V, teacher_outgoing=b)
        assert found.labels.tolist() == [list(labels)] * 3
        assert found.on_manifold.all()
        assert found.imbalance.max() < 1e-12
        for moved in (membership(W + 1e-3 * torch.randn(W.shape), a, teacher_incoming=V, teacher_outgoing=b),
                      membership(W, a * 1.001, teacher_incoming=V, teacher_outgoing=b)):  # fmt: skip
            assert not moved.on_manifold.any()


def test_a_teacher_neuron_without_copy_is_missed():
    found = membership(
        torch.eye(3)[:2], torch.ones(2), teacher_incoming=torch.eye(3), teacher_outgoing=torch.tensor([1.0, 1.0, 1e-9])
    )
    assert found.labels.tolist() == [0, 1]
    assert not found.on_manifold


def test_draws():
    W = torch.tensor([[[1.0, 0.0], [5.0, 5.0], [5.0, 5.0]]])
    found = membership(
        W, torch.tensor([[1.0, 2.0, -2.0]]), teacher_incoming=torch.eye(2)[:1], teacher_outgoing=torch.ones(1)
    )
    assert found.labels.tolist() == [[0, -1, -1]]
    assert found.on_manifold.tolist() == [True]
    assert "<svg" in str(static.render(found.plot()))


@pytest.mark.parametrize(
    ("W", "a", "b"),
    [(torch.ones(2, 3), torch.ones(2), torch.ones(2)), (torch.ones(2, 2), torch.ones(3), torch.ones(2)),
     (torch.ones(2, 2), torch.ones(2, 1), torch.ones(2)), (torch.ones(2, 2), torch.ones(2), torch.ones(3))],
)  # fmt: skip
def test_refused(W, a, b):
    with pytest.raises(InvalidInput):
        membership(W, a, teacher_incoming=torch.eye(2), teacher_outgoing=b)


@pytest.mark.parametrize("name", ["incoming", "outgoing", "teacher_incoming", "teacher_outgoing"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_no_number_is_refused_by_name(name: str, value: float):
    given = {
        "incoming": torch.eye(2),
        "outgoing": torch.ones(2),
        "teacher_incoming": torch.eye(2),
        "teacher_outgoing": torch.ones(2),
    }
    given[name] = given[name].clone()
    given[name].view(-1)[0] = value
    with pytest.raises(InvalidInput, match=f"^{name}: NaN or infinity"):
        membership(given.pop("incoming"), given.pop("outgoing"), **given)
    with pytest.raises(InvalidInput, match="tolerance = nan"):
        membership(
            torch.eye(2),
            torch.ones(2),
            teacher_incoming=torch.eye(2),
            teacher_outgoing=torch.ones(2),
            tolerance=torch.nan,
        )
