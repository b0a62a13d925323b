"""Two runs side by side, or a run beside the paper: plain data that draws itself for the terminal and for HTML."""

from lemmata.compare.beside_paper import BesidePaper, PaperRow, with_paper
from lemmata.compare.two_runs import ClaimChange, Difference, Setting, TwoRuns, runs

__all__ = ["BesidePaper", "ClaimChange", "Difference", "PaperRow", "Setting", "TwoRuns", "runs", "with_paper"]
