"""Aligning two networks by their weights: against the algorithm written by hand, and its assignments alone.

    OMP_NUM_THREADS=1 python benchmarks/permutation.py

The unit is one float32 product of two 512 x 512 matrices. The other side is algorithm 1 of Ainsworth, Hayase and
Srinivasa (2023) for a plain network as one would write it, its permutations listed by hand, ending after a pass that
improves nothing. The third side is scipy's assignment alone, once a group, of matrices as those of a first pass: what
is left when everything but the solver costs nothing. Later passes solve others, so that it is a reference and no bound.
"""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

import machine
from lemmata import nets
from lemmata.landscape import permutation
from turns import RESULTS, Row, Side, merge, show

WIDTHS = [512] * 3


def by_hand(a: list[tuple], b: list[tuple], seed: int = 0) -> list[np.ndarray]:
    """Weights and biases of the layers of two plain networks; a permutation of b's units for each hidden layer."""
    draw = np.random.default_rng(seed)
    found = [np.arange(len(w)) for w, _ in a[:-1]]
    improved = True
    while improved:
        improved = False
        for k in draw.permutation(len(found)):
            w_b = b[k][0][:, found[k - 1]] if k else b[k][0]
            next_b = b[k + 1][0][found[k + 1]] if k + 1 < len(found) else b[k + 1][0]
            gain = a[k][0] @ w_b.T + torch.outer(a[k][1], b[k][1]) + a[k + 1][0].T @ next_b
            new = linear_sum_assignment(gain.numpy(), maximize=True)[1]
            rows = np.arange(len(new))
            improved |= bool(gain[rows, new].sum() > gain[rows, found[k]].sum() + 1e-4)
            found[k] = new
    return found


def layers(state: dict[str, torch.Tensor]) -> list[tuple]:
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    return [(state[f"{name}.weight"], state[f"{name}.bias"]) for name in names]


def gains(a: list[tuple], b: list[tuple]) -> list[np.ndarray]:
    """The matrices of the first pass over independent groups, as an assignment problem meets them."""
    return [(w @ v.T).numpy() for (w, _), (v, _) in zip(a[:-1], b[:-1], strict=True)]


def row(
    name: str, other: dict[str, torch.Tensor], model: nn.Module, spec: permutation.Specification, bar: float | None
) -> Row:
    own = {key: tensor.detach() for key, tensor in model.state_dict().items()}
    first, second = layers(own), layers(other)
    one = torch.randn(512, 512)
    problems = gains(first, second)
    total = sum(float(w.double().square().sum() + b.double().square().sum()) for w, b in first)

    def cosine(found: list[np.ndarray]) -> dict[str, float]:
        value, before = 0.0, None
        for k, ((w, c), (v, d)) in enumerate(zip(first, second, strict=True)):
            columns = v if before is None else v[:, before]
            now = found[k] if k < len(found) else np.arange(len(w))
            value += float((w * columns[now]).sum(dtype=torch.float64) + (c * d[now]).sum(dtype=torch.float64))
            before = now
        return {"cosine": value / total}

    sides = [
        Side(
            "lemmata",
            lambda: permutation.weight_matching(own, other, spec, seed=0),
            lambda m: {"cosine": m.cosine, "passes": float(m.passes)},
        ),
        Side("algorithm 1 by hand", lambda: by_hand(first, second), cosine),
        Side("assignments alone, once a group", lambda: [linear_sum_assignment(p, maximize=True) for p in problems]),
    ]
    return Row(name, lambda: one @ one, "512^3 product", sides, turns=3, bar=bar, limit_reason="the third side")


def derivation(name: str, model: nn.Module, x: torch.Tensor) -> Row:
    """What deriving the specification costs, in forward passes on the same batch."""
    with torch.no_grad():
        model.eval()(x)
    sides = [Side("lemmata", lambda: permutation.specification(model, x), lambda s: {"groups": float(len(s.free))})]
    return Row(f"specification of {name}", lambda: model(x), "forward pass", sides, turns=3)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = nets.mlp(784, WIDTHS, 10, seed=0)
    spec = permutation.specification(model, torch.zeros(2, 784))
    planted = permutation.permuted(spec, model, permutation.random(spec, seed=1))
    unrelated = {key: tensor.detach() for key, tensor in nets.mlp(784, WIDTHS, 10, seed=1).state_dict().items()}
    rows = [
        row("3 x 512, planted permutation", planted, model, spec, None),
        row("3 x 512, unrelated", unrelated, model, spec, None),
        derivation("3 x 512", model, torch.zeros(2, 784)),
        derivation("ResNet-20", nets.resnet(20, seed=0), torch.zeros(2, 3, 32, 32)),
    ]
    facts, results = machine.facts(), []
    start = machine.clock()
    permutation.weight_matching(model, planted, spec, seed=0)
    facts["3 x 512 planted, processor seconds"] = machine.clock() - start
    for one in rows:
        results.append(one.measure(print))
        merge(RESULTS / "permutation.json", results[-1], facts)
    show(results)


if __name__ == "__main__":
    main()
