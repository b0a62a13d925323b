"""Published weights by name: state dicts of .npz files, verified against their checksums; nothing is unpickled.

    resnet56-cifar10    ResNet-56 with and without shortcuts after 300 epochs on CIFAR-10, by Li, Xu, Taylor, Studer and
                        Goldstein (2018): the float32 arrays of the model_300.t7 files in the history of their
                        repository tomgoldstein/loss-landscape, under their names. Inputs are (x - mean) / deviation by
                        channel (`standardised`); the networks are `nets.resnet(56, shortcuts=...)`.

Cost: 0.1 s a file.
"""

from __future__ import annotations

import os
import zipfile

import numpy as np
import torch
from torch import Tensor

from lemmata.data import folder, sources
from lemmata.errors import CorruptFile, UnknownName

STANDARDISED_BY = {
    "resnet56-cifar10": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
}


def load_weights(
    name: str, which: str, *, data_dir: str | os.PathLike[str] | None = None, verify: bool = True
) -> dict[str, Tensor]:
    """Give the state dict `which` of a published set of weights, float32 on the CPU.

    Of "resnet56-cifar10" they are "shortcuts" and "no shortcuts". What a network counts but was not published (how many
    batches normalisation has seen) is left out: load them with ``strict=False``.

    Raises `UnknownName`, `DataMissing` if the files are not in the data directory, and `CorruptFile` if one is not the
    published one (unless ``verify=False``) or cannot be read.

    >>> load_weights("resnet56-cifar10", "short-cuts")
    Traceback (most recent call last):
        ...
    lemmata.errors.UnknownName: unknown state 'short-cuts'; did you mean 'shortcuts'?
    """
    source = sources.find_weights(name)
    files = dict(zip(source.parts, source.files, strict=True))
    if which not in files:
        raise UnknownName("state", which, files)
    where = folder.locate(source, data_dir)
    assert where is not None  # weights live in files
    if verify:
        folder.check(source, where)
    path = where / files[which].name
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise CorruptFile(f"{path} cannot be read as arrays ({error}); get it again") from error


def standardised(x: Tensor, name: str) -> Tensor:
    """Images (n, 3, h, w) in [0, 1] as the networks of these weights take them.

    >>> standardised(torch.full((1, 3, 1, 1), 0.5), "resnet56-cifar10").flatten().tolist()[0] > 0
    True
    """
    by = STANDARDISED_BY[name]
    mean, deviation = (torch.tensor(part, dtype=x.dtype, device=x.device)[:, None, None] for part in by)
    return (x - mean) / deviation
