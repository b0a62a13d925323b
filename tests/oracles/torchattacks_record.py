"""What torchattacks 3.5.1 finds on small networks: FGSM and PGD in the maximum norm, PGD in the Euclidean one.

    python tests/oracles/torchattacks_record.py

writes ``torchattacks_3.5.1.json`` beside itself; torchattacks is no dependency of the project. The networks are drawn
by torch's own generator from the seeds that the file names, so that the tests can draw them again; the sum of their
weights is recorded to prove it. Starts are the images themselves, so that nothing is random. Losses are cross-entropy
at the points found, image by image.
"""

import json
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

CASES = [
    {"attack": "FGSM", "eps": 0.1},
    {"attack": "PGD", "eps": 0.1, "alpha": 0.025, "steps": 10},
    {"attack": "PGD", "eps": 0.02, "alpha": 0.005, "steps": 20},
    {"attack": "PGDL2", "eps": 0.5, "alpha": 0.125, "steps": 10},
    {"attack": "PGDL2", "eps": 1.5, "alpha": 0.2, "steps": 20},
]
NETWORKS = [{"kind": "perceptron", "seed": 1, "scale": 1.0}, {"kind": "convolutional", "seed": 2, "scale": 1.0},
            {"kind": "perceptron", "seed": 3, "scale": 40.0}]  # fmt: skip


def network(kind: str, seed: int, scale: float) -> nn.Sequential:
    """Weights uniform in +-sqrt(3 / fan-in), times `scale` in the last layer, which makes the network confident."""
    if kind == "perceptron":
        net = nn.Sequential(nn.Flatten(), nn.Linear(36, 40), nn.ReLU(), nn.Linear(40, 5))
    else:
        net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(96, 5))
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            bound = (3 / parameter[0].numel()) ** 0.5
            parameter.copy_((2 * torch.rand(parameter.shape, generator=draw) - 1) * bound)
        net[-1].weight.mul_(scale)
    return net.eval()


def images(seed: int = 0, count: int = 24) -> Tensor:
    """Images with black and white parts."""
    draw = torch.Generator().manual_seed(seed)
    return (1.8 * torch.rand(count, 1, 6, 6, generator=draw) - 0.4).clamp(0, 1)


def run(case: dict, net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    import torchattacks  # here, since the tests import the networks from this file

    options = {name: value for name, value in case.items() if name != "attack"}
    start = {} if case["attack"] == "FGSM" else {"random_start": False}
    return getattr(torchattacks, case["attack"])(net, **options, **start)(x, y)


def main() -> None:
    found = []
    for about in NETWORKS:
        net, x = network(**about), images()
        y = net(x).argmax(1)
        total = sum(float(parameter.detach().double().sum()) for parameter in net.parameters())
        for case in CASES:
            z = run(case, net, x, y)
            with torch.no_grad():
                logits = net(z)
                loss = nn.functional.cross_entropy(logits, y, reduction="none")
            found.append({
                "network": about, "weights": total, **case, "loss": loss.tolist(),
                "broken": (logits.argmax(1) != y).tolist(), "l2": (z - x).flatten(1).norm(dim=1).tolist(),
            })  # fmt: skip
    head = {"about": "torchattacks on small networks, from the images themselves", "versions": {
        package: version(package) for package in ("torchattacks", "torch")}}  # fmt: skip
    path = Path(__file__).parent / f"torchattacks_{version('torchattacks')}.json"
    path.write_text(json.dumps({**head, "cases": found}) + "\n")


if __name__ == "__main__":
    main()
