"""Two-layer networks at many scales beside their linearisations: the runs of the study of Chizat et al. (2019)."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from lemmata import kernels, nets, training
from lemmata.study import Config, Measurements

F64 = torch.float64  # at a large scale float32 would hide the little that the parameters move


class Lazy(Config):
    """A student of `width` units at an output scale alpha, taught by a few units; loss over alpha^2."""

    scale: float = Field(default=1.0, gt=0, description="alpha")
    scaled: bool = Field(default=True, description="False trains at alpha = 1, whatever `scale` says")
    activation: Literal["relu", "gelu", "tanh"] = "relu"
    start: Literal["antisymmetric", "plain"] = "antisymmetric"
    student: Literal["network", "linearised"] = "network"
    width: int = Field(default=50, ge=1, description="units, and as many again in the antisymmetric copy")
    teacher: int = Field(default=3, ge=1, description="units of the teacher")
    inputs: int = Field(default=20, ge=1)
    n: int = Field(default=200, ge=2, description="training examples")
    test: int = Field(default=300, ge=1)
    steps: int = Field(default=2000, ge=1)
    step_size: float = Field(default=0.25, gt=0, description="in units of the critical one of the linearisation")

    @property
    def alpha(self) -> float:
        """The scale that is trained at."""
        return self.scale if self.scaled else 1.0


def run_lazy(configs: Sequence[Lazy]) -> list[Measurements]:
    """Train the networks of all seeds and scales at once, and their linearisations in closed form."""
    first = configs[0]
    drawn = {config.seed: draw(config) for config in configs}
    starts = {config.seed: student(config) for config in configs}
    linear = {
        seed: kernels.LinearisedTraining.of(starts[seed], x, y, x_test=z, y_test=v)
        for seed, (x, y, z, v) in drawn.items()
    }
    rules = {seed: training.GD(lr=first.step_size * own.critical_step()) for seed, own in linear.items()}
    runs = [linear[c.seed].at_scale(c.alpha).run([c.steps], rules[c.seed]) for c in configs]
    if first.student == "linearised":
        return [_linearised(starts[config.seed], run) for config, run in zip(configs, runs, strict=True)]
    return _networks(configs, drawn, starts, runs, rules)


def draw(config: Lazy) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gaussian inputs, and what a teacher of a few ReLU units with weights on the sphere and signs says of them."""
    g = torch.Generator().manual_seed(10_000 + config.seed)
    weights = torch.randn(config.teacher, config.inputs, generator=g, dtype=F64)
    weights /= weights.norm(dim=1, keepdim=True)
    signs = torch.randn(config.teacher, 1, generator=g, dtype=F64).sign()
    x = torch.randn(config.n + config.test, config.inputs, generator=g, dtype=F64)
    y = torch.relu(x @ weights.T) @ signs
    return x[: config.n], y[: config.n], x[config.n :], y[config.n :]


def student(config: Lazy) -> nn.Module:
    """A two-layer network in the NTK parameterisation, with its copy subtracted if the start is antisymmetric."""
    net = nets.mlp(
        config.inputs, [config.width], 1, activation=config.activation, bias=False, initialisation="ntk",
        gain=math.sqrt(2), seed=config.seed, dtype=F64,
    )  # fmt: skip
    return kernels.Antisymmetric(net) if config.start == "antisymmetric" else net


Drawn = tuple[Tensor, Tensor, Tensor, Tensor]


def _networks(
    configs: Sequence[Lazy],
    drawn: dict[int, Drawn],
    starts: dict[int, nn.Module],
    runs: Sequence[kernels.LinearisedRun],
    rules: dict[int, training.GD],
) -> list[Measurements]:
    """Train the networks, each beside the run of its linearisation."""
    models = [kernels.ScaledModel(starts[config.seed], config.alpha, centred=False) for config in configs]
    x, y, z, v = (torch.stack(part) for part in zip(*(drawn[config.seed] for config in configs), strict=True))
    lr = [float(torch.as_tensor(rules[c.seed].lr, dtype=F64)) / c.alpha**2 for c in configs]
    result = training.train(
        models, x, y, loss="mse", optimiser=training.GD(lr=lr), epochs=configs[0].steps,
        probes={"test_loss": training.Probe(z, v, metric="mse")},
    )  # fmt: skip
    found = []
    for i, (config, run) in enumerate(zip(configs, runs, strict=True)):
        if bool(result.diverged[i]):
            found.append(Measurements.of(status="diverged"))
            continue
        trained, more = result.model(i), {}
        assert run.test_outputs is not None
        with torch.no_grad():
            gap = (trained(z[i]) - run.test_outputs[0]).square().mean().sqrt()
        if config.activation == "relu":
            more["flips"] = float(kernels.activation_flips(trained, models[i], x[i]).share)
        away = kernels.distance_from_initialisation(trained, models[i]).total_relative
        found.append(Measurements.of(
            test_loss=float(result.final["test_loss"][i]), train_loss=float(result.final["train_loss"][i]),
            gap=float(gap), relative_distance=float(away), **more,
        ))  # fmt: skip
    return found


def _linearised(start: nn.Module, run: kernels.LinearisedRun) -> Measurements:
    """The linearisation itself as the student, in closed form."""
    assert run.test_loss is not None
    size = torch.cat([p.detach().flatten() for p in start.parameters()]).norm()
    return Measurements.of(
        test_loss=float(run.test_loss[0]), train_loss=float(run.train_loss[0]), gap=0.0,
        relative_distance=float(run.distance[0] / size),
    )  # fmt: skip
