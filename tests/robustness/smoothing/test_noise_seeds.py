"""Seeds of blocks: all different within an image, in the 32 bits that generators of processors read, and stable."""

import numpy as np
import pytest
import torch

from lemmata.errors import InvalidInput
from lemmata.robustness.smoothing.noise_seeds import block_seeds, seed_number

LOW = np.uint64(0xFFFFFFFF)


@pytest.mark.parametrize("image", [0, 1, 49_999])
def test_no_two_blocks_of_an_image_share_their_noise(image):
    blocks = np.arange(100_000)
    both = [block_seeds(7, np.full(100_000, image), stream, blocks) & LOW for stream in ("estimate", "selection")]
    assert len(np.unique(np.concatenate(both))) == 200_000


def test_images_and_seeds_have_noise_of_their_own():
    images, blocks = np.repeat(np.arange(100), 10), np.tile(np.arange(10), 100)
    seeds = [block_seeds(seed, images, "estimate", blocks) for seed in range(10)]
    assert len(np.unique(np.concatenate(seeds))) == 10_000


@pytest.mark.parametrize(("images", "blocks", "bits"), [(1, 40_000, range(32)), (40_000, 1, range(64))])
def test_bits_are_even(images, blocks, bits):
    # 40,000 seeds: a fair bit is within 4 standard deviations, 0.01, of 1/2; one of 64 is not with probability 0.4 %
    seeds = block_seeds(0, np.repeat(np.arange(images), blocks), "estimate", np.tile(np.arange(blocks), images))
    ones = (seeds[:, None] >> np.array(bits, dtype=np.uint64)) & np.uint64(1)
    assert np.abs(ones.mean(0) - 0.5).max() < 0.01


def test_noise_of_neighbouring_blocks_is_independent():
    # 4,000 blocks of one image, as a processor draws them: mean, variance and correlation of successive blocks, each
    # within 4.5 standard deviations of its law (three figures: fails once in 50,000 seeds)
    seeds = block_seeds(0, np.zeros(4000, np.int64), "estimate", np.arange(4000)).tolist()
    generator = torch.Generator()
    drawn = torch.stack([torch.empty(100).normal_(generator=generator.manual_seed(seed)) for seed in seeds]).double()
    assert abs(float(drawn.mean())) < 4.5 / 400_000**0.5
    assert abs(float(drawn.square().mean()) - 1) < 4.5 * (2 / 400_000) ** 0.5
    assert abs(float((drawn[1:] * drawn[:-1]).mean())) < 4.5 / 399_900**0.5


def test_two_images_share_blocks_one_by_one_if_at_all():
    # 320,000 numbers of 32 bits: 12 coincide in expectation, each a pair of images that shares one block. A pair that
    # shares two has probability 4e-7; a bijection of (stream, block) that is keyed too weakly has thousands of them
    images, blocks = 20_000, 16
    seeds = block_seeds(0, np.repeat(np.arange(images), blocks), "estimate", np.tile(np.arange(blocks), images)) & LOW
    order = np.argsort(seeds, kind="stable")
    twice = np.flatnonzero(seeds[order][1:] == seeds[order][:-1])
    pairs = np.sort(np.stack([order[twice], order[twice + 1]]) // blocks, axis=0)
    assert len(twice) < 30  # 5 standard deviations above 12
    assert np.unique(pairs, axis=1).shape[1] == len(twice)


@pytest.mark.parametrize("stream", ["estimate", "selection"])
def test_a_pair_that_agrees_in_many_bits_of_its_key_has_blocks_of_its_own(stream):
    # images 3124 and 7323 of seed 0 agree in bits 12 to 31 of the key of the first round, by which alone their 4,096
    # first blocks would be one set in two orders
    blocks = np.arange(4000)
    one, two = (block_seeds(0, np.full(4000, image), stream, blocks) & LOW for image in (3124, 7323))
    assert len(np.intersect1d(one, two)) == 0


def test_seeds_do_not_change_between_versions():
    # recorded: certificates that are stored name these. Changed once, when two images could have one set of blocks
    found = block_seeds(0, np.array([0, 7, 7]), "selection", np.array([0, 0, 3]))
    assert found.tolist() == [5197578545478294471, 16286370143297939600, 16286370142523676185]


def test_a_generator_gives_its_next_number():
    generator = torch.Generator().manual_seed(0)
    assert seed_number(generator) != seed_number(generator)
    assert seed_number(np.int64(5)) == 5
    for wrong in (1.5, "0", None, True):
        with pytest.raises(InvalidInput, match="whole number"):
            seed_number(wrong)
