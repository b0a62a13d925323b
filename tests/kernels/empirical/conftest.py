"""Networks of every kind of layer, and the dense Jacobian as the oracle of their tangent kernels."""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, linear

C = 3


def dense_jacobian(model: nn.Module, x: Tensor, names: Sequence[str] | None = None) -> Tensor:
    """The Jacobian (n, C, P) by a plain backward pass for each sample and output: no mapping, no structure."""
    leaves = [p for name, p in model.named_parameters() if names is None or name in names]
    rows = []
    for sample in x:
        with torch.enable_grad():
            outputs = model(sample[None]).flatten()
        pulls = [torch.autograd.grad(o, leaves, retain_graph=True, materialize_grads=True) for o in outputs]
        rows.append(torch.stack([torch.cat([g.flatten() for g in pull]) for pull in pulls]))
    return torch.stack(rows)


def kernel_by_jacobians(model: nn.Module, x: Tensor, z: Tensor | None = None, names=None) -> Tensor:
    J = dense_jacobian(model, x, names)
    return torch.einsum("ncp,mdp->nmcd", J, J if z is None else dense_jacobian(model, z, names))


@pytest.fixture(scope="session")
def truth() -> Callable[..., Tensor]:
    return kernel_by_jacobians


@pytest.fixture(scope="session")
def jacobian_of() -> Callable[..., Tensor]:
    return dense_jacobian


class Attention(nn.Module):
    """Tokens, self-attention through one in_proj, a residual connection, LayerNorm, a read-out averaged over places."""

    def __init__(self):
        super().__init__()
        self.table, self.attend = nn.Embedding(7, 8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.read = nn.LayerNorm(8), nn.Linear(8, C)

    def forward(self, tokens: Tensor) -> Tensor:
        h = self.table(tokens)
        h = h + self.attend(h, h, h, need_weights=False)[0]
        return self.read(self.norm(h)).mean(1)


class Shared(nn.Module):
    """A layer used twice in depth, a scale that is a bare parameter, a residual connection, a functional layer."""

    def __init__(self):
        super().__init__()
        self.twice, self.read = nn.Linear(5, 5), nn.Linear(5, C)
        self.scale, self.plain = nn.Parameter(torch.randn(5)), nn.Parameter(torch.randn(5, 5))

    def forward(self, x: Tensor) -> Tensor:
        h = self.twice(torch.tanh(self.twice(x))) * self.scale
        return self.read(torch.tanh(h @ self.plain * 5**-0.5) + x)


class Tied(nn.Module):
    """One matrix as encoder and, transposed, as decoder."""

    def __init__(self):
        super().__init__()
        self.W = nn.Parameter(torch.randn(6, C))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(linear(x, self.W)) @ self.W


class Scaled(nn.Module):
    """Weights and biases times constants, as in the NTK parameterisation; one weight used with two factors."""

    def __init__(self):
        super().__init__()
        self.W, self.b = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        self.V, self.v = nn.Parameter(torch.randn(6, 1, 2)), nn.Parameter(torch.randn(6))
        self.U, self.u = nn.Parameter(torch.randn(C, 18)), nn.Parameter(torch.randn(C))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(linear(x, self.W * 0.5, self.b * 0.3))
        h = torch.tanh(linear(h, 2.0 * self.W, self.b * 0.3))
        h = torch.tanh(conv1d(h[:, None], self.V / 1.4, self.v * 0.2))
        return linear(h.flatten(1), self.U * 18**-0.5, 0.1 * self.u)


class TiedModules(nn.Module):
    """Two modules with one weight."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(C, C), nn.Linear(C, C)
        self.second.weight = self.first.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))


class PositionsFirst(nn.Module):
    """Sequences as (positions, samples, channels) inside."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 32), nn.Linear(32, C)

    def forward(self, x: Tensor) -> Tensor:
        h = x.transpose(0, 1).contiguous()
        return self.second(torch.tanh(self.first(h))).mean(0)


class Idle(nn.Module):
    """A parameter that the outputs do not depend on, and outputs that do not depend on a layer."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.idle = nn.Linear(4, 1), nn.Linear(4, 2), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), torch.tanh(self.b(x))], 1)


def _sequential(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "mlp": (lambda: _sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, C)), (5,)),
    "no bias": (lambda: _sequential(nn.Linear(5, 16, bias=False), nn.Tanh(), nn.Linear(16, C, bias=False)), (5,)),
    "one output": (lambda: _sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1), nn.Flatten(0)), (4,)),
    "convolutions": (
        lambda: _sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, groups=2), nn.BatchNorm2d(6),
            nn.Tanh(), nn.Conv2d(6, 6, 2, dilation=2, groups=6), nn.Flatten(), nn.Linear(6, C),
        ),
        (2, 7, 7),
    ),
    "wide convolutions": (
        lambda: _sequential(
            nn.Conv2d(2, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 64, 2), nn.ReLU(), nn.Conv2d(64, 96, 1, groups=2),
            nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Conv2d(96, 96, 1, groups=3), nn.Tanh(), nn.Flatten(),
            nn.Linear(96, C),
        ),
        (2, 7, 7),
    ),
    "sequence": (
        lambda: _sequential(nn.Linear(4, 48), nn.Tanh(), nn.Linear(48, 64), nn.Tanh(), nn.Flatten(), nn.Linear(192, C)),
        (3, 4),
    ),
    "norms": (
        lambda: _sequential(
            nn.Conv1d(2, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.ConvTranspose1d(4, 3, 2), nn.PReLU(),
            nn.RMSNorm(6), nn.Flatten(), nn.LayerNorm(18), nn.Linear(18, C),
        ),
        (2, 5),
    ),
    "attention": (Attention, (6,)),
    "shared": (Shared, (5,)),
    "tied": (Tied, (C,)),
    "scaled": (Scaled, (4,)),
    "tied modules": (TiedModules, (C,)),
    "positions first": (PositionsFirst, (6, 4)),
    "idle": (Idle, (4,)),
}  # fmt: skip


@pytest.fixture(params=NETWORKS)
def network(request) -> tuple[nn.Module, Tensor]:
    """A model in float64 and nine samples."""
    return make(request.param)


def make(name: str, n: int = 9) -> tuple[nn.Module, Tensor]:
    generator = torch.Generator().manual_seed(3)
    build, shape = NETWORKS[name]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = build().double().eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
                module.weight.data.normal_(1, 0.3)
                module.bias.data.normal_(0, 0.3)
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    if name == "attention":
        return model, torch.randint(0, 7, (n, *shape), generator=generator)
    return model, torch.randn(n, *shape, generator=generator, dtype=torch.float64)


@pytest.fixture(scope="session")
def named() -> Callable[..., tuple[nn.Module, Tensor]]:
    return make
