"""Published logs of certification by name: files verified against their checksums, ready for `robustness.read_log`.

    cohen-2019-logs    13 logs of CERTIFY and 4 of PREDICT on CIFAR-10 and ImageNet, by Cohen, Rosenfeld, Kolter (2019)
    jeong-2020-logs    75 logs of CERTIFY on MNIST after five training methods, by Jeong, Shin (2020)

A log is named by its path in the authors' repository, below its folder of logs. Cost: 1 ms a file.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from lemmata.data import folder, sources
from lemmata.errors import UnknownName


def find_log(name: str, which: str, *, data_dir: str | os.PathLike[str] | None = None, verify: bool = True) -> Path:
    """Give the path of the log `which` of a published set; only this file need be there.

    Raises `UnknownName`, `DataMissing` if it is not in the data directory, and `CorruptFile` if it is not the published
    one (unless ``verify=False``).

    >>> find_log("cohen-2019-log", "data/certify/cifar10/resnet110/noise_0.25/test/sigma_0.25")
    Traceback (most recent call last):
        ...
    lemmata.errors.UnknownName: unknown logs 'cohen-2019-log'; did you mean 'cohen-2019-logs'?
    """
    source = sources.find_logs(name)
    files = {file.name: file for file in source.files}
    if which not in files:
        raise UnknownName("log", which, files)
    one = replace(source, files=(files[which],), parts=(which,))
    where = folder.locate(one, data_dir)
    assert where is not None  # logs live in files
    if verify:
        folder.check(one, where)
    return folder.place(one, where, files[which])
