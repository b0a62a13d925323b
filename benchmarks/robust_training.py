"""Robust training of many networks at once against the same recipes, one network after the other in plain PyTorch.

Run ``python benchmarks/robust_training.py``; it writes ``benchmarks/results/robust_training.json``. Both sides run in
this process, turn by turn, on one thread and its processor time, with the same data, batches and numbers of draws and
steps; the figures are medians of the ratios of neighbouring turns.

"One at a time" is what the papers' published loops do: `nn.Sequential`, `torch.optim.SGD`, noise by `torch.randn_like`,
attacks by `torch.autograd.grad` on the inputs alone, projections by scaling (Euclidean) or clamping.

The share of the peak compares the floating-point operations of the recipe's matrix products (training passes on every
copy, and two passes on every copy in every step of an attack) with a large float32 product, timed in the same process.
What is left is noise, projections, activations and the optimiser.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div, nll_loss

from lemmata import nets
from lemmata.robustness.training import adversarial_training, consistency, gaussian_augmentation, smooth_adv, stability
from lemmata.training import SGD, epochs_at, train
from lemmata.training.recipe import Recipe
from machine import clock, facts, peak

RESULTS = Path(__file__).parent / "results"
LR, MOMENTUM, SIGMA, EPS = 0.05, 0.9, 0.25, 0.5
NEVER = epochs_at([])
Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def ascend(value: Callable[[Tensor], Tensor], x: Tensor, *, steps: int, norm: str) -> Tensor:
    """Projected gradient steps as the papers' loops take them."""
    z, step = x, 2 * EPS / steps
    for _ in range(steps):
        z = z.detach().requires_grad_()
        (g,) = torch.autograd.grad(value(z), z)
        if norm == "linf":
            z = (x + (z + step * g.sign() - x).clamp(-EPS, EPS)).clamp(0, 1)
        else:
            moved = z + step * g / (g.norm(dim=1, keepdim=True) + 1e-12) - x
            z = (x + moved.renorm(2, 0, EPS)).clamp(0, 1)
    return z.detach()


def augmented(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(model(x + SIGMA * torch.randn_like(x)), y)


def smoothed(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    noise = SIGMA * torch.randn(2, *x.shape)

    def value(z: Tensor) -> Tensor:
        return nll_loss(model((z + noise).flatten(0, 1)).softmax(1).unflatten(0, (2, -1)).mean(0).log(), y)

    return cross_entropy(model((ascend(value, x, steps=4, norm="l2") + noise).flatten(0, 1)), y.repeat(2))


def consistent(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    logits = model((x + SIGMA * torch.randn(2, *x.shape)).flatten(0, 1))
    log_p = logits.log_softmax(1).unflatten(0, (2, -1))
    mean = log_p.exp().mean(0)
    divergence = sum(kl_div(part, mean, reduction="batchmean") for part in log_p) / 2
    return cross_entropy(logits, y.repeat(2)) + 10 * divergence - 0.5 * (mean * mean.log()).sum(1).mean()


def stable(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    clean, noisy = model(torch.cat([x, x + SIGMA * torch.randn_like(x)])).chunk(2)
    return cross_entropy(clean, y) - 2 * (clean.softmax(1) * noisy.log_softmax(1)).sum(1).mean()


def adversarial(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return cross_entropy(model(ascend(lambda z: cross_entropy(model(z), y), x, steps=4, norm="linf")), y)


@dataclass(frozen=True)
class Recipes:
    """A recipe, the same in plain PyTorch, the copies it trains on, and the copies and steps of its attack."""

    name: str
    recipe: Recipe | None
    plain: Loss
    trained: int = 1
    attacked: int = 0


RECIPES = [
    Recipes("none", None, lambda model, x, y: cross_entropy(model(x), y)),
    Recipes("Gaussian augmentation", gaussian_augmentation(SIGMA), augmented),
    Recipes("stability", stability(SIGMA), stable, trained=2),
    Recipes("consistency, 2 draws", consistency(SIGMA), consistent, trained=2),
    Recipes("SmoothAdv, 2 draws, 4 steps", smooth_adv(SIGMA, EPS, draws=2, steps=4), smoothed, trained=2, attacked=8),
    Recipes(
        "adversarial, linf, 4 steps", adversarial_training(EPS, steps=4, random_start=False), adversarial, attacked=4
    ),
]


@dataclass(frozen=True)
class Case:
    """A family of networks and their data: random, since how fast training goes does not depend on them."""

    name: str
    members: int
    widths: tuple[int, ...]
    batch: int
    samples: int

    def models(self) -> list[nn.Module]:
        """The untrained members."""
        return [nets.mlp(self.widths[0], self.widths[1:-1], self.widths[-1], seed=s) for s in range(self.members)]

    def data(self) -> tuple[Tensor, Tensor]:
        """Inputs in [0, 1] and labels."""
        g = torch.Generator().manual_seed(0)
        return torch.rand(self.samples, self.widths[0], generator=g), torch.randint(10, (self.samples,), generator=g)

    def flops(self, of: Recipes) -> int:
        """Operations of all matrix products of an epoch of all members."""
        sizes = [a * b for a, b in zip(self.widths, self.widths[1:], strict=False)]
        training = of.trained * (3 * sum(sizes) - sizes[0])
        return 2 * (training + of.attacked * 2 * sum(sizes)) * self.samples * self.members


CASES = [
    Case("32 x MLP 64-32-10, batch 32", 32, (64, 32, 10), 32, 1024),
    Case("16 x MLP 196-64-10, batch 64", 16, (196, 64, 10), 64, 1024),
    Case("8 x MLP 784-128-10, batch 128", 8, (784, 128, 10), 128, 1024),
]


def one_at_a_time(models: list[nn.Module], x: Tensor, y: Tensor, case: Case, of: Recipes) -> None:
    for seed, model in enumerate(models):
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        order = torch.randperm(len(x), generator=generator)
        for xb, yb in zip(x[order].split(case.batch), y[order].split(case.batch), strict=True):
            loss = of.plain(model, xb, yb)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()


def together(models: list[nn.Module], x: Tensor, y: Tensor, case: Case, of: Recipes) -> None:
    train(
        models, x, y, optimiser=SGD(lr=LR, momentum=MOMENTUM), batch_size=case.batch, epochs=1, train_at=NEVER,
        recipe=of.recipe,
    )  # fmt: skip


def seconds(run: Callable[..., None], case: Case, of: Recipes) -> float:
    models, (x, y) = case.models(), case.data()
    start = clock()
    run(models, x, y, case, of)
    return clock() - start


def measure(case: Case, of: Recipes, repetitions: int) -> dict[str, object]:
    seconds(together, case, of)  # warm-up
    single, joint = [], []
    for _ in range(repetitions):
        single.append(seconds(one_at_a_time, case, of))
        joint.append(seconds(together, case, of))
    ratios = sorted(a / b for a, b in zip(single, joint, strict=True))
    steps = case.members * -(-case.samples // case.batch)
    return {
        "case": case.name,
        "recipe": of.name,
        "one at a time, microseconds a member and step": 1e6 * statistics.median(single) / steps,
        "together, microseconds a member and step": 1e6 * statistics.median(joint) / steps,
        "ratio": statistics.median(ratios),
        "ratios": ratios,
        "share of matmul peak": case.flops(of) / statistics.median(joint) / peak(),
        "share of matmul peak, one at a time": case.flops(of) / statistics.median(single) / peak(),
    }


def show(rows: list[dict[str, object]]) -> None:
    table = Table("networks", "recipe", "one at a time", "together", "ratio", "share of peak")
    for row in rows:
        single, joint = (
            f"{row[f'{side}, microseconds a member and step']:.0f} µs" for side in ("one at a time", "together")
        )
        table.add_row(
            str(row["case"]), str(row["recipe"]), single, joint, f"{row['ratio']:.1f}",
            f"{row['share of matmul peak']:.0%}",
        )  # fmt: skip
    Console(width=140).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="Robust training of many networks at once.")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--output", type=Path, default=RESULTS / "robust_training.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine = facts()
    rows = [measure(case, of, options.repetitions) for case in CASES for of in RECIPES]
    options.output.write_text(json.dumps({"machine": machine, "measurements": rows}, indent=1) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
