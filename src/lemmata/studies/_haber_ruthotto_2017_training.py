"""The networks of `haber_ruthotto_2017` trained, those of all seeds in one product a layer.

States are (seeds, width, samples), features down and samples across as in the paper: a product of an 8 x 8 matrix with
a wide one takes a quarter of the time of a tall one with an 8 x 8 matrix. Adam goes entry by entry and a seed's loss is
its own, so that the seeds never meet.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import jvp

from lemmata import flows
from lemmata.studies._haber_ruthotto_2017_networks import METHODS, Deep, Initial, network, samples, stream
from lemmata.study import Measurements

SHOWN = 300  # samples that are followed through the layers
FRAMES = 16  # layers at which eigenvalues are taken
PERTURBED = 4  # samples at which the growth of perturbations is taken
LINEARISED = 12  # samples at which eigenvalues are taken


class Several(flows.VectorField):
    """The plain and the antisymmetric layers of S networks: K (layers, S, width, width), b (layers, S, width, 1)."""

    def __init__(self, config: Initial, K: Tensor, b: Tensor):
        super().__init__()
        self.config, self.T, self.basis = config, config.T, flows.PiecewiseConstant(config.layers, T=config.T)
        self.K, self.b = nn.Parameter(K), nn.Parameter(b)

    def weights_at(self, times: Tensor, inside: Tensor) -> tuple[Tensor, ...]:
        """Give the matrices that act, and b."""
        K, b = (self.basis.evaluate(theta, times, inside) for theta in (self.K, self.b))
        if self.config.kind == "antisymmetric":
            K = K - K.mT + self.config.real * torch.eye(K.shape[-1])
        return K, b

    def velocity(self, y: Tensor, *weights: Tensor) -> Tensor:
        """Give y'."""
        A, b = weights
        return torch.tanh(torch.baddbmm(b, A, y))


class SeveralPaired(Several, flows.Partitioned):
    """The two-field layers of S networks."""

    def first(self, p: Tensor, *weights: Tensor) -> Tensor:
        """Give q'."""
        K, b = weights
        return torch.tanh(torch.baddbmm(b, K, p))

    def second(self, q: Tensor, *weights: Tensor) -> Tensor:
        """Give p'."""
        K, b = weights
        return torch.tanh(torch.baddbmm(b, K.mT, q)).neg()


class Networks(nn.Module):
    """S networks as one: of samples (S, n, 2) to outputs (S, n, classes)."""

    def __init__(self, config: Initial, models: Sequence[nn.Sequential]):
        super().__init__()
        layers: list[Any] = [model[1].field.coefficients for model in models]  # type: ignore[union-attr]
        K, b = (torch.stack([own[name].detach() for own in layers], 1) for name in ("K", "b"))
        kind = SeveralPaired if config.kind == "verlet" else Several
        self.widened = models[0][0]
        self.flow = flows.Flow(kind(config, K, b[..., None]), steps=config.layers, method=METHODS[config.kind])
        self.weight, self.bias = (
            nn.Parameter(torch.stack([own.detach() for own in last]))
            for last in zip(*(model[2].parameters() for model in models), strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Give the outputs."""
        features = self.flow(self.widened(x).mT.contiguous())
        return torch.baddbmm(self.bias[:, :, None], self.weight, features).mT

    def into(self, models: Sequence[nn.Sequential]) -> None:
        """Write the weights of each network into its own module."""
        with torch.no_grad():
            for i, model in enumerate(models):
                own = model[1].field.coefficients  # type: ignore[union-attr]
                own["K"].copy_(self.flow.field.K[:, i])  # type: ignore[union-attr]
                own["b"].copy_(self.flow.field.b[:, i, :, 0])  # type: ignore[union-attr]
                for parameter, trained in zip(model[2].parameters(), (self.weight, self.bias), strict=True):
                    parameter.copy_(trained[i])


def initial(configs: Sequence[Initial]) -> list[Measurements]:
    """Give how much perturbations grow at initial weights."""
    return [Measurements.of(stretch=stretch) for stretch in _stretches(configs, [network(c) for c in configs])]


def learn(configs: Sequence[Deep]) -> list[Measurements]:
    """Train the networks of all seeds together, and test them."""
    stretches = _stretches(configs, [network(config) for config in configs])
    together, models = _trained(configs)
    x, y = _each(configs, configs[0].n_test, 10)
    with torch.no_grad():
        accuracies = (together(x).argmax(2) == y).double().mean(1)
    drawn: list[dict[str, Any]] = [
        _eigenvalues(config, model) if _is_drawn(config) else {} for config, model in zip(configs, models, strict=True)
    ]
    return [
        Measurements.of(accuracy=accuracy, stretch=stretch, **rest)
        for accuracy, stretch, rest in zip(accuracies, stretches, drawn, strict=True)
    ]


def follow(configs: Sequence[Deep]) -> list[Measurements]:
    """Train, and follow test samples through the layers: in the classifier's direction, and across it."""
    models = _trained(configs)[1]
    return [_followed(config, model) for config, model in zip(configs, models, strict=True)]


def _trained(configs: Sequence[Deep]) -> tuple[Networks, list[nn.Sequential]]:
    """The networks as one, trained, and each as a module of its own."""
    first, models = configs[0], [network(config) for config in configs]
    x, y = _each(configs, first.n, 9)
    together = Networks(first, models)
    rule = torch.optim.Adam(together.parameters(), lr=first.lr)
    for _ in range(first.steps):
        rule.zero_grad()
        loss = nn.functional.cross_entropy(together(x).flatten(0, 1), y.flatten(), reduction="sum") / first.n
        loss.backward()
        rule.step()
    together.into(models)
    return together, models


def _each(configs: Sequence[Deep], n: int, purpose: int) -> tuple[Tensor, Tensor]:
    x, y = zip(*(samples(config, n, purpose) for config in configs), strict=True)
    return torch.stack(x), torch.stack(y)


def _stretches(configs: Sequence[Initial], models: Sequence[nn.Sequential]) -> Tensor:
    """The growth of a perturbation of the state, ln, in one random direction at each of 4 samples, their mean: (S,).

    Each sample has the weights of its seed: the network is repeated, and one derivative forward serves all.
    """
    first, fields = configs[0], 2 if configs[0].kind == "verlet" else 1
    together = Networks(first, [model for model in models for _ in range(PERTURBED)])
    inputs = torch.cat([samples(config, first.n_test, 10)[0][:PERTURBED] for config in configs])
    drawn = torch.stack([
        torch.randn(PERTURBED, fields * first.width, 1, generator=stream(config, 11), dtype=torch.float64)
        for config in configs
    ]).flatten(0, 1).float()  # fmt: skip
    start = together.widened(inputs)[:, :, None]
    state, direction = (start,), drawn.split(first.width, 1)
    if fields == 2:
        state = (start, torch.zeros_like(start))
    with torch.no_grad():
        moved = jvp(lambda *parts: together.flow(parts if fields == 2 else parts[0]), state, direction)[1]
        after = torch.cat(moved, 1) if fields == 2 else moved
        ratio = after.flatten(1).norm(dim=1) / drawn.flatten(1).norm(dim=1)
    return ratio.log().view(len(configs), PERTURBED).mean(1)


def _followed(config: Deep, model: nn.Sequential) -> Measurements:
    """Test samples at every layer: how far beyond the classifier's line, and where across in the widest direction."""
    x, y = samples(config, config.n_test, 10)
    with torch.no_grad():
        flow: Any = model[1]
        last: Any = model[2]
        run = flows.integrate(flow.field, flow.start(model[0](x)), steps=config.layers, method=flow.method)
        states = run.states[0] if isinstance(run.states, tuple) else run.states
        normal = last.weight[1] - last.weight[0]
        size = normal.norm()
        beyond = (states @ normal + last.bias[1] - last.bias[0]) / size
        rest = states - (states @ normal / size**2)[..., None] * normal
        centred = (rest[-1] - rest[-1].mean(0)).double()
        across = rest @ torch.linalg.svd(centred, full_matrices=False).Vh[0].float()
    accuracy = ((beyond[-1] > 0) == (y == 1)).double().mean()
    points = torch.stack([beyond, across], 2)[:, :SHOWN]
    return Measurements.of(accuracy=accuracy, points=points, classes=y[:SHOWN])


def _is_drawn(config: Deep) -> bool:
    return config.seed == 0 and config.law == "circles" and config.kind != "verlet"


def _eigenvalues(config: Deep, model: nn.Sequential) -> dict[str, np.ndarray]:
    """H lambda of some layers at some test samples: real and imaginary parts, (2, layers, samples, width)."""
    x, _ = samples(config, LINEARISED, 10)
    found = flows.spectrum(model[1], model[0](x), every=max(1, config.layers // FRAMES))  # type: ignore[arg-type]
    return {"z": np.stack([np.real(found.z), np.imag(found.z)]).astype(np.float32), "z_layers": found.layers}
