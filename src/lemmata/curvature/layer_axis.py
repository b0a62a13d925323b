"""An axis of layers or parameters in the network's order, with as many names written as can be read."""

from collections.abc import Sequence

from lemmata.figures import Axis

READABLE = 8


def layer_axis(label: str, names: Sequence[str]) -> Axis:
    """An axis with one place for each name; of more than 8, every second, third, ... is written.

    >>> layer_axis("layer", [f"conv{i}" for i in range(24)]).ticks[:4]
    ('conv0', '', '', 'conv3')
    """
    step = -(-len(names) // READABLE)
    return Axis(label=label, ticks=tuple(name if i % step == 0 else "" for i, name in enumerate(names)))
