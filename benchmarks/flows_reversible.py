"""The gradient of a deep Hamiltonian network: run backwards in closed form, against autograd and torchdiffeq's adjoint.

    python benchmarks/flows_reversible.py

writes ``benchmarks/results/flows_reversible.json``. One process, one thread, processor time. The network has width 64,
weights of its own in each layer, the batch is 1,024, the steps those of symplectic Euler (two moves a layer) or Verlet
(three). The unit is the matrix products of a forward pass, 4 * 1024 * 64^2 operations a move, so that the limits are
plain: 3 for autograd (two products forwards and four backwards), 4 for a way that reconstructs the states as well (six
backwards). Small products run faster than those of the unit, so that a figure may lie below. Symplectic Euler is what
Haber and Ruthotto (2017) and Chang et al. (2018) call Verlet, p staggered by half a step.

"Autograd, written out" is the same network as a loop of torch operations, two a move. torchdiffeq integrates the same
field by Euler's method in as many steps: "adjoint by Euler" with the weights as one stacked tensor (`index_select`
takes as long and a list of parameters longer), in memory that does not grow with depth but time that grows with its
square, as the gradient of all weights is carried along; "a layer at a time" as many calls as layers, in linear time,
with the state between any two layers kept.

`ratios` are those of medians and of least figures. The difference of gradients is that from autograd's by K of all
layers, in the Euclidean norm, relative to that of autograd's.

Memory is that of processes of their own: the peak of resident memory above that before the forward pass, and the bytes
that autograd holds between forward and backward, without the weights and the batch.
"""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchdiffeq import odeint_adjoint

import machine
from lemmata import flows
from turns import RESULTS, Row, Side, merge, show

WIDTH, BATCH, T = 64, 1024, 8.0
MOVES = {"symplectic-euler": 2, "verlet": 3}


def problem(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """The batch, the classifier behind the network, and labels."""
    draw = torch.Generator().manual_seed(0)
    y = torch.randn(BATCH, WIDTH, generator=draw).to(dtype)
    head = (torch.randn(WIDTH, 10, generator=draw) / WIDTH**0.5).to(dtype)
    return y, head, torch.randint(10, (BATCH,), generator=draw)


def layers(count: int, dtype: torch.dtype = torch.float32) -> flows.Hamiltonian:
    return flows.Hamiltonian(WIDTH, flows.PiecewiseConstant(count, T), dtype=dtype)


def gradient(field: flows.Hamiltonian, method: str, backward: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """The gradient by K of all layers."""
    y, head, labels = problem(dtype)
    net = flows.Flow(field, steps=field.basis.size, method=method, backward=backward)
    loss = functional.cross_entropy(net(y) @ head, labels)
    return torch.autograd.grad(loss, list(field.parameters()))[0]


def written_out(field: flows.Hamiltonian, method: str) -> Tensor:
    """The same by autograd from a loop, with the weights taken apart by unbind."""
    y, head, labels = problem()
    K, b = field.coefficients.values()
    h, q, p = T / len(K), y, torch.zeros_like(y)
    kick = h if method == "symplectic-euler" else h / 2
    for k, c in zip(K.unbind(0), b.unbind(0), strict=True):
        p = torch.addmm(p, torch.tanh(torch.addmm(c, q, k.mT)), k, alpha=-kick)
        q = torch.addmm(q, torch.tanh(torch.addmm(c, p, k.mT)), k, alpha=h)
        if method == "verlet":
            p = torch.addmm(p, torch.tanh(torch.addmm(c, q, k.mT)), k, alpha=-kick)
    return torch.autograd.grad(functional.cross_entropy(q @ head, labels), [K, b])[0]


class Right(nn.Module):
    """The field for torchdiffeq: the layer's weights are those of the time."""

    def __init__(self, field: flows.Hamiltonian):
        super().__init__()
        self.K, self.b = (nn.Parameter(w.detach().clone()) for w in field.coefficients.values())

    def forward(self, t: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Give (q', p') at time t."""
        at = min(int(float(t.detach()) * len(self.K) / T + 1e-6), len(self.K) - 1)
        K, b = self.K[at], self.b[at]
        q, p = y
        return torch.tanh(torch.addmm(b, p, K.mT)) @ K, -(torch.tanh(torch.addmm(b, q, K.mT)) @ K)


def torchdiffeq_adjoint(field: flows.Hamiltonian) -> Tensor:
    y, head, labels = problem()
    module = Right(field)
    times, options = torch.tensor([0.0, T]), {"step_size": T / field.basis.size}
    q, _ = odeint_adjoint(module, (y, torch.zeros_like(y)), times, method="euler", options=options)
    return torch.autograd.grad(functional.cross_entropy(q[-1] @ head, labels), [module.K, module.b])[0]


class Layer(nn.Module):
    """The field of one layer for torchdiffeq."""

    def __init__(self, K: Tensor, b: Tensor):
        super().__init__()
        self.K, self.b = nn.Parameter(K.clone()), nn.Parameter(b.clone())

    def forward(self, _: Tensor, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Give (q', p')."""
        q, p = y
        return torch.tanh(torch.addmm(self.b, p, self.K.mT)) @ self.K, -(
            torch.tanh(torch.addmm(self.b, q, self.K.mT)) @ self.K
        )


def torchdiffeq_by_layers(field: flows.Hamiltonian) -> tuple[Tensor, ...]:
    y, head, labels = problem()
    modules = [Layer(K, b) for K, b in zip(*(w.detach() for w in field.coefficients.values()), strict=True)]
    q, p, times = y, torch.zeros_like(y), torch.tensor([0.0, T / field.basis.size])
    for module in modules:
        q, p = (part[-1] for part in odeint_adjoint(module, (q, p), times, method="euler"))
    weights = [w for module in modules for w in module.parameters()]
    return torch.autograd.grad(functional.cross_entropy(q @ head, labels), weights)


def products(field: flows.Hamiltonian, moves: int) -> None:
    """The matrix products of a forward pass, and nothing else."""
    y, out = problem()[0], torch.empty(BATCH, WIDTH)
    for k in field.coefficients["K"].detach():
        for _ in range(moves):
            torch.mm(y, k.mT, out=out)
            torch.mm(y, k, out=out)


def memory(count: int, method: str, backward: str) -> dict[str, float]:
    """The peak of resident memory and what autograd holds, in MB, of a process of its own."""
    command = [sys.executable, __file__, str(count), method, backward]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return json.loads(answer.splitlines()[-1])


def resident(name: str) -> int:
    """VmRSS, resident memory, or VmHWM, its peak, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))


def measure_memory(count: int, method: str, backward: str) -> None:
    """What that process does."""
    gradient(layers(2), method, backward)  # libraries are loaded, code is compiled
    field = layers(count)
    y, head, labels = problem()
    known, held = {w.untyped_storage().data_ptr() for w in [*field.parameters(), y]}, {}

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    net = flows.Flow(field, steps=count, method=method, backward=backward)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, which a process inherits from its parent
    before = resident("VmRSS")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        end = net(y)
    kept = sum(held.values())
    torch.autograd.grad(functional.cross_entropy(end @ head, labels), list(field.parameters()))
    peak = resident("VmHWM") - before
    print(json.dumps({"held, MB": kept / 2**20, "peak above that before, MB": peak / 2**10}))


def row(count: int, method: str, *, peer: bool) -> Row:
    field, moves = layers(count), MOVES[method]
    exact, found = (gradient(layers(count, torch.float64), method, way, torch.float64)
                    for way in ("store", "reversible"))  # fmt: skip
    sides = [
        Side("lemmata, reversible", partial(gradient, field, method, "reversible")),
        Side("lemmata, store", partial(gradient, field, method, "store")),
        Side("autograd, written out", partial(written_out, field, method)),
    ]
    if peer:
        sides += [
            Side("torchdiffeq, adjoint by Euler", partial(torchdiffeq_adjoint, field), turns=1),
            Side("torchdiffeq, a layer at a time", partial(torchdiffeq_by_layers, field), turns=1),
        ]
    facts = {
        "flops of the unit": 4 * BATCH * WIDTH**2 * moves * count,
        "difference of the gradients, float64": float((exact - found).norm() / exact.norm()),
        "memory": {way: memory(count, method, way) for way in ("reversible", "store", "checkpoint")},
    }
    return Row(
        f"gradient of {count:,} layers, {method}", partial(products, field, moves), "the products of a forward pass",
        sides, turns=5, limit=4.0, limit_reason="products alone, states reconstructed; 3 where they are stored",
        facts=facts,
    )  # fmt: skip


def main() -> None:
    torch.set_num_threads(1)
    if len(sys.argv) == 4:
        measure_memory(int(sys.argv[1]), *sys.argv[2:])
        return
    facts, measured = machine.facts(), []
    for count, method, peer in (
        (256, "symplectic-euler", True), (1024, "symplectic-euler", True), (1024, "verlet", False),
    ):  # fmt: skip
        found = row(count, method, peer=peer).measure(print)
        ours = found["sides"]["lemmata, reversible"]
        found["ratios"] = {
            kind: {name: ours[kind] / side[kind] for name, side in found["sides"].items()}
            for kind in ("median", "least")
        }
        measured.append(found)
        merge(RESULTS / "flows_reversible.json", found, facts)
    show(measured)


if __name__ == "__main__":
    main()
