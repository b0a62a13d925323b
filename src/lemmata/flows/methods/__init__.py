"""One-step methods by name."""

from lemmata.errors import InvalidInput, UnknownName
from lemmata.flows.methods.explicit import EXPLICIT, ExplicitRungeKutta
from lemmata.flows.methods.exponential import EXPONENTIAL_EULER, ExponentialEuler
from lemmata.flows.methods.implicit import IMPLICIT, DiagonallyImplicit
from lemmata.flows.methods.method import Method
from lemmata.flows.methods.partitioned import PARTITIONED, Splitting

METHODS: dict[str, Method] = {method.name: method for method in (*EXPLICIT, *PARTITIONED, *IMPLICIT, EXPONENTIAL_EULER)}


def method_of(method: str | Method) -> Method:
    """Give the method of this name, or the method itself.

    >>> method_of("rk4")
    <ExplicitRungeKutta 'rk4' of order 4>
    """
    if isinstance(method, Method):
        return method
    if not isinstance(method, str):
        raise InvalidInput(f"a method is a name or a Method, not {type(method).__name__}")
    if method not in METHODS:
        raise UnknownName("method", method, METHODS)
    return METHODS[method]


__all__ = [
    "METHODS",
    "DiagonallyImplicit",
    "ExplicitRungeKutta",
    "ExponentialEuler",
    "Method",
    "Splitting",
    "method_of",
]
