"""Training sparse networks, beside the parametrisation and PyTorch's own pruning; and the tickets of LeNet on MNIST.

    python benchmarks/pruning.py [--only steps|tickets] [--store FOLDER]

writes ``benchmarks/results/pruning.json``, row by row.

    steps     a step of Adam of LeNet-300-100 with 10.8 % of its weights, batches of 60: the unit is the three products
              that a dense step needs, 96 Mflop, by torch's own product in the same process, which is the limit of any
              method that does not use sparsity in its products. Sides: `Pruned` and `masked`, 5 networks at once, per
              network; one network by `torch.nn.utils.prune` and `torch.optim.Adam`; the dense network by `train`
    tickets   test accuracies on MNIST from the records of the study frankle-carbin-2019 in --store, with 95 % intervals
              over seeds (Student), as made by: lemmata run frankle-carbin-2019 --scale paper --only mnist
              --epochs 4 --one_by_one false --every 250 --data-dir ... --store ...
"""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

import machine
from lemmata import laboratory, nets, pruning
from lemmata.figures import mean_and_band
from lemmata.training import Adam, epochs_at, train
from turns import RESULTS, Row, Side, merge, show

MEMBERS, BATCH, STEPS, RATE = 5, 60, 60, 1.2e-3
SHORT = {"epochs": 4, "one_by_one": False, "every": 250}
LEVELS = {"100": "100 %", "51": "51.3 %", "21": "21.1 %", "11": "10.8 %", "4": "3.6 %"}


def lenet(seed: int) -> nn.Sequential:
    return nets.mlp(784, [300, 100], 10, initialisation="xavier_normal", seed=seed)


def masks(models: list[nn.Module], rounds: int = 10) -> dict[str, torch.Tensor]:
    """The largest initial weights: how fast training goes does not depend on which are left."""
    weights = {
        name: torch.stack([m.get_parameter(name).detach() for m in models]) for name in pruning.prunable(models[0])
    }
    whole = pruning.ones(models[0], len(models))
    return pruning.smallest_pruned(weights, whole, shares={"output": 0.1}, times=rounds)


def products() -> Callable[[], None]:
    """The products of one dense step: forward, the weights' gradients, and the units' but for the first layer's."""
    draw = torch.Generator().manual_seed(0)
    sizes = [784, 300, 100, 10]
    pairs = []
    for k in range(3):
        w, a, d = (
            torch.randn(shape, generator=draw)
            for shape in ((sizes[k + 1], sizes[k]), (sizes[k], BATCH), (sizes[k + 1], BATCH))
        )
        pairs += [(w, a), (d, a.T.contiguous())] + ([(w.T.contiguous(), d)] if k else [])
    rooms = [torch.empty(a.shape[0], b.shape[1]) for a, b in pairs]

    def run() -> None:
        for (a, b), out in zip(pairs, rooms, strict=True):
            torch.mm(a, b, out=out)

    return run


def steps_row() -> Row:
    """Four ways to take a step."""
    draw = torch.Generator().manual_seed(1)
    x = torch.rand(BATCH * STEPS, 784, generator=draw)
    y = torch.randint(10, (len(x),), generator=draw)
    models = [lenet(seed) for seed in range(MEMBERS)]
    left = masks(models)
    options = {"batch_size": BATCH, "epochs": 1, "train_at": epochs_at([])}
    sparse = [pruning.masked(m, {n: mask[i] for n, mask in left.items()}) for i, m in enumerate(models)]

    def one_network() -> None:
        net = lenet(0)
        for name in left:
            layer = net.get_submodule(name.removesuffix(".weight"))
            torch_prune.custom_from_mask(layer, "weight", left[name][0])
        rule = torch.optim.Adam(net.parameters(), lr=RATE)
        for xb, yb in zip(x.split(BATCH), y.split(BATCH), strict=True):
            rule.zero_grad()
            nn.functional.cross_entropy(net(xb), yb).backward()
            rule.step()

    def together(members: list[nn.Module], rule: Any) -> Callable[[], object]:
        return lambda: train(members, x, y, optimiser=rule, **options)

    adam = Adam(lr=RATE)
    return Row(
        "a step of Adam with 10.8 % of the weights", unit=products(), unit_name="the products of a dense step",
        limit=1.0, limit_reason="96 Mflop of dense products", per=STEPS * MEMBERS, turns=7,
        sides=[
            Side("lemmata, Pruned, 5 at once", together(models, pruning.Pruned(adam, left))),
            Side("lemmata, masked, 5 at once", together(sparse, adam)),
            Side("torch.nn.utils.prune, one network", one_network, per=STEPS),
            Side("lemmata, dense, 5 at once", together(models, adam)),
        ],
    )  # fmt: skip


def tickets_row(store: str) -> dict[str, Any]:
    """Accuracies of every kind and sparsity, read from the records."""
    found = laboratory.recall(
        "frankle-carbin-2019", scale="paper", only=["mnist"], overrides=SHORT, store=store
    )  # fmt: skip
    table = found.tables["mnist"]
    sides: dict[str, Any] = {}
    for kind, rows in table[table.status == "ok"].groupby("kind"):
        facts: dict[str, Any] = {"seeds": len(rows)}
        for level, shown in LEVELS.items():
            if f"accuracy_{level}" in rows and rows[f"accuracy_{level}"].notna().all():
                mean, low, high = (float(v[0]) for v in mean_and_band(rows[[f"accuracy_{level}"]].to_numpy(float)))
                facts[shown] = {"mean": mean, "low": low, "high": high}
        sides[str(kind)] = {"median": facts.get("10.8 %", {}).get("mean"), **facts}
    return {
        "work": "LeNet-300-100 on MNIST, 4 epochs a training: test accuracy", "unit": "test accuracy at 10.8 %",
        "limit": None, "limit is": "", "ours at most": None, "sides": sides,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("steps", "tickets"))
    parser.add_argument("--store", default="lemmata-store")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    path, facts, rows = RESULTS / "pruning.json", machine.facts(), []
    if chosen.only != "tickets":
        rows.append(steps_row().measure(print))
    if chosen.only != "steps":
        rows.append(tickets_row(chosen.store))
    for row in rows:
        merge(path, row, facts)
    show(rows)


if __name__ == "__main__":
    main()
