"""Permutations of neurons: derived from a model's graph, and found between two models or many."""

from lemmata.landscape.permutation.matching import Matching
from lemmata.landscape.permutation.permuting import Permutations, check, compose, identity, inverse, permuted, random
from lemmata.landscape.permutation.specification import Block, Group, Specification, specification
from lemmata.landscape.permutation.weight_matching import weight_matching

__all__ = [
    "Block",
    "Group",
    "Matching",
    "Permutations",
    "Specification",
    "check",
    "compose",
    "identity",
    "inverse",
    "permuted",
    "random",
    "specification",
    "weight_matching",
]
