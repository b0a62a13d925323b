"""What will run: the grid, the trials, their identity, and a forecast of the cost."""

from lemmata.plan.plan import Missing, Plan, make
from lemmata.plan.recorded import Recorded
from lemmata.plan.trial import Member, Trial

__all__ = ["Member", "Missing", "Plan", "Recorded", "Trial", "make"]
