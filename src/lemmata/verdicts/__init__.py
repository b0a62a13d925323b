"""Claims and tables of records in, verdicts with reasons out: pure functions."""

from lemmata.verdicts.decide import judge
from lemmata.verdicts.evidence import Evidence, Judged
from lemmata.verdicts.spending import schedule, undecided
from lemmata.verdicts.verdict import ControlVerdict, Outcome, Verdict

__all__ = [
    "ControlVerdict", "Evidence", "Judged", "Outcome", "Verdict", "judge", "schedule", "undecided",
]  # fmt: skip
