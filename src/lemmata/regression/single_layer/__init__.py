"""Networks with one hidden layer, where the output weights are a linear problem given the rest."""

from lemmata.regression.single_layer.reduced_problem import reduced_objective
from lemmata.regression.single_layer.varpro import VarPro, varpro

__all__ = ["VarPro", "reduced_objective", "varpro"]
