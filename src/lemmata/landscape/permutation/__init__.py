"""Permutations of neurons: derived from a model's graph, and found between two models or many."""

from lemmata.landscape.permutation.permuting import Permutations, check, compose, identity, inverse, permuted, random
from lemmata.landscape.permutation.specification import Block, Group, Specification, specification

__all__ = [
    "Block",
    "Group",
    "Permutations",
    "Specification",
    "check",
    "compose",
    "identity",
    "inverse",
    "permuted",
    "random",
    "specification",
]
