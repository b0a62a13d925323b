"""The layers of a computation: parameters that enter it together, and how each layer's share of the kernel is got.

For a layer whose weight meets patches a (n, T, k) (T positions, k inputs, the bias among them as an input that is
constant) and answers with c channels, with d (n, R, T, c) the gradients of R outputs there, the share is

    K_l[(n,r), (m,s)] = <sum_t d_nrt a_nt^T, sum_t' d_mst' a_mt'^T>
                      = sum_{t,t'} (a_nt . a_mt') (d_nrt . d_mst')

Four ways give it, and a model of flops chooses, pair of samples by pair, g groups of channels:

    product of Grams      T = 1                 g (2 k + 2 R^2 c)             one number a pair times a Gram of d
    position Grams        R = 1                 g T^2 (2 k + 2 c)             Hadamard product of two Grams, summed
    Gram on cotangents    T > 1, R > 1          g (2 T^2 k + 2 T^2 R c + 2 R^2 T c)    the Gram of a, applied to d
    per-sample gradients  always                2 R^2 g c k                   and 2 T k c R a sample to form them

The trace over R outputs is the kernel of one output with c R channels at T = 1 and in position Grams, and with R c k
parameters in per-sample gradients. Weights that are used several times have the positions of all uses together.
A parameter whose use is not recognised has its Jacobian formed (`lemmata.kernels.empirical.unrecognised`).

Sources: Novak, Sohl-Dickstein, Schoenholz (2022), section 3 (structured derivatives, Jacobian contraction); the
application of a Gram to cotangents is their contraction order chosen anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from lemmata.curvature.ghost_norm import Outer, Shift, Use
from lemmata.curvature.parameter_uses import Uses

PRODUCT, POSITIONS, APPLIED = "product of Grams", "position Grams", "Gram on cotangents"
GRADIENTS, JACOBIAN, UNUSED = "per-sample gradients", "Jacobian", "no influence"
TOUCH = 8.0  # what an entry of a Hadamard product costs in flops of a matrix product: it comes from memory


@dataclass(frozen=True)
class Way:
    """How a layer's share of the kernel is computed: its `parameters`, the `name` of the way, and its flops."""

    parameters: tuple[str, ...]
    name: str
    flops: float

    def __str__(self) -> str:
        return f"{self.name}, {self.flops:.3g} flops"


@dataclass(frozen=True)
class Size:
    """What is asked for: `pairs` of samples, `samples` on both sides, R rows a sample, each a sum over `inner` outputs.

    The full kernel of C outputs has R = C and inner = 1, its trace R = 1 and inner = C.
    """

    pairs: float
    samples: int
    R: int
    inner: int

    @property
    def passes(self) -> int:
        """Backward passes."""
        return self.R * self.inner


@dataclass(frozen=True)
class Layer:
    """Parameters that are used at the same nodes of the graph; `weights` are the uses of the first."""

    names: tuple[str, ...]
    weights: tuple[Use, ...]
    shift: float | None = None  # the factor of a bias that is used beside the weight

    @property
    def outer(self) -> tuple[Outer, ...]:
        """The uses of a weight by outer products that the Grams serve; none where these cannot be taken together."""
        found = tuple(use for use in self.weights if isinstance(use, Outer))
        kinds = {(use.groups, use.transposed) for use in found}
        return found if len(found) == len(self.weights) and len(kinds) == 1 else ()

    def geometry(self) -> tuple[int, int, int, int]:
        """Groups g, positions T, inputs k and channels c a group."""
        first = self.outer[0]
        T = sum(use.positions for use in self.outer)
        return first.groups, T, first.K + (self.shift is not None), first.channels_out

    def way(self, size: Size) -> Way:
        """The cheapest way."""
        costs = self.costs(size)
        name = min(costs, key=costs.__getitem__)
        return Way(self.names, name, costs[name])

    def costs(self, size: Size) -> dict[str, float]:
        """Flops of the ways that there are."""
        R, inner = size.R, size.inner
        if not self.outer:
            numel = self.weights[0].shape.numel()
            return {GRADIENTS: 2.0 * size.pairs * R * R * inner * numel}
        g, T, k, c = self.geometry()
        form = 2.0 * size.samples * size.passes * T * k * c * g
        found = {GRADIENTS: 2.0 * size.pairs * R * R * inner * g * c * k + form}
        if T == 1:
            found[PRODUCT] = size.pairs * g * (2 * k + 2 * R * R * inner * c + TOUCH * R * R)
        elif R == 1:
            found[POSITIONS] = size.pairs * g * T * T * (2 * k + 2 * inner * c + TOUCH)
        else:
            found[APPLIED] = size.pairs * g * (2.0 * T * T * (k + R * c) + 2 * R * R * T * c + TOUCH * R * T * c)
        return found

    def numbers(self, size: Size, way: str) -> tuple[int, int]:
        """Numbers a sample that the passes hold for a while, and that are kept."""
        if not self.outer:
            numel = self.weights[0].shape.numel()
            return size.passes * numel, size.passes * numel
        g, T, k, c = self.geometry()
        patches, signals = g * T * k, size.passes * g * c * T
        kept = size.passes * g * c * k if way == GRADIENTS else patches + (2 if way == APPLIED else 1) * signals
        return 2 * (patches + signals), kept


def layers_of(uses: Uses) -> list[Layer]:
    """Put every weight together with the bias that is used at just its nodes."""
    vectors = {name: each for name, each in uses.items() if each and all(isinstance(use, Shift) for use in each)}
    found, taken = [], set()
    for name, each in uses.items():
        if name in vectors or not each:
            continue
        bias = next((b for b in vectors if b not in taken and _beside(each, vectors[b])), None)
        if bias is None or not Layer((name,), tuple(each)).outer:
            found.append(Layer((name,), tuple(each)))
        else:
            taken.add(bias)
            found.append(Layer((name, bias), tuple(each), vectors[bias][0].factor))
    return found + [Layer((name,), tuple(each)) for name, each in vectors.items() if name not in taken]


def _beside(weight: Sequence[Use], bias: Sequence[Use]) -> bool:
    """Whether a bias is used at the nodes of a weight, once each and by one factor."""
    nodes, others = [use.node for use in weight], [use.node for use in bias]
    alike = len({use.factor for use in bias}) == 1
    return alike and len(set(nodes)) == len(nodes) == len(others) and set(nodes) == set(others)
