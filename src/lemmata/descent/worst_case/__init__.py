"""Exact worst cases of first-order methods, with proofs and with the functions that attain them."""

from lemmata.descent.worst_case.result import WorstCase
from lemmata.descent.worst_case.worst_case import worst_case
from lemmata.descent.worst_case.worst_function import WorstFunction

__all__ = ["WorstCase", "WorstFunction", "worst_case"]
