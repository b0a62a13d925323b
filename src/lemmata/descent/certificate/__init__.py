"""Certificates that a pattern of steps is straightforward: exact multipliers, verified without rounding."""

from lemmata.descent.certificate.certificate import Certificate
from lemmata.descent.certificate.certify import NotStraightforward, certify, largest_Delta
from lemmata.descent.certificate.generate import generate
from lemmata.descent.certificate.notebook import read_notebook
from lemmata.descent.certificate.published import published
from lemmata.descent.certificate.rational import rationalise
from lemmata.descent.certificate.refutation import Refutation
from lemmata.descent.certificate.verify import Verification, verify

__all__ = [
    "Certificate",
    "NotStraightforward",
    "Refutation",
    "Verification",
    "certify",
    "generate",
    "largest_Delta",
    "published",
    "rationalise",
    "read_notebook",
    "verify",
]
