"""Permutations of neurons: derived from a model's graph, and found between two models or many."""

from lemmata.landscape.permutation.activation_matching import activation_matching
from lemmata.landscape.permutation.arrays import Block, Group
from lemmata.landscape.permutation.check import check
from lemmata.landscape.permutation.match_many import Matched, cycle, match_many
from lemmata.landscape.permutation.matching import Matching
from lemmata.landscape.permutation.permuting import Permutations, compose, identity, inverse, permuted, random
from lemmata.landscape.permutation.repair import Repaired, repair, repair_merged
from lemmata.landscape.permutation.specification import Specification, specification
from lemmata.landscape.permutation.straight_through import StraightThrough, straight_through
from lemmata.landscape.permutation.weight_matching import weight_matching

__all__ = [
    "Block",
    "Group",
    "Matched",
    "Matching",
    "Permutations",
    "Repaired",
    "Specification",
    "StraightThrough",
    "activation_matching",
    "check",
    "compose",
    "cycle",
    "identity",
    "inverse",
    "match_many",
    "permuted",
    "random",
    "repair",
    "repair_merged",
    "specification",
    "straight_through",
    "weight_matching",
]
