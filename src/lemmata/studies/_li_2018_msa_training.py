"""One problem, minimised by successive approximations or by a method of gradients; what is read off its objectives."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from lemmata.flows import control
from lemmata.studies._streams import Streams
from lemmata.study import Curve, Measurements

STREAMS = Streams("weights", "samples", "linear", "jitter", "digits", first=541_000)
EARLY = 5  # iterations that are early
LATE = 5  # iterations at the end, over which a training has settled or not
Rule = Literal["sgd", "adagrad", "adam"]
RULES: dict[Rule, Any] = {
    "sgd": torch.optim.SGD,
    "adagrad": partial(torch.optim.Adagrad, initial_accumulator_value=0.1),  # TensorFlow's, as in the authors' code
    "adam": torch.optim.Adam,
}


class WrongSign(control.Problem):
    """A problem whose costates end at +grad Phi instead of -grad Phi, and so have the wrong sign throughout."""

    def costates(self, states: Tensor, weights: tuple[Tensor, ...]) -> Tensor:
        """Give -p."""
        return -super().costates(states, weights)


def kind_of(sign: int) -> type[control.Problem]:
    """The problem with costates of this sign."""
    return control.Problem if sign == 1 else WrongSign


def descended(problem: control.Problem, rule: Rule, *, lr: float, iterations: int) -> np.ndarray:
    """Give the objectives (M, iterations + 1) of a gradient method on the whole set, every member on its own.

    These rules move each weight by its own derivatives alone, so that stacked members do not meet.
    """
    theta = {name: value.requires_grad_() for name, value in problem.coefficients.items()}
    steps, values = RULES[rule](theta.values(), lr=lr), []
    for k in range(iterations + 1):
        with torch.set_grad_enabled(k < iterations):
            final = problem.states(vmap(problem.nodes)(theta))[:, -1]
            J = problem.losses(final) + problem.penalties(theta)
        values.append(J.detach())
        if k < iterations:
            steps.zero_grad()
            J.sum().backward()
            steps.step()
    return torch.stack(values, 1).double().numpy()


def each_once(configs: Sequence[Any], run: Callable[[list[Any]], list[Measurements]]) -> list[Measurements]:
    """Run the members that differ in seeds and initial weights alone together, each once.

    Gradient methods know neither rho nor costates: their members with other ones are the same.
    """
    plain = [
        config if config.method in ("msa", "e-msa") else config.model_copy(update={"rho": 0.0, "sign": 1})
        for config in configs
    ]
    groups: dict[Any, dict[Any, None]] = {}
    for config in plain:
        groups.setdefault(config.model_copy(update={"seed": 0, "gain": 0.0}), {})[config] = None
    found: dict[Any, Measurements] = {}
    for own in groups.values():
        found |= dict(zip(own, run([*own]), strict=True))
    return [found[config] for config in plain]


def measured(values: np.ndarray, constants: np.ndarray | None = None) -> Measurements:
    """What is read off the objectives after 0, 1, ... iterations, and the constants of lemma 2 at each."""
    logs = np.log10(values)
    early = min(EARLY, len(values) - 1)
    known: dict[str, Any] = {} if constants is None else {"constant": float(np.nanmax(constants))}
    return Measurements.of(
        late=float(logs[-LATE:].max() - logs.min()),
        early=float(logs[early] - logs[0]),
        total=float(logs[-1] - logs[0]),
        rises=float((np.diff(values[: early + 1]) > 0).mean()),
        loss=Curve(np.arange(len(values)), values),
        **known,
    )
