"""What permutation symmetry and spare neurons do to critical points: exact counts, splitting, orbits."""

from lemmata.landscape.symmetry.asymptotics import limiting_share, mild_ratio
from lemmata.landscape.symmetry.configurations import components, configurations, draw_configuration, meet
from lemmata.landscape.symmetry.counts import G, T, expansion_count
from lemmata.landscape.symmetry.distance import AlignedDistance, distance
from lemmata.landscape.symmetry.exchange import ExchangePath, exchange_path, with_spare
from lemmata.landscape.symmetry.expansion import ExpansionManifold, expansion_manifold
from lemmata.landscape.symmetry.hidden_layers import HiddenLayer, hidden_layers
from lemmata.landscape.symmetry.membership import Membership, membership
from lemmata.landscape.symmetry.orbit import orbit_size
from lemmata.landscape.symmetry.outnumber import neurons_to_win, saddle_ratio
from lemmata.landscape.symmetry.outnumbering import Outnumbering, outnumbering
from lemmata.landscape.symmetry.rebuilding import module_with
from lemmata.landscape.symmetry.splitting import reduced, split
from lemmata.landscape.symmetry.units import Units, split_unit, units

__all__ = [
    "AlignedDistance",
    "ExchangePath",
    "ExpansionManifold",
    "G",
    "HiddenLayer",
    "Membership",
    "Outnumbering",
    "T",
    "Units",
    "components",
    "configurations",
    "distance",
    "draw_configuration",
    "exchange_path",
    "expansion_count",
    "expansion_manifold",
    "hidden_layers",
    "limiting_share",
    "meet",
    "membership",
    "mild_ratio",
    "module_with",
    "neurons_to_win",
    "orbit_size",
    "outnumbering",
    "reduced",
    "saddle_ratio",
    "split",
    "split_unit",
    "units",
    "with_spare",
]
