"""First-order methods and what is proven of them: schedules, worst cases, certificates, rates on real problems."""

from lemmata.descent.method import Guarantee, Method, Schedule

__all__ = ["Guarantee", "Method", "Schedule"]
