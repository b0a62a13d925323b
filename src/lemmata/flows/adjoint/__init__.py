"""Ways back: how a flow's gradient is taken."""

from lemmata.errors import InvalidInput, UnknownName
from lemmata.flows.adjoint.checkpoint import Checkpoint
from lemmata.flows.adjoint.continuous import Continuous
from lemmata.flows.adjoint.reversible import NotReversible, Reversible
from lemmata.flows.adjoint.way import Store, Way

WAYS: dict[str, Way] = {way.name: way for way in (Store(), Reversible(), Checkpoint(), Continuous())}


def way_of(backward: str | Way) -> Way:
    """Give the way of this name, or the way itself.

    >>> way_of("checkpoint")
    Checkpoint(states=None)
    """
    if isinstance(backward, Way):
        return backward
    if not isinstance(backward, str):
        raise InvalidInput(f"backward is a name or a way, as flows.Checkpoint(states=8), not {type(backward).__name__}")
    if backward not in WAYS:
        raise UnknownName("way back", backward, WAYS)
    return WAYS[backward]


__all__ = ["WAYS", "Checkpoint", "Continuous", "NotReversible", "Reversible", "Store", "Way", "way_of"]
