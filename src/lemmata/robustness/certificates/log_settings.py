"""What a log does not say of itself: the noise, the norm, alpha and the rest, in a small file beside it.

A line of the published format holds a class and a radius, but not the norm of the radius, the noise, the probability of
error, the radii that were asked for or how sampling stopped. They stand in ``<log>.json``, which `write_log` and
`certify(..., log=...)` write; a published log has none, and its settings are the reader's to give. What is given and
contradicts the file is refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import CorruptFile, InvalidInput
from lemmata.robustness.certificates.certificates import Certificates, Stopped
from lemmata.robustness.smoothing.noise import Gaussian, Laplace, Noise, Uniform

WRITTEN, CERTIFIED = "lemmata certificates, format", "lemmata certification log, format"
FORMAT = 1
CALL = re.compile(r"(\w+)\((.*)\)")


@dataclass(frozen=True)
class LogSettings:
    """What stands beside a log, None (or "") where it does not say: see `Certificates` for the fields.

    `n` and `n0` are the samples of each image at the most, those to choose its class apart.
    """

    noise: Noise | None = None
    norm: str | None = None
    alpha: float | None = None
    radii: tuple[float, ...] | None = None
    seed: int | None = None
    stopped: Stopped = ""
    name: str | None = None
    n: int | None = None
    n0: int | None = None


def beside(log: Path) -> Path:
    """The file of the settings of a log.

    >>> beside(Path("runs/cifar.tsv")).name
    'cifar.tsv.json'
    """
    return log.with_name(log.name + ".json")


def write_settings(certificates: Certificates, log: Path) -> None:
    """Write the settings of certificates beside their log."""
    radii = None if certificates.radii is None else certificates.radii.tolist()
    settings = {
        WRITTEN: FORMAT, "norm": certificates.norm, "alpha": certificates.alpha, "radii": radii,
        "noise": None if certificates.noise is None else repr(certificates.noise), "seed": certificates.seed,
        "stopped": certificates.stopped, "name": certificates.name,
    }  # fmt: skip
    beside(log).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")


def read_settings(log: Path) -> LogSettings:
    """The settings beside a log, empty where there are none; raises `CorruptFile` where they are no settings."""
    file = beside(log)
    if not file.is_file():
        return LogSettings()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        if found.get(WRITTEN) == FORMAT:
            norm, stopped = str(found["norm"]), found["stopped"]
        elif found.get(CERTIFIED) == FORMAT:
            asked: list[object] = [found[name] for name in ("radii", "tolerance") if name in found]
            norm, stopped = None, "" if not asked else "sequential" if any(asked) else "fixed"
        else:
            return LogSettings()  # another's file
        law, alpha, radii = (found.get(name) for name in ("noise", "alpha", "radii"))
        law = None if law is None else noise_of(law)
        return LogSettings(
            noise=law, norm=norm, stopped=stopped,
            alpha=None if alpha is None else float(alpha), radii=None if radii is None else tuple(map(float, radii)),
            seed=found.get("seed"), name=found.get("name"), n=found.get("n"), n0=found.get("n0"),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise CorruptFile(f"{file} holds no settings of a log ({problem!r:.80}); restore or delete it") from None


def noise_of(text: str) -> Noise:
    """The noise law that prints as `text`.

    >>> noise_of("Laplace(scale=0.25)")
    Laplace(scale=0.25)
    """
    from lemmata.robustness.ablation.random_pixels import RandomAblation

    laws = {law.__name__: law for law in (Gaussian, Laplace, Uniform, RandomAblation)}
    call = CALL.fullmatch(text)
    if call is None or call[1] not in laws:
        raise ValueError(f"no noise {text}")
    pairs = (entry.split("=") for entry in call[2].split(", "))
    return laws[call[1]](**{name: json.loads(value) for name, value in pairs})


def agreed(log: Path, name: str, given: Any, stands: Any) -> Any:
    """What was given, else what stands beside the log; raises `InvalidInput` where the two differ."""
    if given is not None and stands is not None and given != stands:
        raise InvalidInput(f"{name} = {given}, but {beside(log).name} beside the log says {stands}; leave {name} out")
    return stands if given is None else given


def radii_of(settings: LogSettings) -> Tensor | None:
    """The radii that were asked for, (R,) float64."""
    return None if settings.radii is None else torch.tensor(settings.radii, dtype=torch.float64)
