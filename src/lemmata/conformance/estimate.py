"""The promises of an instrument that gives an `Estimate`, and of one that gives a number."""

import math

from lemmata.conformance.comparing import flat, require
from lemmata.conformance.instrument import InstrumentConformance
from lemmata.estimate import Estimate


class EstimateConformance(InstrumentConformance):
    """The promises of an instrument that gives an `Estimate`: that its error and cost mean something."""

    def test_gives_an_estimate_with_its_error_and_cost(self) -> None:
        """Finite value, standard error not negative and of its shape, n at least 1, cost positive; it draws itself."""
        result = self.instrument(self._objective())
        require(isinstance(result, Estimate), f"the result is a {type(result).__name__}, not an Estimate")
        value, error = flat(result.value), flat(result.stderr)
        require(bool(value.isfinite().all()), "the value is not finite")
        require(bool((error >= 0).all() and error.isfinite().all()), f"the standard error is {result.stderr}")
        require(len(error) in (1, len(value)), f"{len(value)} values with {len(error)} standard errors")
        require(result.n >= 1, f"n = {result.n}; an exact value has n = 1")
        require(math.isfinite(result.cost) and result.cost > 0, f"the cost is {result.cost} gradients")
        figure = result.plot()
        require(all(panel.x.label and panel.y.label for panel in figure.panels), "a panel has an axis without label")


class ScalarConformance(EstimateConformance):
    """The promises of an instrument that gives one number."""

    def test_gives_one_number(self) -> None:
        """A Python float, which needs no device and prints itself."""
        result = self.instrument(self._objective())
        require(isinstance(result.value, float), f"the value is a {type(result.value).__name__}, not a float")
        require(bool(format(result)), "the estimate does not format itself")
