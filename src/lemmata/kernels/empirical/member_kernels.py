"""The tangent kernels of M members of one architecture, together or one after another, whichever takes fewer flops.

Together: the Jacobians J (M, n R, P), mapped over members, samples and outputs, and M products J J^T; the kernels take
2 (n R)^2 P flops each, and nothing is looked at anew for each member. One after another: by the structure of the layers
(`lemmata.kernels.empirical.empirical_ntk`), in fewer flops for all but small networks, with a setting up for each that
takes as long as `SETTING_UP` flops. The first kernel that is computed together is compared with the other way's, since
some operations have a rule for mapping that is wrong.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vjp, vmap

from lemmata.kernels.empirical.empirical_ntk import Outputs, kernel_of
from lemmata.kernels.empirical.sample_wise import SampleWise
from lemmata.objective import Mode, Tree

SETTING_UP = 5e8
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}


class MemberKernels:
    """Kernels (M, N, N) on the samples x, N = n C for the full ones, else n.

    >>> kernels = MemberKernels(nn.Linear(1, 1, bias=False), torch.tensor([[1.0], [2.0]]))
    >>> kernels.of({"weight": torch.zeros(3, 1, 1)}).shape
    torch.Size([3, 2, 2])
    """

    def __init__(
        self,
        model: nn.Module,
        x: Tensor,
        *,
        outputs: Outputs = "full",
        parameters: Sequence[str] | None = None,
        mode: Mode | None = None,
        memory: int = 2**31,
    ):
        self.f = SampleWise(model, x, parameters=parameters, mode=mode)
        self.x, self.memory = x.detach(), memory
        self.outputs: Outputs = outputs
        self.names = self.f.names
        C = self.f.channels
        self.size = len(x) * (C if outputs == "full" else 1)
        self.rows = len(x) * (1 if outputs == "sum" else C)  # of the Jacobian
        self.together: bool | None = None  # not known before the first kernel is there

    @torch.no_grad()
    def of(self, states: Mapping[str, Tensor]) -> Tensor:
        """The kernels of members given by states {name: (M, *shape)}."""
        members = len(states[self.names[0]])
        if self.together is None:
            self.together = members > 1 and self._worth_it(states)
        if not self.together:
            return torch.stack([self._one({name: t[i] for name, t in states.items()}) for i in range(members)])
        parameters = sum(self.f.theta[name].numel() for name in self.names)
        each = 3 * self.rows * parameters * self.f.objective.dtype.itemsize
        group = max(1, self.memory // 4 // each)
        parts = [{name: t[i : i + group] for name, t in states.items()} for i in range(0, members, group)]
        return torch.cat([self._mapped(part) for part in parts])

    def _one(self, state: Mapping[str, Tensor]) -> Tensor:
        kernel = kernel_of(self.f.at(state, self.x), self.x, None, outputs=self.outputs, memory=self.memory)
        return kernel.matrix.values

    def _worth_it(self, states: Mapping[str, Tensor]) -> bool:
        """Whether the Jacobians take fewer flops, fit the memory, and are right for the first two members."""
        two = [{name: t[i] for name, t in states.items()} for i in (0, 1)]
        kernel = kernel_of(self.f.at(two[0], self.x), self.x, None, outputs=self.outputs, memory=self.memory)
        parameters = sum(self.f.theta[name].numel() for name in self.names)
        fits = 6 * self.rows * parameters * self.f.objective.dtype.itemsize <= self.memory // 4
        if not fits or 2.0 * self.size * self.rows * parameters > kernel.flops + SETTING_UP:
            return False
        try:
            found = self._mapped({name: t[:2] for name, t in states.items()})
        except RuntimeError:  # an operation that cannot be mapped
            return False
        wanted = torch.stack([kernel.matrix.values, self._one(two[1])])
        tolerance = ROUNDING.get(wanted.dtype, 1e-1) * float(wanted.abs().max())
        return bool((found - wanted).abs().max() <= tolerance)

    def _mapped(self, states: Mapping[str, Tensor]) -> Tensor:
        chosen = {name: states[name] for name in self.names}
        others = {name: t for name, t in states.items() if name not in self.names}
        J = vmap(self._jacobian)(chosen, others)
        J = J.flatten(1, 2) if self.outputs == "full" else J.flatten(2)
        K = torch.bmm(J, J.mT)
        return K / self.f.channels if self.outputs == "trace" else K

    def _jacobian(self, chosen: Tree, others: Tree) -> Tensor:
        """The rows (n, R, P) of one member."""
        C = self.f.channels
        columns = self.x.new_ones(1, C) * C**-0.5 if self.outputs == "sum" else torch.eye(C, device=self.x.device)
        columns = columns.to(self.f.objective.dtype)

        def rows(x: Tensor) -> Tensor:
            def outputs(theta: Tree) -> Tensor:
                return functional_call(self.f.objective.model, {**others, **theta}, (x[None],)).flatten()

            pull = vjp(outputs, chosen)[1]
            found = vmap(lambda u: pull(u)[0])(columns)
            return torch.cat([found[name].flatten(1) for name in self.names], 1)

        return vmap(rows)(self.x)
