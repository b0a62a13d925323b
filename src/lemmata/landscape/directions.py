"""Directions to cut a loss surface along: random and normalised, Hessian eigenvectors, or one's own.

A network of rectifiers is the same function when the weights into a unit are multiplied by c and those out of it
divided by c, so a step of fixed length is large for one copy and small for the other. Filter normalisation (Li, Xu,
Taylor, Studer and Goldstein, 2018, section 4) takes the scale out: a Gaussian direction d is rescaled filter by filter,

    d_ij <- d_ij |theta_ij| / |d_ij|,

j running over the output units of layer i (a filter is all the weights into one unit). Layer normalisation does the
same with whole layers. Parameters with fewer than two dimensions (biases, scales and shifts of normalisation) do not
move, as in the authors' code with ``ignore='biasbn'``.

Cost: none for random directions; Hessian eigenvectors cost what `curvature.top_eigenvalues` says.
A plane of random directions shows two of P dimensions: a direction of negative curvature may well be missed.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from lemmata.errors import InvalidInput, UnknownName
from lemmata.nets.initialisations import generator_from
from lemmata.objective import Objective, Subject, Tree

Normalization = Literal["filter", "layer"] | None
Direction = Mapping[str, Tensor] | Tensor


def random_directions(
    subject: Subject,
    count: int = 2,
    *,
    normalization: Normalization = "filter",
    biases: bool = False,
    orthogonal: bool = False,
    seed: int | torch.Generator,
) -> list[Tree]:
    """Draw `count` Gaussian directions, each a tree like the objective's parameters.

    `normalization` is ``"filter"``, ``"layer"`` or None. `biases` moves the parameters with fewer than two dimensions
    too; each of their entries is then a filter of its own (|d_i| = |theta_i|). `orthogonal` makes each direction
    orthogonal to those before it and gives it back its length, after which it is normalised as a whole only.
    Drawn on the CPU, in float64, so that a seed means the same directions on every device and in every precision.

    Raises `InvalidInput` if nothing would move: no parameter has two dimensions, or all weights are zero.

    >>> model = nn.Linear(3, 2)
    >>> x = torch.zeros(1, 3)
    >>> d = random_directions((model, "mse", (x, model(x).detach())), 1, seed=0)[0]
    >>> bool(torch.allclose(d["weight"].norm(dim=1), model.weight.norm(dim=1))), d["bias"].tolist()
    (True, [0.0, 0.0])
    """
    objective = Objective.of(subject)
    if normalization not in ("filter", "layer", None):
        raise UnknownName("normalization", str(normalization), ("filter", "layer"))
    if count < 1:
        raise InvalidInput(f"count = {count}; ask for one direction at least")
    generator, units = generator_from(seed), _output_axes(objective.model)
    drawn = [_draw(objective, normalization, biases, units, generator) for _ in range(count)]
    if not any(t.any() for t in drawn[0].values()):
        raise InvalidInput(
            "no parameter would move: those with fewer than two dimensions stay where they are, and weights that are "
            "zero have a zero direction; take biases=True, normalization=None, or give directions"
        )
    return orthogonalised(objective, drawn) if orthogonal else drawn


def hessian_directions(
    subject: Subject,
    count: int = 2,
    *,
    which: Literal["largest", "smallest", "magnitude"] = "largest",
    tolerance: float = 1e-2,
    seed: int | torch.Generator = 0,
) -> list[Tree]:
    """The unit eigenvectors of the Hessian with the `count` largest (smallest) eigenvalues, as directions.

    They come from `curvature.top_eigenvalues`, with its cost, and its `NotConverged` where the residual is above
    `tolerance`.

    >>> x = torch.diag(torch.tensor([3.0, 1.0]))
    >>> model = nn.Linear(2, 1, bias=False)
    >>> d = hessian_directions((model, "mse", (x, torch.zeros(2, 1))), 1)[0]
    >>> [round(abs(entry), 2) for entry in d["weight"][0].tolist()]
    [1.0, 0.0]
    """
    from lemmata.curvature import top_eigenvalues

    objective = Objective.of(subject)
    found = top_eigenvalues(objective, count, which=which, tolerance=tolerance, seed=seed)
    return [objective.tree(vector) for vector in found.vectors.T]


def orthogonalised(objective: Objective, directions: Sequence[Tree]) -> list[Tree]:
    """Make each direction orthogonal to those before it, and give it back its length (Gram-Schmidt, twice).

    Raises `InvalidInput` where a direction lies in the span of those before it.
    """
    flat = [objective.vector(d) for d in directions]
    units: list[Tensor] = []
    kept = []
    for place, d in enumerate(flat):
        rest = d.clone()
        for _ in range(2):
            for unit in units:
                rest -= unit.dot(rest) * unit
        if not rest.norm() > 1e-6 * d.norm():
            raise InvalidInput(f"direction {place} lies in the span of those before it; give independent directions")
        units.append(rest / rest.norm())
        kept.append(objective.tree(units[-1] * d.norm()))
    return kept


def checked_directions(objective: Objective, directions: Sequence[Direction], count: int) -> list[Tree]:
    """Take directions given as trees or flat vectors (size,), in the objective's dtype and on its device.

    Raises `InvalidInput` for another number of them, a wrong shape or name, NaN or infinity, and a zero direction.
    """
    if isinstance(directions, Tensor | Mapping) or len(directions) != count:
        got = type(directions).__name__ if isinstance(directions, Tensor | Mapping) else f"{len(directions)}"
        raise InvalidInput(f"expected a list of {count} directions, got {got}")
    return [_checked(objective, d, place) for place, d in enumerate(directions)]


def _checked(objective: Objective, direction: Direction, place: int) -> Tree:
    own = objective.parameters
    if isinstance(direction, Tensor):
        if direction.shape != (objective.size,):
            raise InvalidInput(f"direction {place} has shape {tuple(direction.shape)}; flat it is ({objective.size},)")
        direction = objective.tree(direction.detach())
    if set(direction) != set(own):
        odd = sorted(set(direction) ^ set(own))
        raise InvalidInput(f"direction {place} and the objective's parameters differ in {odd[:5]}")
    for name, tensor in direction.items():
        if tensor.shape != own[name].shape:
            raise InvalidInput(
                f"direction {place} has {name!r} of shape {tuple(tensor.shape)}; the parameter has "
                f"{tuple(own[name].shape)}"
            )
        if not tensor.isfinite().all():
            raise InvalidInput(f"direction {place} has NaN or infinity in {name!r}")
    if not any(tensor.any() for tensor in direction.values()):
        raise InvalidInput(f"direction {place} is zero; nothing would move along it")
    return {name: direction[name].detach().to(own[name]) for name in own}


def _draw(
    objective: Objective, normalization: Normalization, biases: bool, units: dict[str, int], generator: torch.Generator
) -> Tree:
    direction = {}
    for name, weight in objective.parameters.items():
        noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64).to(weight)
        if weight.ndim < 2 and not biases:
            noise = torch.zeros_like(noise)
        direction[name] = _normalised(noise, weight, normalization, units.get(name, 0))
    return direction


def _normalised(noise: Tensor, weight: Tensor, normalization: Normalization, unit: int) -> Tensor:
    if normalization is None:
        return noise
    if normalization == "layer":
        axes = tuple(range(weight.ndim))
    else:
        axes = tuple(axis for axis in range(weight.ndim) if axis != unit)
    lengths = [t.abs() if not axes else t.square().sum(axes, keepdim=True).sqrt() for t in (weight, noise)]
    return noise * torch.where(lengths[1] > 0, lengths[0] / lengths[1], 0)


def _output_axes(model: nn.Module) -> dict[str, int]:
    """Which axis of a weight counts the output units, where it is not the first: transposed convolutions."""
    modules = {name: m for name, m in model.named_modules() if isinstance(m, _ConvTransposeNd)}
    return {f"{name}.weight" if name else "weight": 1 for name in modules}
