"""Critical points of any objective: found, polished, certified, and called false where they are."""

from lemmata.landscape.critical.flatness import CUTOFF
from lemmata.landscape.critical.flow import Flown, flow
from lemmata.landscape.critical.function import function
from lemmata.landscape.critical.points import CriticalPoints
from lemmata.landscape.critical.polish import polish
from lemmata.landscape.critical.search import search

__all__ = ["CUTOFF", "CriticalPoints", "Flown", "flow", "function", "polish", "search"]
