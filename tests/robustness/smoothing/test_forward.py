"""Every way through a model gives its logits; which ways a model can take; none of them changes the model."""

import math

import pytest
import torch
from torch import nn

from lemmata.errors import InvalidInput
from lemmata.robustness.smoothing.forward import _pool_first, _same_classifier, fastest, rows_within

FORMATS = ["plain", "channels_last", "packed"]


def convnet(dtype=torch.float32):
    """Batch normalisation with statistics of its own, as training leaves them."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    norm.running_mean.uniform_(-1, 1)
    norm.running_var.uniform_(0.5, 2)
    layers = [nn.Conv2d(2, 8, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 3)]
    return nn.Sequential(*layers).eval().to(dtype).requires_grad_(False)


def rows(n=6):
    return torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(0))


class Residual(nn.Module):
    """A sum, and functions that no converter knows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.read = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.tanh(self.conv1(x))
        return self.read((x + torch.erfinv(torch.sin(self.conv2(x)) / 2)).mean((2, 3)))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_every_way_gives_the_logits_of_the_model(name, dtype, tolerance):
    model = convnet(dtype)
    answer, way = fastest(model, rows(), format=name, batch=4, most=100)
    found, right = answer(rows()), model(rows().to(dtype))
    assert (way.format, way.dtype, found.dtype) == (name, dtype, dtype)
    # rounding of the type (1.2e-7, 0.008) over sums of 128 numbers, the statistics folded into weights or not
    assert float((found - right).abs().max()) < tolerance * float(right.abs().max())


class Branching(Residual):
    """Decides by a value, which no tracer follows."""

    def forward(self, x):
        return super().forward(x) if float(x.detach().sum()) < 1e9 else self.read(x.mean((2, 3)))


def test_a_model_with_a_sum_is_packed_in_parts():
    model = Residual().eval().requires_grad_(False)
    answer, _ = fastest(model, rows(), format="packed", batch=4, most=100)
    right = model(rows())
    # rounding of float32 over sums of 36 numbers
    assert float((answer(rows()) - right).abs().max()) < 1e-6 * float(right.abs().max())


def test_ways_that_a_model_cannot_take_are_left_out(capsys):
    model = Branching().eval()
    _, way = fastest(model, rows(), most=100)
    assert {name for name, _ in way.tried} == {"plain", "channels_last"}
    with pytest.raises(InvalidInput, match=r"none that this model can take in torch\.float32 on cpu"):
        fastest(model, rows(), format="packed", most=100)
    with pytest.raises(InvalidInput, match=r"none that this model can take in torch\.bfloat16"):
        fastest(Residual().bfloat16(), rows(), format="packed", most=100)
    with pytest.raises(InvalidInput, match=r"none that this model can take in torch\.float64"):
        fastest(convnet(torch.float64), rows().double(), format="packed", most=100)
    with pytest.raises(InvalidInput, match="none that this model can take"):
        fastest(nn.Linear(3, 2), torch.rand(4, 3), format="channels_last", most=100)
    assert capsys.readouterr() == ("", "")  # a tracer that fails prints nothing


def test_a_way_with_other_logits_is_left_out():
    class ReadsMemory(nn.Module):
        """Takes its input as it lies in memory, so that another layout is another input."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 3, 8)

        def forward(self, x):
            return self.conv(torch.as_strided(x, x.shape, (128, 64, 8, 1)))[:, :, 0, 0]

    with pytest.raises(InvalidInput, match="none that this model can take"):
        fastest(ReadsMemory(), rows(), format="channels_last", most=100)
    assert "channels_last" not in {name for name, _ in fastest(ReadsMemory(), rows(), most=100)[1].tried}


def test_the_way_says_what_was_measured():
    _, way = fastest(convnet(), rows(), most=60)
    assert {name for name, _ in way.tried} == set(FORMATS)
    assert way.tried[way.format, min(way.batch, 60)] == way.microseconds > 0
    assert 25 <= way.batch <= 60
    assert all(size <= 60 for _, size in way.tried)
    _, named = fastest(convnet(), rows(), format="plain", batch=7, most=60)
    assert (named.batch, math.isnan(named.microseconds)) == (7, True)
    _, half = fastest(convnet(), rows(), batch=7, most=60)
    assert half.batch == 7


def test_measuring_leaves_the_model_as_it_is():
    model = convnet()
    before = {name: (value.clone(), value.stride()) for name, value in model.state_dict().items()}
    fastest(model, rows(), most=100)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name][0])
        assert value.stride() == before[name][1]
    assert [type(layer).__name__ for layer in model][2:4] == ["ReLU", "MaxPool2d"]


def test_pooling_first_changes_no_bit():
    model = nn.Sequential(nn.Conv2d(2, 8, 3), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), nn.ReLU(), nn.AvgPool2d(3))
    right = model(rows())
    _pool_first(model)
    assert torch.equal(model(rows()), right)
    assert [type(layer).__name__ for layer in model[1]] == ["MaxPool2d", "ReLU"]
    assert [type(layer).__name__ for layer in model[2:]] == ["ReLU", "AvgPool2d"]  # a mean is not a maximum


def test_rows_at_once_are_counted_by_what_a_pass_holds():
    # the largest answer: 8 channels of 8 x 8, 2,048 bytes a row; an image 512 bytes; four copies of each
    assert rows_within(1_000_000, convnet(), rows()) == 1_000_000 // (4 * (2048 + 512))
    assert rows_within(10, convnet(), rows()) == 1


class ByNumber(nn.Module):
    """Takes many rows by an operation that packed tensors do not know."""

    def __init__(self, wrong=0.0):
        super().__init__()
        self.layers, self.wrong = convnet(), wrong

    def forward(self, x):
        z = self.layers(x)
        if len(x) > 20:
            z = torch.erfinv(torch.erf(z / 9)) * 9 if z.layout == torch.strided or not self.wrong else z + self.wrong
        return z


@pytest.mark.parametrize("name", ["auto", "packed"])
def test_a_way_that_fails_on_many_rows_is_left_out(name):
    if name == "auto":
        answer, way = fastest(ByNumber().eval(), rows(), batch=50, most=100)
        assert way.format != "packed"
        assert answer(rows(50)).shape == (50, 3)
    else:
        with pytest.raises(InvalidInput, match="none that this model can take"):
            fastest(ByNumber().eval(), rows(), format=name, batch=50, most=100)


def test_a_way_that_is_wrong_on_many_rows_is_left_out():
    _, way = fastest(ByNumber(wrong=1e-2).eval(), rows(), batch=50, most=100)
    assert way.format != "packed"


def test_bfloat16_that_gives_other_classes_is_left_out():
    # logits 5 % apart in one class are within a root of bfloat16's precision, 9 %, and another classifier
    right = torch.tensor([[2.0, 1.0, 1.95], [1.0, 2.0, 0.5], [0.5, 1.0, 2.0]], dtype=torch.bfloat16)
    assert _same_classifier(right, right * 1.005)
    assert not _same_classifier(right, right + torch.tensor([-0.15, 0.0, 0.1], dtype=torch.bfloat16))


def test_a_model_that_fails_on_many_rows_is_named_with_its_error():
    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.read = nn.Linear(3, 2)

        def forward(self, x):
            return self.read(x) * (2 / dict.fromkeys(range(10), 1)[len(x)])

    with pytest.raises(InvalidInput, match="50 at once: KeyError"):
        fastest(Small(), torch.rand(4, 3), batch=50, most=100)
