"""The scales of filters."""

import torch
from torch import nn

from lemmata.curvature.sharpness.scale import scale
from lemmata.objective import Objective

F64 = torch.float64


def test_filters_of_a_convolution_and_of_its_transpose():
    model = nn.Sequential(nn.Conv2d(2, 3, 2), nn.ConvTranspose2d(3, 4, 2), nn.Flatten()).double()
    x = torch.randn(2, 2, 3, 3, dtype=F64, generator=torch.Generator().manual_seed(0))
    objective = Objective(model, loss="mse", data=(x, torch.zeros(2, 36, dtype=F64)))
    T = objective.tree(scale(objective, "filter"))
    own = objective.parameters
    torch.testing.assert_close(T["0.weight"][:, 0, 0, 0], own["0.weight"].flatten(1).norm(dim=1))
    torch.testing.assert_close(T["1.weight"][0, :, 0, 0], own["1.weight"].transpose(0, 1).flatten(1).norm(dim=1))
    torch.testing.assert_close(T["0.bias"], own["0.bias"].abs())
