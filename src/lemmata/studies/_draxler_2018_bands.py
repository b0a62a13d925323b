"""The elastic bands of Draxler et al. (2018), and the straight lines that they are relaxed from."""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from lemmata import training
from lemmata.landscape import paths
from lemmata.studies._mode_paths import Ends, Pair, Pairs, measured, seed_of
from lemmata.study import Measurements, Section


class Relaxation(Section):
    """Rounds of an elastic band, each with pivots added where the loss is high; SGD with momentum 0.5."""

    pivots: int = Field(default=3, ge=1, description="at first")
    rounds: int = Field(default=3, ge=1)
    insert: int = Field(default=2, ge=0, description="pivots added before each round but the first")
    epochs: int = Field(default=10, ge=1, description="of a round")
    step_size: float = Field(default=0.05, gt=0)
    batch: int = Field(default=50, ge=1)


class Fitted(Ends):
    """The networks at the ends: trained to the same loss, whatever their width and depth."""

    width: int = Field(default=32, ge=1, description="units a hidden layer")
    step_size: float = Field(default=0.02, gt=0)
    epochs: int = Field(default=300, ge=0, description="at most; 0 leaves the networks as they were drawn")
    fitted: float = Field(default=0.1, ge=0, description="training ends when the mean training loss is below this")


class Relaxed(Pair):
    """One path between the two networks of a seed."""

    path: Literal["line", "band"] = "band"
    ends: Fitted = Fitted()
    band: Relaxation = Relaxation()


def relaxed(configs: Sequence[Relaxed]) -> list[Measurements]:
    """Train the networks of a block, relax the bands between them if any is asked for, and follow each path."""
    pairs, rule = Pairs(configs), configs[0].band
    bands: list[paths.Band] = []
    if any(config.path == "band" for config in configs):
        starts, ends = zip(*(pairs.ends(seed) for seed in pairs.seeds), strict=True)
        bands = paths.elastic_bands(
            pairs.models[0], starts, ends, data=pairs.stacked(), own_data=True, pivots=rule.pivots,
            rounds=rule.rounds, insert=rule.insert, epochs=rule.epochs, batch_size=rule.batch,
            optimiser=training.SGD(lr=rule.step_size, momentum=0.5),
            seeds=[seed_of(seed, "path") for seed in pairs.seeds],
        )  # fmt: skip
    return [_followed(config, pairs, bands) for config in configs]


def _followed(config: Relaxed, pairs: Pairs, bands: Sequence[paths.Band]) -> Measurements:
    if pairs.diverged[config.seed]:
        return Measurements(status="diverged")
    test = pairs.test[config.seed]
    if config.path == "band":
        band = bands[pairs.seeds.index(config.seed)]
        return Measurements.of(**measured(band.curve.path(band.path.t, test=test)))
    a, b = pairs.ends(config.seed, config.reach)
    line = paths.linear(pairs.models[0], a, b, data=pairs.train[config.seed], test=test, points=config.points)
    return Measurements.of(**measured(line))
