"""Shapeset-3x2: one or two grey triangles, parallelograms or ellipses on 32 x 32 pixels, as many as one asks for.

The data set of Glorot and Bengio (2010), drawn by rules and never exhausted. A scene, with the constants below:

    one or two objects, each of the three kinds with probability 1/3, which makes nine classes (`CLASSES`):
        1/6 for each kind alone, 1/9 for each mixed pair, 1/18 for each pair of a kind
    a corner of a regular polygon, at angle a on the unit circle, comes to  c + R(turn) diag(s1, s2) (cos a, sin a) / 2
        with a = phase + 2 pi j / k, turn and phase uniform, s1 >= s2 the order statistics of two numbers uniform on
        (0.2, 0.8) image sizes, c uniform where the object keeps 1 pixel from the border; an ellipse is all angles a
    background of a grey level uniform on 0..114, objects on 140..255, each its own; or, with probability 1/2, the
        other way round; the second object is painted over the first
    sizes and place of the second object are drawn again while it hides too much (`hidden_share` above 1/2) of the
        first; after 50 draws it is given up, and the scene has one object

The parameters are those of the authors' generator (https://github.com/glorotxa/Shapeset). Where this one differs from
it: a pixel is filled if its centre lies in the object, where the original drew polygons with corners truncated to whole
pixels and their outline filled, about half a pixel fatter; ellipses are exact, not polygons of 20 corners; angles are
continuous, not multiples of 2 pi / 255; and the place of the first object enters the overlap unrounded. Classes, sizes,
grey levels and the overlap rule are the same, random streams are not: error rates can be compared, images cannot.

Cost: about 15 microseconds an image on one core, and 4 kB of memory; the first few of a seed take 0.02 s. Every object
fits, whatever its size, so that no law of sizes is bent by rejections but the second object's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from torch import Generator, Tensor

from lemmata.data.rasterise import Spans, ellipse_spans, paint, polygon_spans
from lemmata.given import require_seed, require_whole

KINDS = ("triangle", "parallelogram", "ellipse")
CLASSES = ("T", "P", "E", "TP", "PE", "TE", "TT", "PP", "EE")
PROBABILITIES = (1 / 6, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9, 1 / 18, 1 / 18, 1 / 18)
SIZE = 32
SCALES = (0.2, 0.8)
MARGIN = 1.0
DARK, LIGHT = (0, 114), (140, 255)
HIDDEN, TRIES = 0.5, 50
BLOCK = 4096  # scenes drawn at a time, so that the images are the same however they are asked for
PAINTED = 512  # images painted at a time, or as many as are asked for: 2 MB of pixels

TRIANGLE, PARALLELOGRAM, ELLIPSE = range(3)
_THIRD, _QUARTER = 2 * math.pi / 3, math.pi / 2
_CORNERS = ((0, _THIRD, 2 * _THIRD, 2 * _THIRD), (0, _QUARTER, 2 * _QUARTER, 3 * _QUARTER), (0.0, 0.0, 0.0, 0.0))
_AREAS = (3 * math.sin(_THIRD) / (2 * math.pi), 2 / math.pi, 1.0)  # over that of the ellipse around the corners
_PAIRS = ((6, 3, 5), (3, 7, 4), (5, 4, 8))  # the class of two kinds


@dataclass(frozen=True)
class Objects:
    """One object of each of n scenes.

    `kind` (n,) int64 into `KINDS`; `size` (n, 2) in pixels; `turn` and `phase` (n,) in radians; `centre` (n, 2). The
    axes are (x, y), x to the right and y downwards, from 0 to 32; pixel j's centre is at j + 1/2.
    """

    kind: Tensor
    size: Tensor
    turn: Tensor
    phase: Tensor
    centre: Tensor

    def __getitem__(self, rows: Tensor | slice) -> Objects:
        return Objects(*(getattr(self, name.name)[rows] for name in fields(self)))

    def corners(self) -> Tensor:
        """The corners from the centre, in order around it: (n, 4, 2); a triangle's last one stands twice.

        For an ellipse all four are the same point on it, and mean nothing.
        """
        angle = self.phase[:, None] + torch.tensor(_CORNERS)[self.kind]
        x, y = self.size[:, :1] / 2 * angle.cos(), self.size[:, 1:] / 2 * angle.sin()
        cos, sin = self.turn.cos()[:, None], self.turn.sin()[:, None]
        return torch.stack([cos * x - sin * y, sin * x + cos * y], -1)

    def second_moment(self) -> Tensor:
        """The matrix M of the ellipse {p : p^T M^-1 p <= 1} around the centre, as (m_xx, m_xy, m_yy): (n, 3)."""
        a, b = (self.size / 2).square().unbind(1)
        cos, sin = self.turn.cos(), self.turn.sin()
        return torch.stack([a * cos**2 + b * sin**2, (a - b) * cos * sin, a * sin**2 + b * cos**2], 1)

    def reach(self, direction: Tensor) -> Tensor:
        """How far the object reaches from its centre along unit vectors (n, 2): its support function (n,)."""
        x, y = direction.unbind(1)
        xx, xy, yy = self.second_moment().unbind(1)
        ellipse = (xx * x**2 + 2 * xy * x * y + yy * y**2).sqrt()
        polygon = (self.corners() * direction[:, None]).sum(2).amax(1)
        return torch.where(self.kind == ELLIPSE, ellipse, polygon)

    def spans(self) -> Spans:
        """What the object covers of each line of pixel centres: see `lemmata.data.rasterise`."""
        round_ones = (self.kind == ELLIPSE)[:, None]
        curved = ellipse_spans(self.second_moment(), self.centre, SIZE)
        straight = polygon_spans(self.corners() + self.centre[:, None], SIZE)
        return Spans(*(torch.where(round_ones, c, s) for c, s in zip(curved, straight, strict=True)))


@dataclass(frozen=True)
class Scenes:
    """n scenes: the objects in the order of painting, which scenes `paired` (n,) have the second, and grey levels.

    `levels` (n, 3) int64 in 0..255: of the background, the first and the second object.
    """

    first: Objects
    second: Objects
    paired: Tensor
    levels: Tensor

    def __getitem__(self, rows: slice) -> Scenes:
        return Scenes(self.first[rows], self.second[rows], self.paired[rows], self.levels[rows])

    def __len__(self) -> int:
        return len(self.paired)

    @property
    def labels(self) -> Tensor:
        """The classes (n,) int64, numbers of `CLASSES`."""
        pairs = torch.tensor(_PAIRS)[self.first.kind, self.second.kind]
        return torch.where(self.paired, pairs, self.first.kind)

    def images(self) -> Tensor:
        """The pictures (n, 1, 32, 32) float32 in [-1, 1]: grey level / 127.5 - 1."""
        left, right = self.second.spans()
        hidden = Spans(left, torch.where(self.paired[:, None], right, left - 1))
        levels = self.levels.float() * (2 / 255) - 1
        return paint([self.first.spans(), hidden], levels, SIZE)[:, None]


def hidden_share(first: Objects, second: Objects) -> Tensor:
    """The share (n,) of the first object that the second is taken to hide, by their reach towards each other.

    With d the distance of the centres and p the sum of both reaches along it: (1 - 2^-((p - d)/d)) times the second's
    area over the first's, and 0 where p < d. An estimate, and the original's: it may exceed 1.
    """
    between = second.centre - first.centre
    d = between.norm(dim=1).clamp(min=1e-6)
    towards = between / d[:, None]
    p = first.reach(towards) + second.reach(-towards)
    areas = torch.tensor(_AREAS)
    ratio = (second.size.prod(1) * areas[second.kind]) / (first.size.prod(1) * areas[first.kind])
    return torch.where(p >= d, ratio * (1 - torch.exp2(-(p - d) / d)), 0.0)


def scenes(n: int, generator: Generator) -> Scenes:
    """Draw n scenes from a generator on the CPU.

    >>> drawn = scenes(1000, torch.Generator().manual_seed(0))
    >>> bool((hidden_share(drawn.first, drawn.second)[drawn.paired] <= HIDDEN).all())
    True
    """
    require_whole(n, "n")
    paired = torch.rand(n, generator=generator) < 0.5
    kinds = torch.randint(len(KINDS), (2, n), generator=generator)
    angles = 2 * math.pi * torch.rand((2, 2, n), generator=generator)
    first, second = (
        _placed(kind, turn, phase, torch.rand((n, 4), generator=generator))
        for kind, (turn, phase) in zip(kinds, angles, strict=True)
    )
    waiting = (paired & (hidden_share(first, second) > HIDDEN)).nonzero()[:, 0]
    for _ in range(TRIES - 1):
        if not len(waiting):
            break
        again = torch.rand((len(waiting), 4), generator=generator)
        other = _placed(second.kind[waiting], second.turn[waiting], second.phase[waiting], again)
        second.size[waiting], second.centre[waiting] = other.size, other.centre
        waiting = waiting[hidden_share(first[waiting], other) > HIDDEN]
    paired[waiting] = False
    return Scenes(first, second, paired, _levels(n, generator))


def _placed(kind: Tensor, turn: Tensor, phase: Tensor, uniform: Tensor) -> Objects:
    """Give objects sizes and places by four uniform numbers each (n, 4)."""
    low, high = SCALES
    size = SIZE * (low + (high - low) * uniform[:, :2]).sort(1, descending=True).values
    centred = Objects(kind, size, turn, phase, torch.zeros(len(kind), 2))
    half = centred.second_moment()[:, [0, 2]].sqrt()
    corners, is_round = centred.corners(), (kind == ELLIPSE)[:, None]
    start = MARGIN - torch.where(is_round, -half, corners.amin(1))
    stop = SIZE - MARGIN - torch.where(is_round, half, corners.amax(1))
    return Objects(kind, size, turn, phase, start + (stop - start) * uniform[:, 2:])


def _levels(n: int, generator: Generator) -> Tensor:
    uniform = torch.rand((n, 3), generator=generator)
    dark, light = (low + (uniform * (high + 1 - low)).long() for low, high in (DARK, LIGHT))
    is_background = torch.tensor([True, False, False])
    light_background = torch.rand((n, 1), generator=generator) < 0.5
    return torch.where(is_background == light_background, light, dark)


class Stream:
    """Examples without end, from one seed: the same ones however many are asked for at a time.

    >>> one, other = Stream(seed=3), Stream(seed=3)
    >>> x, y = one.draw(30)
    >>> torch.equal(torch.cat([other.draw(10)[0], other.draw(20)[0]]), x)
    True
    """

    def __init__(self, seed: int | Generator):
        checked = require_seed(seed)
        self._generator = checked if isinstance(checked, Generator) else Generator().manual_seed(checked)
        self._scenes: Scenes | None = None  # those not painted yet
        self._x, self._y = torch.empty(0, 1, SIZE, SIZE), torch.empty(0, dtype=torch.int64)

    def draw(self, n: int) -> tuple[Tensor, Tensor]:
        """The next n images (n, 1, 32, 32) float32 in [-1, 1] and their classes (n,) int64."""
        require_whole(n, "n")
        parts, wanted = [], n
        while wanted:
            if not len(self._y):
                self._paint(wanted)
            parts.append((self._x[:wanted], self._y[:wanted]))
            self._x, self._y = self._x[wanted:], self._y[wanted:]
            wanted -= len(parts[-1][1])
        if len(parts) == 1:
            return parts[0]
        x, y = zip(*parts, strict=True)
        return torch.cat(x), torch.cat(y)

    def _paint(self, wanted: int) -> None:
        waiting = self._scenes if self._scenes is not None and len(self._scenes) else scenes(BLOCK, self._generator)
        count = max(wanted, PAINTED)
        self._x, self._y = waiting[:count].images(), waiting[:count].labels
        self._scenes = waiting[count:]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of `size` examples, for ever."""
        while True:
            yield self.draw(size)


def generate(n: int, *, seed: int | Generator) -> tuple[Tensor, Tensor]:
    """Make n examples: images (n, 1, 32, 32) float32 in [-1, 1] and classes (n,) int64, numbers of `CLASSES`.

    The first n of ``Stream(seed)``. Raises `InvalidInput` for n below 1 or what is no seed.

    >>> x, y = generate(100, seed=0)
    >>> x.shape, int(y.max()) < len(CLASSES), bool((x.abs() <= 1).all())
    (torch.Size([100, 1, 32, 32]), True, True)
    """
    return Stream(seed).draw(n)
