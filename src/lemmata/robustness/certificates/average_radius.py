"""Average certified radius: the mean over images of the radius, 0 where the class is wrong, with its standard error.

    ACR = mean of T_i,   T_i = radius_i 1{prediction_i = label_i}          (Zhai et al., 2020)

Two runs on the same images are compared image by image: the mean of the differences has the standard error of the
differences, in which what makes an image easy for both cancels. The images are the replications; noise of the
certificates is part of each T_i, and the training of the classifier is not (train several to speak about a method).

Cost: one pass. Fails: few images, since the interval is asymptotic; `CertifiedAccuracy.average_radius` is valid at any
n.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput
from lemmata.estimate import Estimate

if TYPE_CHECKING:
    from lemmata.robustness.certificates.certificates import Certificates


def average_certified_radius(certificates: Certificates) -> Estimate:
    """The average certified radius with its standard error over the images.

    One image says nothing of others: its standard error is infinite. Raises `InvalidInput` without labels.

    >>> from lemmata.robustness import Certificates
    >>> one = Certificates(torch.tensor([0, 1]), torch.tensor([0.5, 0.1]), label=torch.tensor([0, 1]))
    >>> print(f"{average_certified_radius(one):.2f}")
    0.30 ± 0.20
    """
    return _mean(_counted(certificates))


def radius_difference(ours: Certificates, theirs: Certificates) -> Estimate:
    """By how much the average certified radius of `ours` exceeds that of `theirs` on the same images, image by image.

    Images are matched by `index` where both have one, whatever their order, and by place otherwise. Raises
    `InvalidInput` for different images, labels or norms, and for decisions beside radii or at other radii: a decision
    gives the largest of the radii asked for, less than the radius itself by up to their distance, whoever is better.

    >>> from lemmata.robustness import Certificates
    >>> label = torch.tensor([0, 1, 2])
    >>> ours = Certificates(label, torch.tensor([0.5, 0.3, 1.0]), label=label)
    >>> theirs = Certificates(label, torch.tensor([0.4, 0.2, 0.9]), label=label)
    >>> found = radius_difference(ours, theirs)
    >>> round(found.value, 6), found.stderr < 1e-6  # though the radii themselves vary
    (0.1, True)
    """
    for one in (ours, theirs):
        _require_certificates(one)
    if ours.norm != theirs.norm:
        raise InvalidInput(f"radii in {ours.norm} and in {theirs.norm} cannot be compared; certify both in one norm")
    _require_alike(ours, theirs)
    mine, other = _order(ours), _order(theirs)
    if ours.index is not None and theirs.index is not None:
        same = len(ours) == len(theirs) and bool((ours.index[mine].cpu() == theirs.index[other].cpu()).all())
    else:
        mine = other = torch.arange(len(ours))
        same = len(ours) == len(theirs)
    if not same:
        raise InvalidInput(
            f"runs on different images ({len(ours)} and {len(theirs)}) cannot be compared image by image; certify the "
            "same ones, or compare the two average_certified_radius"
        )
    assert ours.label is not None or ours.correct is not None
    if bool((ours.label[mine].cpu() != theirs.label[other].cpu()).any()):  # type: ignore[index]
        raise InvalidInput("the two runs have different labels for one image; read both from the same data")
    return _mean(_counted(ours)[mine] - _counted(theirs)[other])


def _require_certificates(value: Any) -> None:
    if not hasattr(value, "prediction"):
        raise InvalidInput(f"a {type(value).__name__}, {value!r:.60}; give the certificates of two runs")


def _require_alike(ours: Certificates, theirs: Certificates) -> None:
    """Refuse two ways of asking: radii themselves, or decisions at some."""
    asked = [None if one.radii is None else one.radii.tolist() for one in (ours, theirs)]
    if asked[0] != asked[1]:
        said = ["the radii themselves" if one is None else f"decisions at {one}" for one in asked]
        raise InvalidInput(
            f"{said[0]} and {said[1]} cannot be compared: decisions fall short of the radius by up to the distance of "
            "those asked for; certify both in one way"
        )


def _order(certificates: Certificates) -> Tensor:
    _ = certificates.correct  # refuses certificates without labels
    return torch.arange(len(certificates)) if certificates.index is None else certificates.index.cpu().argsort()


def _counted(certificates: Certificates) -> Tensor:
    return torch.where(certificates.correct, certificates.radius.double(), 0.0).cpu()


def _mean(values: Tensor) -> Estimate:
    n = len(values)
    stderr = float(values.std()) / n**0.5 if n > 1 else math.inf
    return Estimate(float(values.mean()), stderr=stderr, n=n)
