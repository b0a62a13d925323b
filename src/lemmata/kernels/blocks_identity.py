"""What a folder of blocks belongs to: the samples, the kernel's law, the precision and the size of a block, as text.

The samples enter by the sha256 of their bytes, the kernel by its name and arguments: `functools.partial` of a function
that can be imported, or an object whose `repr` says what it is, such as a frozen dataclass. Arguments that cannot
change a value (`threads`, `memory`, ...) do not enter, so that the same computation may go on with more of them.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lemmata.errors import InvalidInput

WITHOUT_EFFECT = frozenset({"threads", "memory", "out", "progress"})
FORMAT = 1


def identity(x: Tensor, z: Tensor | None, *, law: str, block: int) -> dict[str, str | int]:
    """The identity of a kernel computation, as it is written beside its blocks."""
    return {
        "lemmata blocks, format": FORMAT,
        "kernel": law,
        "samples x": digest(x),
        "samples z": "x" if z is None else digest(z),
        "block": block,
    }


def digest(samples: Tensor) -> str:
    """Shape, dtype and sha256 of a tensor's bytes.

    >>> digest(torch.zeros(2, 3))
    '(2, 3) torch.float32 9d908ecfb6b256def8b49a7c504e6c889c4b0e41fe6ce3e01863dd7b61a20aa0'
    """
    flat = samples.detach().cpu().contiguous().reshape(-1)
    found = hashlib.sha256(flat.view(torch.uint8).numpy().data if flat.numel() else b"").hexdigest()
    return f"{tuple(samples.shape)} {samples.dtype} {found}"


def law_of(kernel: Callable[..., Any]) -> str:
    """The name and arguments of a kernel, the same in every process; raises `InvalidInput` where there is none.

    >>> law_of(partial(digest, threads=2))
    'lemmata.kernels.blocks_identity.digest()'
    """
    if isinstance(kernel, partial):
        named = {name: value for name, value in kernel.keywords.items() if name not in WITHOUT_EFFECT}
        parts = [_described(value) for value in kernel.args]
        parts += [f"{name}={_described(value)}" for name, value in sorted(named.items())]
        return f"{law_of(kernel.func)}({', '.join(parts)})"
    if inspect.ismethod(kernel):
        return f"{_described(kernel.__self__)}.{kernel.__name__}"
    name = getattr(kernel, "__qualname__", None)
    if name is None:
        return _described(kernel)
    if "<" in name:
        raise InvalidInput(
            f"the kernel {name} has no name by which another process could know it; give a function of a module, "
            "functools.partial of one, or say what it is by law='...'"
        )
    return f"{getattr(kernel, '__module__', None) or ''}.{name}".removeprefix(".")


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return digest(value)
    if inspect.isroutine(value) or isinstance(value, partial):
        return law_of(value)
    text = repr(value)
    if re.search(r" at 0x[0-9a-f]+", text):
        raise InvalidInput(
            f"{text} does not say what it is, so that a folder of blocks could belong to anything; give it a repr "
            "(a dataclass has one), or say what the kernel is by law='...'"
        )
    return text
