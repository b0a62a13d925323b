"""Ctrl-C in a search: what was reached so far."""

from lemmata.landscape.critical.points import CriticalPoints
from lemmata.landscape.samples import Interrupted


class Stopped(Interrupted):
    """Ctrl-C during a search; `partial` is the result so far, from which ``starts=partial`` goes on."""

    def __init__(self, partial: CriticalPoints):
        super().__init__(partial)
        self.args = ("stopped; .partial holds where the members were, and the same call with starts=it goes on",)
