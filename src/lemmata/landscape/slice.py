"""The loss on a slice of parameter space: theta(c) = origin + c_1 d_1 + ... + c_k d_k.

A point costs one forward pass over the data, 1/3 of a gradient, and two where the statistics of batch normalisation
are estimated anew. The parameters of a private copy are views of one flat buffer, so that moving to a point is k + 1
passes over P numbers, whatever the number of tensors; that copy is all that ever moves.

Several points in one vmapped call pay on a GPU only: on a CPU a convolution with weights of its own for each point is
a grouped convolution, 1.4 to 2 times slower. So points go one by one there.
"""

import copy
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from lemmata.errors import InvalidInput, UnknownName
from lemmata.objective import Objective, Tree

BatchNorm = Literal["running", "reestimate", "batch"] | None
AT_ONCE_ON_GPU = 8


class Slice:
    """The mean loss, and the misclassified share where there are labels, at points of a slice.

    `origin` and `directions` are trees of the same names: parameters, and running statistics of batch normalisation
    that move with them. `batch_norm` is ``"running"`` (statistics as stored), ``"reestimate"`` (a pass over the data
    at each point estimates them first), ``"batch"`` (those of each of the objective's batches); None is the
    objective's own mode: ``"running"`` in eval, ``"batch"`` in train.
    """

    def __init__(
        self,
        objective: Objective,
        directions: Sequence[Tree],
        *,
        origin: Tree | None = None,
        batch_norm: BatchNorm = None,
        at_once: int | None = None,
    ):
        if batch_norm not in ("running", "reestimate", "batch", None):
            raise UnknownName("batch_norm", str(batch_norm), ("running", "reestimate", "batch"))
        self.objective, self.directions = objective, tuple(directions)
        self.origin = dict(objective.parameters if origin is None else origin)
        self.batch_norm = batch_norm or ("batch" if objective.mode == "train" else "running")
        self.model = copy.deepcopy(objective.model)
        self._norms = [m for m in self.model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
        for norm in self._norms:
            norm.train(self.batch_norm == "batch")
            norm.track_running_stats = self.batch_norm != "batch"
        self._start, self._steps = _flat(self.origin), [_flat(d) for d in self.directions]
        self._buffer = self._start.clone()
        _view(self.model, self.origin, self._buffer)
        several = AT_ONCE_ON_GPU if objective.device.type == "cuda" and not self._reestimates else 1
        self.at_once = at_once or several

    @property
    def cost(self) -> float:
        """Gradients a point costs: 1/3 for a forward pass."""
        return (2 if self._reestimates else 1) / 3

    @property
    def _reestimates(self) -> bool:
        return self.batch_norm == "reestimate" and bool(self._norms)

    @torch.no_grad()
    def __call__(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss and misclassified share at coordinates (m, k): two arrays (m,). NaN and infinity stay as they are."""
        if self.at_once > 1 and not self._reestimates:
            return self._together(coordinates)
        found = [self._alone(point) for point in coordinates]
        return np.array([loss for loss, _ in found]), np.array([wrong for _, wrong in found])

    def _alone(self, point: np.ndarray) -> tuple[float, float]:
        self._buffer.copy_(self._start)
        for c, step in zip(point.tolist(), self._steps, strict=True):
            self._buffer.add_(step, alpha=c)
        if self._reestimates:
            self._estimate_statistics()
        loss, wrong = 0.0, 0.0
        for x, y in self.objective.batches:
            outputs, share = self.model(x), len(y) / self.objective.n
            loss += share * self.objective.loss(outputs, y).item()
            wrong += share * _misclassified(outputs, y).item()
        return loss, wrong

    def _estimate_statistics(self) -> None:
        """Running statistics of the data at this point: the mean over batches, weighted by their sizes."""
        seen = 0
        for norm in self._norms:
            norm.train()
        for x, _ in self.objective.batches:
            seen += len(x)
            for norm in self._norms:
                norm.momentum = len(x) / seen
            self.model(x)
        for norm in self._norms:
            norm.eval()

    def _together(self, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c = torch.as_tensor(coordinates, dtype=self._start.dtype, device=self._start.device)
        points = self._start + c @ torch.stack(self._steps)
        shapes = {name: t.shape for name, t in self.origin.items()}
        parts = points.split([shape.numel() for shape in shapes.values()], 1)
        tree = {n: part.reshape(len(c), *s) for (n, s), part in zip(shapes.items(), parts, strict=True)}

        def measure(theta: Tree, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            outputs = functional_call(self.model, theta, (x,))
            return self.objective.loss(outputs, y).double(), _misclassified(outputs, y)

        loss = wrong = torch.zeros(len(c), dtype=torch.float64, device=c.device)
        for x, y in self.objective.batches:
            share = len(y) / self.objective.n
            part_loss, part_wrong = vmap(measure, in_dims=(0, None, None))(tree, x, y)
            loss, wrong = loss + share * part_loss, wrong + share * part_wrong
        return loss.cpu().numpy(), wrong.cpu().numpy()


def _misclassified(outputs: Tensor, y: Tensor) -> Tensor:
    """The share of outputs (n, C) whose largest entry is not at the label: NaN without labels, or with NaN outputs."""
    if y.is_floating_point() or y.ndim != 1 or outputs.ndim != 2 or outputs.shape[1] < 2:
        return torch.full((), math.nan, dtype=torch.float64, device=outputs.device)
    wrong = (outputs.argmax(1) != y).double().mean()
    return torch.where(outputs.isnan().any(), math.nan, wrong)


def _flat(tree: Tree) -> Tensor:
    return torch.cat([t.detach().reshape(-1) for t in tree.values()])


def _view(model: nn.Module, tree: Tree, buffer: Tensor) -> None:
    """Let the parameters and buffers of these names be views of one flat tensor."""
    own = dict(model.named_parameters()) | dict(model.named_buffers())
    if len({t.dtype for t in tree.values()}) > 1:
        raise InvalidInput(f"parameters of several types: {sorted({str(t.dtype) for t in tree.values()})}; use one")
    parts = buffer.split([t.numel() for t in tree.values()])
    for (name, tensor), part in zip(tree.items(), parts, strict=True):
        own[name].data = part.view(tensor.shape)
