"""One-step methods by name."""

from lemmata.errors import InvalidInput
from lemmata.flows.methods.method import Method
from lemmata.flows.methods.partitioned import SYMPLECTIC_EULER, VERLET
from lemmata.flows.methods.tableau import FORWARD_EULER, HEUN, MIDPOINT, RK4

METHODS: dict[str, Method] = {
    method.name: method for method in (FORWARD_EULER, MIDPOINT, HEUN, RK4, SYMPLECTIC_EULER, VERLET)
}


def method_of(method: str | Method) -> Method:
    """Give the method of this name, or the method itself."""
    if isinstance(method, Method):
        return method
    if method not in METHODS:
        raise InvalidInput(f"no method is called {method!r}; there are {', '.join(METHODS)}")
    return METHODS[method]


__all__ = ["METHODS", "Method", "method_of"]
