"""Kernels for the tests of blocks, importable by worker processes: what they do is written into a folder."""

import os
import time
from pathlib import Path

import torch

from lemmata.kernels import KernelMatrix


def linear(x, z=None, *, seconds: float = 0.0, log: str = "", kill: str = "", threads: int = 1):
    """The kernel <x, z>; notes each call in `log`, and kills its own process once, by the file `kill`."""
    if log:
        with (Path(log) / f"{os.getpid()}").open("a") as out:
            out.write(f"{float(x.flatten()[0]):g} {float((x if z is None else z).flatten()[0]):g}\n")
    if kill and (kill == "always" or _first(kill)):
        os.kill(os.getpid(), 9)
    time.sleep(seconds)
    other = x if z is None else z
    values = x.flatten(1) @ other.flatten(1).mT
    return KernelMatrix(values, name="linear", symmetric=z is None, way="torch", flops=2.0 * values.numel())


def failing(x, z=None):
    """A kernel that refuses."""
    raise ValueError("this kernel is broken")


def plain(x, z=None):
    """A kernel that gives a tensor."""
    return torch.cdist(x.flatten(1), (x if z is None else z).flatten(1))


def _first(file: str) -> bool:
    try:
        Path(file).open("x").close()
    except FileExistsError:
        return False
    return True
