"""The study's trial: the grid of each seed trained and measured, and its measures judged by their ranks."""

from collections.abc import Sequence

import numpy as np
import torch

from lemmata.bounds.judge import Judgement, from_hyperparameters, judge, noisy_oracle, read_grid
from lemmata.studies._jiang_2020_measures import gradient_noise, norm_measures
from lemmata.studies._jiang_2020_networks import STREAMS, Group, Networks, trained
from lemmata.studies._jiang_2020_sharpness import gaussian_draws, largest_sigma
from lemmata.study import Measurements

SHARPNESS = ("1 / sigma", "1 / sigma'", "pac-bayes")
NORMS = (
    "spectral product", "spectral product / margin", "Frobenius product", "Frobenius product / margin",
    "spectral complexity", "Frobenius / spectral", "spectral distance", "length", "distance", "path norm",
    "path norm / margin",
)  # fmt: skip
OTHERS = ("inverse margin", "parameters", "gradient noise", "steps")
MEASURES = (*NORMS, *OTHERS, *SHARPNESS)
LEAST = 0.5  # share of the networks that must have reached the loss for their ranks to mean anything
NOISE = 0.5  # of the noisy gap, in standard deviations of the gaps


def key(measure: str) -> str:
    """The name of a measure in the records: letters and underscores.

    >>> key("1 / sigma'"), key("spectral product / margin")
    ('inverse_sigma_magnitude', 'spectral_product_over_margin')
    """
    plain = measure.replace("1 /", "inverse").replace("sigma'", "sigma magnitude").replace("/", "over")
    return "_".join(plain.replace("-", " ").lower().split())


def rank(configs: Sequence[Networks]) -> list[Measurements]:
    """Train the grid of each seed once, whatever is made of its measures, and judge those of each member."""
    seeds = list(dict.fromkeys(config.seed for config in configs))
    measured = measure_grid(configs[0], seeds)
    return [_judged(config, {name: value[:, seeds.index(config.seed)] for name, value in measured.items()})
            for config in configs]  # fmt: skip


def measure_grid(setting: Networks, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """All measures of all networks, and their errors, "reached" and "test error" among them: {name: (C, S)}.

    Where too few networks of every seed have reached the loss to be judged, only "reached" is given.
    """
    groups = list(trained(setting, seeds))
    reached = np.concatenate([_by_seed(group.result.stopped.double().numpy(), seeds) for group in groups])
    if (reached.mean(0) <= LEAST).all():
        return {"reached": reached}
    found = [measure(group, setting, seeds) for group in groups]
    return {name: np.concatenate([_by_seed(part[name], seeds) for part in found]) for name in found[0]}


def _by_seed(values: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Values (M,) of a group, the seed outermost, as (C, S)."""
    return values.reshape(len(seeds), -1).T


def measure(group: Group, setting: Networks, seeds: Sequence[int]) -> dict[str, np.ndarray]:
    """All measures of the networks of one group: {name: (M,)}."""
    with torch.no_grad():
        own = [STREAMS.seed(seed, "sharpness") for seed in seeds for _ in range(len(group.result) // len(seeds))]
        draws = gaussian_draws(group, own, setting.draws)
        sigma, magnitude = (largest_sigma(group, draws, magnitude=way) for way in (False, True))
        values = {
            **norm_measures(group),
            "gradient noise": gradient_noise(group),
            "steps": group.result.steps.double(),
        }
    values |= {"1 / sigma": 1 / sigma, "1 / sigma'": 1 / magnitude, "pac-bayes": values["distance"] / sigma}
    values |= {"test error": group.result.final["test_error"], "train error": group.result.final["train_error"]}
    values["reached"] = group.result.stopped.double()
    return {name: value.cpu().double().numpy() for name, value in values.items()}


def judged(setting: Networks, values: dict[str, np.ndarray]) -> Judgement:
    """The judgement of the measures (C,) or (C, S) among `values`; networks that did not fit have no gap.

    Standard errors are those of a test error on so many examples, by the binomial law.
    """
    test = values["test error"]
    gaps = np.where(values["reached"] > 0, test - values["train error"], np.nan)
    spread = np.sqrt(np.maximum(test * (1 - test), 1 / setting.n_test) / setting.n_test)
    measures = {name: values[name] for name in MEASURES}
    return judge(
        measures, gaps, setting.table(), gap_errors=spread, missing="leave out", environment="change",
        oracle_noise=(NOISE,),
    )  # fmt: skip


def _judged(config: Networks, values: dict[str, np.ndarray]) -> Measurements:
    """One member's outcome; where hardly a network has a gap, nothing is judged."""
    scalars: dict[str, float] = {"share_reached": float(values["reached"].mean())}
    if scalars["share_reached"] > LEAST:
        found = judged(config, {**values, **_replaced(config, values)})
        for name in (*MEASURES, "hyperparameters", "random"):
            one, short = found[name], key(name)
            scalars |= {f"tau_{short}": one.tau, f"psi_{short}": one.granulated, f"k_{short}": one.information}
            scalars[f"worst_{short}"] = one.robust_error
        scalars |= _compared(found)
    return Measurements(scalars, arrays={key(name): value for name, value in values.items()})


def _compared(found: Judgement) -> dict[str, float]:
    """What the claims compare: sharpness with the best norm and with the baseline; the least of the worst errors."""
    psi = {name: found[name].granulated for name in (*MEASURES, "hyperparameters")}
    sharpness = psi["1 / sigma'"]
    return {
        "sharpness_above_norms": sharpness - max(psi[name] for name in (*NORMS, "inverse margin")),
        "sharpness_above_hyperparameters": sharpness - psi["hyperparameters"],
        "magnitude_above_plain": sharpness - psi["1 / sigma"],
        "least_worst_error": min(found[name].robust_error for name in MEASURES),
        "information_above_random": found["1 / sigma'"].information - found["random"].information,
    }


def _replaced(config: Networks, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a control puts in place of the measures of one seed: (C,) each."""
    if config.measured == "networks":
        return {}
    if config.measured == "permuted":
        order = np.random.default_rng(STREAMS.seed(config.seed, "permutation")).permutation(len(values["reached"]))
        return {name: values[name][order] for name in MEASURES}
    gaps = np.where(values["reached"] > 0, values["test error"] - values["train error"], np.nan)[:, None]
    if config.measured == "hyperparameters":
        return dict.fromkeys(MEASURES, from_hyperparameters(gaps, read_grid(config.table()))[:, 0])
    draw = np.random.default_rng(STREAMS.seed(config.seed, "noise"))
    return {name: np.nan_to_num(noisy_oracle(gaps, NOISE, draw)[:, 0]) for name in MEASURES}
