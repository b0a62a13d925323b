"""How many weights of LeNet-300-100 so many prunings leave, counted on the masks."""

from collections.abc import Sequence

from pydantic import Field

from lemmata import pruning
from lemmata.studies._frankle_carbin_2019_tickets import network
from lemmata.study import Config, Measurements


class Shares(Config):
    """Prunings of a network that is not trained."""

    rounds: int = Field(default=7, ge=1)
    share: float = Field(default=0.2, gt=0, lt=1, description="what a pruning takes of each hidden layer")
    output_share: float = Field(default=0.1, gt=0, lt=1, description="what it takes of the output layer")


def shares_left(configs: Sequence[Shares]) -> list[Measurements]:
    """Prune initial weights and count: the share in % of the weights, biases not counted, and how many they are."""
    return [_left(config) for config in configs]


def _left(config: Shares) -> Measurements:
    net = network(config.seed)
    weights = {name: p.detach()[None] for name, p in net.named_parameters()}
    masks = pruning.smallest_pruned(
        weights, pruning.ones(net, 1), share=config.share, shares={"output": config.output_share}, times=config.rounds
    )
    found = pruning.count(net, {name: mask[0] for name, mask in masks.items()})
    return Measurements.of(left=100 * found.density, weights=float(found.total_left))
