"""The promises of every kernel, on a network of linear layers (trace) and one of convolutions (sum, all pairs)."""

import torch
from torch import Tensor, nn

from lemmata.conformance.kernel import KernelConformance
from lemmata.kernels import empirical_ntk


def model(kind: str, like: Tensor) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if kind == "mlp":
            made = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 3))
        else:
            made = nn.Sequential(nn.Conv1d(1, 8, 2), nn.Tanh(), nn.Conv1d(8, 8, 2), nn.ReLU(), nn.Flatten())
    return made.to(like.device, like.dtype)


class TestTrace(KernelConformance):
    tolerance32 = 1e-4

    def kernel(self, x: Tensor, z: Tensor | None = None):
        return empirical_ntk(model("mlp", x), x, z, outputs="trace")


class TestSum(KernelConformance):
    def samples(self, dtype: torch.dtype = torch.float64) -> Tensor:
        return super().samples(dtype)[:, None]

    def kernel(self, x: Tensor, z: Tensor | None = None):
        return empirical_ntk(model("conv", x), x, z, outputs="sum")
