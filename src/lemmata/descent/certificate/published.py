"""The six certificates that Grimmer (2024) published, for patterns of 3, 7, 15, 31, 63 and 127 steps.

From the notebooks of https://github.com/bgrimmer/LongStepCertificates (MIT licence, beside the files), number by
number; `tests/descent/certificate` compares them. The claimed rate of each is the one that its notebook prints,
rounded down at the last digit.
"""

from functools import lru_cache
from pathlib import Path

from lemmata.descent.certificate.certificate import Certificate
from lemmata.errors import InvalidInput

LENGTHS = (3, 7, 15, 31, 63, 127)
FOLDER = Path(__file__).parent / "published"


@lru_cache(maxsize=len(LENGTHS))
def published(t: int) -> Certificate:
    """Give the published certificate of the pattern of t steps: 3, 7, 15, 31, 63 or 127.

    Raises `InvalidInput` for another t. Cost: reading at most 140 kB.

    >>> certificate = published(7)
    >>> [float(step) for step in certificate.steps], float(certificate.average)
    ([1.5, 2.2, 1.5, 12.0, 1.5, 2.2, 1.5], 3.2)
    """
    if t not in LENGTHS:
        raise InvalidInput(f"no certificate of {t} steps is published; choose from {LENGTHS}, or make one by `certify`")
    return Certificate.load(FOLDER / f"{t}.json.xz")
