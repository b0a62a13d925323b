"""The kinds of claim: value, difference, ratio, ordering, trend, shape, threshold or never, scaling, exact."""

from lemmata.study.kinds import shape
from lemmata.study.kinds.component import Component, Kind
from lemmata.study.kinds.exact import exact
from lemmata.study.kinds.ordering import ordering
from lemmata.study.kinds.scaling import scaling
from lemmata.study.kinds.threshold import never, reached, time_ratio
from lemmata.study.kinds.trend import trend
from lemmata.study.kinds.value import difference, ratio, value

__all__ = [
    "Component", "Kind", "difference", "exact", "never", "ordering", "ratio", "reached", "scaling", "shape",
    "time_ratio", "trend", "value",
]  # fmt: skip
