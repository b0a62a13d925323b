"""Networks with one hidden layer, where the output weights are a linear problem given the rest."""

from lemmata.regression.single_layer.extreme_learning import ExtremeLearning, extreme_learning_machine
from lemmata.regression.single_layer.reduced_problem import reduced_objective
from lemmata.regression.single_layer.varpro import VarPro, varpro

__all__ = ["ExtremeLearning", "VarPro", "extreme_learning_machine", "reduced_objective", "varpro"]
