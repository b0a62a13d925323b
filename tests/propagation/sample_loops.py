"""What tests of signals share: models drawn from a seed, and plain loops over samples with autograd."""

import math

import torch
from torch.nn import functional


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def built(model, seed=0):
    """The model in float64 with weights drawn from a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = model.double()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(0.5 * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    return model.eval()


def by_loop(model, names, x, y):
    """Outputs of modules, and gradients of each sample's loss by them and by their weights, sample by sample."""
    rows = []
    modules = dict(model.named_modules())
    for i in range(len(x)):
        kept = {}
        handles = [
            modules[n].register_forward_hook(lambda _, __, out, n=n, kept=kept: kept.setdefault(n, out)) for n in names
        ]
        loss = functional.cross_entropy(model(x[i : i + 1]), y[i : i + 1])
        for handle in handles:
            handle.remove()
        outputs = torch.autograd.grad(loss, [kept[n] for n in names], retain_graph=True)
        weights = torch.autograd.grad(loss, [modules[n].weight for n in names])
        rows.append(([kept[n].detach() for n in names], outputs, weights))
    return [[torch.stack([row[part][place].flatten() for row in rows]) for place in range(len(names))]
            for part in range(3)]  # fmt: skip


def agrees(moments, wanted, percentile=True):
    """Moments are those of the entries (n, units), to rounding in float64."""
    for place, values in enumerate(wanted):
        assert torch.allclose(moments.sample_mean[:, place], values.mean(1), rtol=1e-9, atol=1e-14)
        assert torch.allclose(moments.mean[place], values.mean(), rtol=1e-9, atol=1e-14)
        assert torch.allclose(moments.variance[place], values.var(unbiased=False), rtol=1e-9)
        assert torch.allclose(moments.sample_variance[:, place], values.var(1, unbiased=False), rtol=1e-8, atol=1e-14)
        if percentile:
            sizes = values.abs().flatten().sort().values
            rank = math.ceil(0.98 * len(sizes)) - 1
            assert torch.isclose(moments.percentile[place], sizes[rank], rtol=1e-12)
