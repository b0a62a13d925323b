"""Training many networks at once against the same training, one network after the other.

Run ``python benchmarks/ensemble.py``; it writes ``benchmarks/results/ensemble.json``. Both sides run in this process,
turn by turn, on the same data, batches, weights and hyper-parameters; the figures are medians of the ratios of
neighbouring turns, so that a change of the machine's load hits both sides. With one thread (``--threads 1``) the
clock is processor time, which other programs do not disturb; with more it is the wall clock, which wants a machine
at rest: a thread that waits for another one's turn on a busy core makes small operations a hundred times slower.

"One at a time" is a plain PyTorch loop: `nn.Sequential`, `torch.optim.SGD`, one permutation an epoch, no metrics;
"together" measures training loss and error once, at the end, and this is counted. Where the gradient is written out
(perceptrons), the same networks are trained by the general path, `vmap` of autograd, as well.

The share of the peak compares the floating-point operations of the matrix products of a step (forward, and backward
by weights and by units) with a large float32 product, timed in the same process.
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

from lemmata import nets
from lemmata.training import SGD, epochs_at, train
from lemmata.training.perceptron import perceptron_layers
from machine import clock, facts, peak

RESULTS = Path(__file__).parent / "results"
NEVER = epochs_at([])
LR, MOMENTUM = 0.05, 0.9


@dataclass(frozen=True)
class Case:
    """A family of networks, the data they are trained on, and the ratio that must be reached (if any)."""

    name: str
    members: int
    batch: int
    samples: int
    epochs: int
    build: Callable[[int], nn.Module]
    shape: tuple[int, ...]
    at_least: float | None = None

    def data(self) -> tuple[Tensor, Tensor]:
        """Random inputs and labels: how fast training goes does not depend on them."""
        g = torch.Generator().manual_seed(0)
        return torch.randn(self.samples, *self.shape, generator=g), torch.randint(10, (self.samples,), generator=g)

    def models(self) -> list[nn.Module]:
        """The untrained members."""
        return [self.build(seed) for seed in range(self.members)]

    def steps(self) -> int:
        """Steps that each member takes."""
        return self.epochs * -(-self.samples // self.batch)


def perceptrons(width: int, activation: str = "relu") -> Callable[[int], nn.Module]:
    return lambda seed: nets.mlp(40, [width, width], 10, activation=activation, seed=seed)


def normalised(width: int) -> Callable[[int], nn.Module]:
    """Two hidden layers, each linear, batch normalisation, ReLU."""

    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        hidden = [(nn.Linear(fan_in, width), nn.BatchNorm1d(width), nn.ReLU()) for fan_in in (40, width)]
        return nn.Sequential(*hidden[0], *hidden[1], nn.Linear(width, 10))

    return build


class General(nn.Sequential):
    """A perceptron that is not known to be one, so that it takes the general path."""


CASES = [
    Case("MLP 40-16-16-10", 32, 32, 4000, 2, perceptrons(16), (40,), at_least=15),
    Case("MLP 40-64-64-10", 32, 32, 4000, 2, perceptrons(64), (40,), at_least=6),
    Case("MLP 40-16-16-10, batch normalisation", 32, 32, 4000, 1, normalised(16), (40,)),
    Case("MLP 40-64-64-10, batch normalisation", 32, 32, 4000, 1, normalised(64), (40,)),
    Case("MLP 40-16-16-10, GELU (by vmap)", 32, 32, 4000, 1, perceptrons(16, "gelu"), (40,)),
    Case("MLP 196-512-10", 15, 50, 1000, 3, lambda seed: nets.mlp(196, [512], 10, seed=seed), (196,)),
    Case("convnet 14x14, 16 channels", 15, 50, 1000, 2, lambda seed: nets.convnet(16, seed=seed), (1, 14, 14)),
    Case("convnet1d, 25 channels", 15, 50, 1000, 2, lambda seed: nets.convnet1d(25, seed=seed), (1, 40)),
]


def one_at_a_time(models: list[nn.Module], x: Tensor, y: Tensor, case: Case) -> None:
    for seed, model in enumerate(models):
        generator = torch.Generator().manual_seed(seed)
        optimiser = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
        for _ in range(case.epochs):
            order = torch.randperm(len(x), generator=generator)
            for xb, yb in zip(x[order].split(case.batch), y[order].split(case.batch), strict=True):
                loss = nn.functional.cross_entropy(model(xb), yb)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()


def together(models: list[nn.Module], x: Tensor, y: Tensor, case: Case) -> None:
    train(
        models, x, y, optimiser=SGD(lr=LR, momentum=MOMENTUM), batch_size=case.batch, epochs=case.epochs,
        train_at=NEVER,
    )  # fmt: skip


def by_vmap(models: list[nn.Module], x: Tensor, y: Tensor, case: Case) -> None:
    together([General(*model.children()) for model in models], x, y, case)


def seconds(run: Callable[..., None], case: Case) -> float:
    models, (x, y) = case.models(), case.data()
    start = clock()
    run(models, x, y, case)
    return clock() - start


def product_flops(case: Case) -> int:
    """Operations of the matrix products of all steps of all members; counted for perceptrons only, else 0."""
    weights = [m for m in case.build(0).modules() if isinstance(m, nn.Linear)]
    if any(isinstance(m, nn.modules.conv._ConvNd) for m in case.build(0).modules()):
        return 0
    passes = [3 * layer.weight.numel() for layer in weights]
    passes[0] -= weights[0].weight.numel()  # no gradient by the inputs
    return 2 * sum(passes) * case.members * case.samples * case.epochs


def measure(case: Case, repetitions: int) -> dict[str, object]:
    seconds(together, case)  # warm-up
    written_out = perceptron_layers(case.build(0), "cross_entropy") is not None
    single, joint, general = [], [], []
    for _ in range(repetitions):
        single.append(seconds(one_at_a_time, case))
        joint.append(seconds(together, case))
        if written_out:
            general.append(seconds(by_vmap, case))
    ratios = sorted(a / b for a, b in zip(single, joint, strict=True))
    flops = product_flops(case)
    share = flops / statistics.median(joint) / peak() if flops else None
    to_general = statistics.median([a / b for a, b in zip(general, joint, strict=True)]) if written_out else None
    return {
        "case": case.name,
        "members": case.members,
        "batch": case.batch,
        "steps": case.steps(),
        "one at a time, microseconds a member and step": 1e6 * statistics.median(single) / case.steps() / case.members,
        "together, microseconds a member and step": 1e6 * statistics.median(joint) / case.steps() / case.members,
        "ratio": statistics.median(ratios),
        "ratio of the fastest turns": min(single) / min(joint),
        "ratios": ratios,
        "general path, ratio": to_general,
        "required": case.at_least,
        "share of matmul peak": share,
    }


def show(rows: list[dict[str, object]]) -> None:
    table = Table("networks", "one at a time", "together", "ratio", "required", "general path", "share of peak")
    for row in rows:
        single, joint = (
            f"{row[f'{side}, microseconds a member and step']:.1f} µs" for side in ("one at a time", "together")
        )
        required, general, share = (row.get(k) for k in ("required", "general path, ratio", "share of matmul peak"))
        table.add_row(
            f"{row['members']} x {row['case']}", single, joint, f"{row['ratio']:.1f}",
            f"{required:g}" if required else "", f"{general:.1f}" if general else "", f"{share:.0%}" if share else "",
        )  # fmt: skip
    Console().print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="measure the cases whose name has this in it, keep the other rows")
    parser.add_argument("--output", type=Path, help="default: results/ensemble.json, or ensemble-1-thread.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name = "ensemble-1-thread.json" if options.threads == 1 else "ensemble.json"
    output = options.output or RESULTS / name
    machine = facts()
    rows: dict[str, dict[str, object]] = {}
    if options.only and output.exists():
        known = json.loads(output.read_text())
        machine, rows = known["machine"], {row["case"]: row for row in known["measurements"]}
    for case in CASES:
        if options.only not in case.name:
            continue
        rows[case.name] = measure(case, options.repetitions)
        output.parent.mkdir(parents=True, exist_ok=True)
        ordered = [rows[case.name] for case in CASES if case.name in rows]
        output.write_text(json.dumps({"machine": machine, "measurements": ordered}, indent=1) + "\n")
    show([rows[case.name] for case in CASES if case.name in rows])


if __name__ == "__main__":
    main()
