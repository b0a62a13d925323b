"""A model that is not the function that was read of it is refused: nothing is certified of another function."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from lemmata.errors import InvalidInput
from lemmata.robustness import certify_by_bounds, lipschitz
from lemmata.robustness.linear_bounds import crown, interval_bounds


class Written(nn.Module):
    """Two linear layers and whatever `forward` makes of them."""

    def __init__(self, steps):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.relu = nn.Linear(6, 4), nn.Linear(4, 4), nn.ReLU(inplace=True)
        self.register_buffer("shift", torch.zeros(4))
        self.calls, self.steps = 0, steps

    def forward(self, x):
        return self.steps(self, x)


def added_in_view(m, x):
    z = m.a(x)
    first = z.view(-1, 2, 2)
    first += 1
    return z


def used_in_place(m, x):
    h = m.a(x)
    return h.relu_() + h.mul_(2) + h


def counted(m, x):
    m.calls += 1
    return m.a(x) * m.calls


def accumulated(m, x):
    m.shift += 1.0
    return m.a(x) + m.shift


def residual_in_place(m, x):
    h = m.a(x)
    return m.b(m.relu(h)) + h


REFUSED = {
    "half of the outputs": (lambda m, x: m.a(x).chunk(2, 1)[0], "chunk.*tuple"),
    "the other half": (lambda m, x: m.a(x).split(2, 1)[1], "split.*tuple"),
    "sorted": (lambda m, x: m.a(x).sort(dim=1)[0], "sort"),
    "maxout": (lambda m, x: m.a(x).view(-1, 2, 2).max(dim=2)[0], "max"),
    "the largest": (lambda m, x: m.a(x).topk(2, dim=1).values, "topk"),
    "residual behind an in-place ReLU": (residual_in_place, "a was changed in place"),
    "in place by a method": (used_in_place, "in place"),
    "added in a view": (added_in_view, "differ by up to 1 .*changes a value in place"),
    "alpha of a sum": (lambda m, x: torch.add(m.a(x), m.b(m.a(x)), alpha=5.0), "alpha=5"),
    "alpha of a constant": (lambda m, x: torch.sub(m.a(x), 1.0, alpha=5.0), "alpha=5"),
    "rounded quotient": (lambda m, x: torch.div(m.a(x), 0.1, rounding_mode="floor"), "rounding_mode=floor"),
    "dropout in use": (lambda m, x: functional.dropout(m.a(x), 0.5), "training=self.training"),
    "random shift": (lambda m, x: m.a(x) + torch.randn(4), "each time"),
    "random factor": (lambda m, x: m.a(x) * torch.rand(1).item(), "each time"),
    "counts its calls": (counted, "each time"),
    "accumulates": (accumulated, "each time|in place"),
    "size of the batch": (lambda m, x: m.a(x) / x.size(0), "differ by up to"),
    "one sample loses its axis": (lambda m, x: m.a(x).view(-1, 1, 4).squeeze(), "batch of"),
    "a value as a number": (lambda m, x: m.a(x) * m.a(x).tolist()[0][0], "fx|tolist"),
    "less precision": (lambda m, x: m.a(x).to(torch.float32), "float32"),
    "sum over shapes": (lambda m, x: (m.a(x).view(-1, 4, 1) + m.a(x).view(-1, 1, 4)).flatten(1), "several shapes"),
    "constant output": (lambda m, x: m.shift.expand(2, 4), "does not depend"),
    "negative average": (
        lambda m, x: functional.avg_pool2d(m.a(x).view(-1, 1, 2, 2), 2, divisor_override=-4).flatten(1), "negative",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_other_functions_are_refused(name):
    steps, match = REFUSED[name]
    x = torch.rand(3, 6)
    for attempt in (
        lambda: interval_bounds(Written(steps).eval(), x, 0.0),
        lambda: certify_by_bounds(Written(steps).eval(), x),
        lambda: lipschitz(Written(steps).eval(), (6,)),
    ):
        with pytest.raises(InvalidInput, match=match) as caught:
            attempt()
        assert len(str(caught.value).splitlines()) == 1


READ = {
    "in place, used once": lambda m, x: m.b(m.relu(m.a(x))),
    "in place by a sign": lambda m, x: m.b(m.a(x).add_(1.0).relu_()),
    "operands by name": lambda m, x: torch.add(input=m.a(x), other=m.b(m.a(x)), alpha=1),
    "keywords that change nothing": lambda m, x: torch.div(m.a(x), 2.0, rounding_mode=None),
    "dropout out of use": lambda m, x: functional.dropout(m.a(x), 0.5, training=m.training),
    "twice the same": lambda m, x: m.a(x) + m.a(x),
    "sizes": lambda m, x: m.a(x).view(x.shape[0], 2, -1).reshape(x.size(0), -1),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_the_same_function_is_read(name, dtype):
    model, x = Written(READ[name]).eval(), torch.rand(3, 6)
    with torch.no_grad():
        expected = model.double()(x.double())
    found = interval_bounds(model, x, 0.0, dtype=dtype)
    assert ((found.low <= expected) & (expected <= found.high)).all()


class Lying(nn.Linear):
    """Passes for a linear layer of torch's own, and is none."""

    def forward(self, x):
        return super().forward(x).clamp(min=0.01)


Lying.__module__ = "torch.nn.modules.linear"  # so that tracing does not look inside


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_that_does_something_else_is_found_by_evaluation(dtype):
    torch.manual_seed(0)
    with pytest.raises(InvalidInput, match="differ by up to"):
        crown(nn.Sequential(Lying(6, 4), nn.Linear(4, 2)), torch.rand(2, 6), 0.1, dtype=dtype)


def test_a_difference_at_the_images_alone_is_found():
    class Far(nn.Linear):
        def forward(self, x):
            return super().forward(x) + torch.relu(x[:, :1] - 50)

    Far.__module__ = "torch.nn.modules.linear"
    x = torch.full((2, 6), 100.0)
    with pytest.raises(InvalidInput, match="differ by up to"):
        interval_bounds(nn.Sequential(Far(6, 4)), x, 0.1, clip=None)


def test_hooks_scripts_and_weights_that_are_not_finite_are_refused():
    x = torch.rand(2, 6)
    hooked = nn.Sequential(nn.Linear(6, 3))
    hooked[0].register_forward_hook(lambda module, given, result: -result)
    before = nn.Sequential(nn.Linear(6, 3))
    before[0].register_forward_pre_hook(lambda module, given: (-given[0],))
    for model in (hooked, before):
        with pytest.raises(InvalidInput, match=r"0 \(Linear\) has a forward hook"):
            interval_bounds(model, x, 0.0)
    with pytest.raises(InvalidInput, match=r"hook.*parametrizations"):
        interval_bounds(nn.Sequential(nn.utils.spectral_norm(nn.Linear(6, 3))).eval(), x, 0.0)
    parametrised = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(6, 3))).eval()
    assert torch.allclose(interval_bounds(parametrised, x, 0.0).low.float(), parametrised(x), atol=1e-6)
    for value in (float("nan"), float("inf")):
        broken = nn.Sequential(nn.Linear(6, 3))
        broken[0].weight.data[0, 0] = value
        for bounds in (interval_bounds, crown):
            with pytest.raises(InvalidInput, match="0: its weights"):
                bounds(broken, x, 0.0)
    with pytest.raises(InvalidInput, match="gelu"):
        interval_bounds(nn.Sequential(nn.Linear(6, 3), Written(lambda m, z: functional.gelu(z))).eval(), x, 0.0)


def test_the_users_generator_is_left_alone():
    model, x = nn.Sequential(nn.Linear(6, 3), Written(lambda m, z: z + torch.randn(3))).eval(), torch.rand(2, 6)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with pytest.raises(InvalidInput, match="each time"):
        interval_bounds(model, x, 0.0)
    assert torch.equal(torch.rand(1), expected)


def test_deep_networks_are_not_refused_for_their_rounding():
    torch.manual_seed(0)
    layers = [layer for _ in range(30) for layer in (nn.Linear(40, 40), nn.BatchNorm1d(40), nn.ReLU())]
    model = nn.Sequential(*layers, nn.Linear(40, 5)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(1e-3, 2)
    for dtype in (torch.float32, torch.float64):
        assert interval_bounds(model, torch.rand(2, 40), 0.0, dtype=dtype).low.isfinite().all()


def test_optimised_slopes_work_in_inference_mode():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2)), torch.rand(2, 6)
    expected = crown(model, x, 0.1, optimise=True).low
    with torch.inference_mode():
        assert torch.equal(crown(model, x.clone(), 0.1, optimise=True).low, expected)
