"""Which random numbers belong to which noisy copy: a seed for each block of 25 copies of each image.

Copy j of an image lies in block j // 25 of its stream, and a block's noise is drawn at once from a generator seeded by
(seed, image, stream, block). So a copy is the same whatever else shared its batch, and one image's copies can be drawn
again without those of any other. Streams keep the copies that choose a class apart from those that certify it.

Processors' generators read no more than the lower 32 bits of a seed (Mersenne Twister seeded as by Matsumoto and
Nishimura). Those bits are, for each image, a bijection of (stream, block), so that no two blocks of an image are the
same noise. The bijection is keyed by 128 bits of (seed, image) in two rounds, so that two images have, as far as
collisions go, unrelated sets of blocks. Blocks of two images then coincide one by one: any two with probability 2^-32,
so that of 10,000 images with 4,000 blocks each about one block in a hundred is also some other image's. A certificate
is a statement about one image and is not touched by it; figures over many images share 25 copies here and there, by
which nothing moves. GPUs read all 64 bits, and their blocks do not coincide. Devices have generators of their own: what
was drawn on a processor is drawn again on a processor.
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
    array([16286370143692680215, 16286370143680914384], dtype=uint64)
    """
    with np.errstate(over="ignore"):
        base = _mixed(_mixed(np.uint64(seed % 2**64) + _GOLDEN) ^ (images.astype(np.uint64) * _GOLDEN))
        keys = _mixed(base + _GOLDEN)
        counter = blocks.astype(np.uint64) | np.uint64(get_args(Stream).index(stream) << 31)
        once = _scrambled((base ^ counter) & _LOW)
        # an odd factor and a shift of the image's own: two images' blocks are not one set in two orders
        return (base & ~_LOW) | _scrambled((once * (keys | np.uint64(1)) + (keys >> np.uint64(32))) & _LOW)


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
