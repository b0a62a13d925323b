"""Attacks beside their peers: a gradient by PGD, and PGD end to end, in multiples of a bare forward and input gradient.

    python benchmarks/attacks.py

writes ``benchmarks/results/attacks.json``, row by row. One process, one thread, processor time. The unit is the least
that a gradient takes: the forward pass and the backward pass by the input, of a batch of 100 images, by autograd, of a
copy of the model whose parameters ask for nothing. torchattacks (3.5.1) and the Adversarial Robustness Toolbox (1.20.1)
run as their users run them; neither is a dependency of the project for this. The rows:

    gradient    one step of PGD in the maximum norm on all images (no early exit: the same work)
    end to end  robust accuracy of a network at 40 steps, at one radius
    curve       the same at six radii: lemmata in one run, torchattacks once a radius
"""

import argparse
import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import machine
from lemmata import data, nets, training
from lemmata.robustness import pgd
from turns import RESULTS, Row, Side, merge, show

EPS, GRID = 0.1, [0.02, 0.04, 0.06, 0.08, 0.1, 0.15]
STEPS = 40
COUNT = 200
TORCHATTACKS, TOOLBOX = "torchattacks 3.5.1", "Adversarial Robustness Toolbox 1.20.1"


def trained(kind: str) -> tuple[nn.Module, Tensor, Tensor]:
    """A network trained for a few epochs on digits, and the digits to attack."""
    digits = data.load("mnist-5k").split(1500, COUNT, seed=0)
    if kind == "perceptron":
        net: nn.Module = nets.mlp(784, [256, 256], 10, seed=0)
    else:
        net = nets.convnet(16, image=(1, 28, 28), seed=0)
    rule = training.SGD(lr=0.05, momentum=0.9)
    result = training.train([net], digits.x, digits.y, optimiser=rule, batch_size=50, epochs=4)
    return result.model(0), digits.x_test, digits.y_test  # type: ignore[return-value]


def bare(model: nn.Module, x: Tensor, y: Tensor) -> Callable[[], Any]:
    """The unit: the gradient of 100 images by the input alone."""
    frozen = copy.deepcopy(model).requires_grad_(False)
    z, labels = x[:100].clone().requires_grad_(), y[:100]

    def run() -> Tensor:
        return torch.autograd.grad(nn.functional.cross_entropy(frozen(z), labels, reduction="sum"), z)[0]

    return run


def by_torchattacks(model: nn.Module, x: Tensor, y: Tensor, *, eps: float, steps: int, batch: int) -> Tensor:
    """Which images still stand."""
    import torchattacks

    attack = torchattacks.PGD(model, eps=eps, alpha=2.5 * eps / steps, steps=steps)
    found = torch.cat([attack(*part) for part in zip(x.split(batch), y.split(batch), strict=True)])
    with torch.no_grad():
        return model(found).argmax(1) == y


def by_toolbox(model: nn.Module, x: Tensor, y: Tensor, *, eps: float, steps: int, batch: int) -> Tensor:
    """Which images still stand."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        copy.deepcopy(model), nn.CrossEntropyLoss(), input_shape=tuple(x.shape[1:]), nb_classes=10,
        clip_values=(0.0, 1.0), device_type="cpu",
    )  # fmt: skip
    attack = ProjectedGradientDescentPyTorch(
        classifier, eps=eps, eps_step=2.5 * eps / steps, max_iter=steps, num_random_init=1, batch_size=batch,
        verbose=False,
    )  # fmt: skip
    found = torch.from_numpy(attack.generate(x.numpy(), y.numpy()))
    with torch.no_grad():
        return model(found).argmax(1) == y


def accuracy(standing: Tensor) -> dict[str, Any]:
    return {"robust accuracy": float(standing.double().mean())}


def rows() -> Iterator[Row]:
    for kind in ("perceptron", "convolutional"):
        model, x, y = trained(kind)
        unit, hundreds = bare(model, x, y), COUNT // 100
        same = {"eps": EPS, "steps": 20}
        yield Row(
            f"PGD, a gradient, {kind}", unit, "bare gradients of 100 images",
            [
                Side("lemmata", partial(pgd, model, x, y, early_exit=False, **same)),
                Side(f"{TORCHATTACKS}, batch 100", partial(by_torchattacks, model, x, y, batch=100, **same)),
                Side(f"{TORCHATTACKS}, batch {COUNT}", partial(by_torchattacks, model, x, y, batch=COUNT, **same)),
                Side(f"{TOOLBOX}, batch 32", partial(by_toolbox, model, x, y, batch=32, **same)),
            ],
            turns=3, per=20 * hundreds, limit=1.0, limit_reason="forward and input gradient in batches of 100",
        )  # fmt: skip
        full = {"eps": EPS, "steps": STEPS}
        yield Row(
            f"robust accuracy at one radius, {STEPS} steps, {kind}", unit, "bare gradients of 100 images",
            [
                Side("lemmata", partial(pgd, model, x, y, **full), lambda found: accuracy(~found.success)),
                Side(f"{TORCHATTACKS}, batch 100", partial(by_torchattacks, model, x, y, batch=100, **full), accuracy),
                Side(f"{TOOLBOX}, batch 32", partial(by_toolbox, model, x, y, batch=32, **full), accuracy),
            ],
            turns=2,
        )  # fmt: skip

        def each(model: nn.Module = model, x: Tensor = x, y: Tensor = y) -> list[float]:
            shares = [by_torchattacks(model, x, y, eps=eps, steps=STEPS, batch=100) for eps in GRID]
            return [float(share.double().mean()) for share in shares]

        yield Row(
            f"robust accuracy at six radii, {STEPS} steps, {kind}", unit, "bare gradients of 100 images",
            [
                Side(
                    "lemmata", partial(pgd, model, x, y, eps=GRID, steps=STEPS),
                    lambda found: {
                        "robust accuracy": found.robust_accuracy.tolist(),
                        "gradients an image": found.gradients / COUNT,
                    },
                ),
                Side(f"{TORCHATTACKS}, once a radius", each, lambda found: {"robust accuracy": found}),
            ],
            turns=2,
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=RESULTS / "attacks.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts, done = machine.facts(), []
    for row in rows():
        done.append(row.measure(note=print))
        merge(options.output, done[-1], facts)
    show(done)


if __name__ == "__main__":
    main()
