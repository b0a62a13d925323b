"""Which random numbers belong to which noisy copy: a seed for each block of 25 copies of each image.

Copy j of an image lies in block j // 25 of its stream, and a block's noise is drawn at once from a generator seeded by
(seed, image, stream, block). So a copy is the same whatever else shared its batch, and one image's copies can be drawn
again without those of any other. Streams keep the copies that choose a class apart from those that certify it.

The lower 32 bits of the block seeds of one image are a bijection of (stream, block), since processors' generators read
no more than those (Mersenne Twister seeded as by Matsumoto and Nishimura): no two blocks of an image are the same
noise. Two images' blocks can be, with probability about 2^-32 a pair on a processor, 2^-64 on a GPU; certificates are
statements about one image each, so that none is touched by it. Devices have generators of their own: what was drawn on
a processor is drawn again on a processor.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from lemmata.errors import InvalidInput

BLOCK = 25
Stream = Literal["estimate", "selection"]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_LOW = np.uint64(0xFFFFFFFF)


def block_seeds(seed: int, images: NDArray[np.int64], stream: Stream, blocks: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Give the generators' seeds of `blocks` (m,) of the `images` (m,), numbered from 0: (m,).

    >>> block_seeds(0, np.array([7, 7]), "estimate", np.array([0, 1]))
    array([16286370145585966504, 16286370142578919658], dtype=uint64)
    """
    with np.errstate(over="ignore"):
        base = _mixed(_mixed(np.uint64(seed % 2**64) + _GOLDEN) ^ (images.astype(np.uint64) * _GOLDEN))
        counter = blocks.astype(np.uint64) | np.uint64(get_args(Stream).index(stream) << 31)
        return (base & ~_LOW) | _scrambled((base ^ counter) & _LOW)


def seed_number(seed: int | torch.Generator) -> int:
    """Give the whole number that noise is drawn from: `seed` itself, or the next of a generator.

    >>> seed_number(torch.Generator().manual_seed(0))
    8737460674931247
    """
    if isinstance(seed, torch.Generator):
        return int(torch.randint(2**53, (), generator=seed, device=seed.device))
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise InvalidInput(f"seed = {seed!r}; give a whole number or a torch.Generator")
    return int(seed)


def _mixed(z: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): a bijection of 64 bits without visible order."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def _scrambled(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3: a bijection of 32 bits."""
    z = ((z ^ (z >> np.uint64(16))) * np.uint64(0x85EBCA6B)) & _LOW
    z = ((z ^ (z >> np.uint64(13))) * np.uint64(0xC2B2AE35)) & _LOW
    return z ^ (z >> np.uint64(16))
