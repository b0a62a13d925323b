"""Counts how a classifier votes on noisy copies of images: the one place where noise is drawn and a model is called.

    counts[i, c] = #{j : f(x_i + noise_ij) = c},   f(x) = argmax of the logits, the first of equal ones

Copies of many images share a forward pass, whose layout and size are measured beforehand (`Votes.way`). Copy j of an
image depends on the seed, the image's place in its data set, the stream and j alone (`noise_seeds`), on nothing that
shares its batch; so votes can be recounted, in another order and by another program. What the clock chooses moves a
vote at most where two logits tie to the rounding of the model's type, a per cent or so in bfloat16: give `batch` and
`memory_format` for the same bits.

The certified classifier is the model as it is given, in its own precision: noise is drawn and added in float32 (float64
for a float64 model), and the sum is rounded to the model's type as the classifier's first step. Nothing is cast to
bfloat16 for speed: bfloat16 moves logits by about 1 %, so a bfloat16 model is another classifier, with other classes at
some inputs, and a certificate of one says nothing of the other. A model that is deployed in bfloat16 is certified in
bfloat16: give ``model.bfloat16()``. Likewise nothing runs under autocast unless the caller's own context says so.

Cost: the forward passes; drawing noise is about 3 ns an entry on a processor. Memory: `batch` rows of noise, images and
activations, at most `budget` bytes.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lemmata.bernoulli.looks import require_count
from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_model, require_number, require_tensor
from lemmata.robustness.smoothing.batch_dependence import logits, require_function
from lemmata.robustness.smoothing.ensemble import ensemble
from lemmata.robustness.smoothing.forward import fastest, floating, rows_within
from lemmata.robustness.smoothing.noise import Noise, require_noise
from lemmata.robustness.smoothing.noise_seeds import BLOCK, Stream, block_seeds, seed_number

IntArray = NDArray[np.int64]
PROBE = 4  # noisy images by which a model is examined, one by one; the ways through it are on a block of them
AT_ONCE = 2**16  # blocks of noise that are listed at a time
RESOLVED = 64  # units in the last place of an image that noise has to be wide


class Votes:
    """The votes of `model`, or of the mean logits of several, on copies of the images x (N, ...) under `noise`.

    `classes` is checked against the model's logits. `index` (N,) are the places of the images in their data set
    (0, 1, ..., by default), by which their noise is drawn. `batch` rows, at most, are classified at once in
    `memory_format` (``"plain"``, ``"channels_last"``, ``"packed"``); left out, both are measured. `input_range` (low,
    high) is what the model expects of images without noise, if that is to be checked. The model is copied, never
    changed, and stays on its device, where the noise is drawn.

    `samples` and `seconds` (N,) count what was drawn of each image by now, in both streams, and the time it took.

    Raises `InvalidInput` for images of integers, with NaN or infinite entries, or outside `input_range`; for a model
    that fails on them, whose answers are no logits (rows, classes), or depend on the batch or on chance.

    >>> model = nn.Linear(2, 2, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))      # class 0 where x_1 > 0
    >>> from lemmata.robustness.smoothing.noise import Gaussian
    >>> votes = Votes(model, torch.tensor([[0.5, 0.0], [-5.0, 0.0]]), Gaussian(0.5), seed=0)
    >>> counts = votes.count([0, 1], [10_000, 100])
    >>> counts[1].tolist(), bool(abs(counts[0, 0] / 10_000 - 0.8413) < 0.02)    # Phi(1) = 0.8413
    ([0, 100], True)
    >>> votes.samples
    array([10000,   100])
    """

    def __init__(
        self,
        model: nn.Module | Sequence[nn.Module],
        x: Tensor,
        noise: Noise,
        *,
        classes: int | None = None,
        seed: int | torch.Generator = 0,
        index: Tensor | None = None,
        batch: int | None = None,
        memory_format: str = "auto",
        input_range: tuple[float, float] | None = None,
        budget: int = 2**30,
    ):
        original = require_model(model) if isinstance(model, nn.Module) else ensemble(model)
        self.model = _copied(original)
        self.noise = noise = require_noise(noise, None)
        self.x = _require_images(x, input_range)
        self.seed = seed_number(seed)
        self.index = _places(index, len(self.x))
        self.seconds = np.zeros(len(self.x))
        self._drawn = {stream: np.zeros(len(self.x), np.int64) for stream in get_args(Stream)}
        double = floating(self.model, self.x.dtype) == torch.float64
        self.x = self.x.to(torch.float64 if double else torch.float32)
        self._device = next((each.device for each in (*self.model.parameters(), *self.model.buffers())), self.x.device)
        self._generator = torch.Generator(device=self._device)

        probe = self.x[torch.arange(BLOCK) % len(self.x)].to(self._device)
        drawn = noise.sample(probe.shape, self._generator.manual_seed(self.seed % 2**63), dtype=probe.dtype)
        _require_resolved(self.x, drawn, noise)
        probe += drawn
        dtype = floating(self.model, probe.dtype)
        self.classes = require_function(self.model, probe[:PROBE].to(dtype), classes=classes).shape[1]
        most = rows_within(require_count(budget, "budget"), self.model, probe[:PROBE].to(dtype))
        batch = None if batch is None else min(require_count(batch, "batch"), most)
        self._answer, self.way = fastest(self.model, probe[:most], format=memory_format, batch=batch, most=most)
        self._rows = torch.empty(
            (max(self.way.batch, BLOCK), *self.x.shape[1:]), dtype=probe.dtype, device=self._device
        )

    def __repr__(self) -> str:
        way = f"{self.way.format}, {self.way.batch} rows, {self.way.dtype} on {self.way.device}"
        return f"Votes({len(self.x)} images, {self.noise}, seed={self.seed}, {way}; {self.samples.sum():,} drawn)"

    @property
    def samples(self) -> IntArray:
        """How many copies of each image were drawn by now, (N,)."""
        return np.sum(list(self._drawn.values()), axis=0)

    def count(self, images: ArrayLike, draws: ArrayLike, stream: Stream = "estimate") -> IntArray:
        """Classify the next `draws` copies of each of the `images` in `stream`, and count the classes: (m, classes).

        `images` (m,) are positions in x, all different, `draws` (m,) or one number for all, 0 or more. Raises
        `InvalidInput` for others, and, with the image, where the largest of its logits is NaN or infinite.
        """
        chosen, wanted = self._request(images, draws)
        began, pieces = time.perf_counter(), self._pieces(chosen, wanted, stream)
        counts = torch.zeros((len(chosen), self.classes + 1), dtype=torch.int64, device=self._device)
        for batch in _batches(pieces, len(self._rows)):
            self._vote(counts, chosen, batch)
        found = counts.cpu().numpy()  # waits for the device
        if (undefined := found[:, -1]).any():
            at = int(undefined.argmax())
            raise InvalidInput(
                f"NaN logits for {undefined[at]} of {wanted[at]} noisy copies of image {chosen[at]}; "
                "an infinite leading logit, or -inf everywhere, counts as NaN: a classifier must answer wherever noise "
                "takes an image, so look for overflow or a division by zero in the model"
            )
        self._drawn[stream][chosen] += wanted
        self.seconds[chosen] += (time.perf_counter() - began) * wanted / max(wanted.sum(), 1)
        return found[:, :-1]

    def _request(self, images: ArrayLike, draws: ArrayLike) -> tuple[IntArray, IntArray]:
        chosen, wanted = np.atleast_1d(np.asarray(images)), np.asarray(draws)
        if chosen.ndim != 1 or not (_whole(chosen) and _whole(wanted)) or wanted.shape not in ((), chosen.shape):
            raise InvalidInput(
                "images (m,) and draws (m,) are whole numbers, one of each an image, or one for all draws"
            )
        if len(np.unique(chosen)) < len(chosen) or not ((chosen >= 0) & (chosen < len(self.x))).all():
            raise InvalidInput(f"images {chosen.tolist()} are not different positions from 0 to {len(self.x) - 1}")
        if (wanted < 0).any():
            raise InvalidInput(f"{wanted.min()} draws; give 0 or more")
        return chosen.astype(np.int64), np.broadcast_to(wanted, chosen.shape).astype(np.int64)

    def _pieces(self, chosen: IntArray, wanted: IntArray, stream: Stream) -> Iterator[_Piece]:
        """The blocks that hold the next copies, and which of each; made a few at a time, whatever is wanted."""
        start = self._drawn[_known(stream)][chosen]
        first, end = start // BLOCK, start + wanted
        blocks = np.where(wanted > 0, -(-end // BLOCK) - first, 0)
        ends = np.cumsum(blocks)
        for begun in range(0, int(ends[-1]) if len(ends) else 0, AT_ONCE):
            number = np.arange(begun, min(begun + AT_ONCE, int(ends[-1])))
            owner = np.searchsorted(ends, number, side="right")
            block = first[owner] + number - (ends - blocks)[owner]
            low = np.maximum(start[owner] - block * BLOCK, 0)
            high = np.minimum(end[owner] - block * BLOCK, BLOCK)
            seeds = block_seeds(self.seed, self.index[chosen[owner]], stream, block)
            yield from (_Piece(*each) for each in zip(*(p.tolist() for p in (owner, seeds, low, high)), strict=True))

    def _vote(self, counts: Tensor, chosen: IntArray, pieces: list[_Piece]) -> None:
        rows = self._noisy(chosen, pieces)
        owners = np.repeat([piece.owner for piece in pieces], [piece.rows for piece in pieces])
        places = torch.from_numpy(owners * (self.classes + 1)).to(self._device)
        for part, place in zip(rows.split(self.way.batch), places.split(self.way.batch), strict=True):
            largest, leading = self._logits(part).max(1)
            vote = torch.where(largest.isfinite(), leading, self.classes)  # NaN is larger than any number
            counts.view(-1).scatter_add_(0, place + vote, torch.ones_like(vote))

    def _logits(self, rows: Tensor) -> Tensor:
        try:
            with torch.no_grad():
                return self._answer(rows)
        except Exception:  # packed weights may not take as many rows as come; the model as it is may, or says why not
            return logits(self.model, rows.to(floating(self.model, rows.dtype)), classes=self.classes)

    def _noisy(self, chosen: IntArray, pieces: list[_Piece]) -> Tensor:
        """The copies that the pieces name, (rows, ...), in place."""
        images = self.x[torch.from_numpy(chosen[[piece.owner for piece in pieces]])].to(self._device)
        end = 0
        for image, piece in zip(images, pieces, strict=True):
            rows = self._rows[end : end + piece.rows]
            generator = self._generator.manual_seed(piece.seed)
            if piece.rows == BLOCK:
                self.noise.fill(rows, generator)
            else:  # a part of a block is drawn with the whole
                rows.copy_(self.noise.fill(torch.empty_like(self._rows[:BLOCK]), generator)[piece.low : piece.high])
            rows.add_(image)
            end += piece.rows
        return self._rows[:end]


class _Piece(NamedTuple):
    """Copies `low` to `high` of one block: of the image at `owner` in the request, from `seed`."""

    owner: int
    seed: int
    low: int
    high: int

    @property
    def rows(self) -> int:
        return self.high - self.low


def _batches(pieces: Iterator[_Piece], most: int) -> Iterator[list[_Piece]]:
    """Gather pieces, in order, into batches of at most `most` rows."""
    batch: list[_Piece] = []
    rows = 0
    for piece in pieces:
        if rows + piece.rows > most:
            yield batch
            batch, rows = [], 0
        batch.append(piece)
        rows += piece.rows
    if batch:
        yield batch


def _require_images(x: Tensor, input_range: tuple[float, float] | None) -> Tensor:
    if require_tensor(x, "x").ndim < 2 or not len(x):
        raise InvalidInput(f"x of shape {tuple(x.shape)}; give at least one image, (N, ...)")
    if not x.is_floating_point():
        raise InvalidInput(f"x is of {x.dtype}; noise needs floating-point images in the range that the model expects")
    if not (finite := torch.isfinite(x).flatten(1).all(1)).all():
        raise InvalidInput(
            f"image {int((~finite).nonzero()[0])} of x has a NaN or infinite entry; leave it out or mend it"
        )
    if input_range is not None:
        low, high = _range(input_range)
        inside = ((x >= low) & (x <= high)).flatten(1).all(1)
        if not inside.all():
            at = int((~inside).nonzero()[0])
            raise InvalidInput(
                f"image {at} of x reaches from {float(x[at].min()):g} to {float(x[at].max()):g}, outside the "
                f"input_range [{low:g}, {high:g}] that the model expects; scale the images: sigma is in their units"
            )
    return x.detach()


def _range(given: Any) -> tuple[float, float]:
    if not isinstance(given, Sequence | np.ndarray | Tensor) or isinstance(given, str) or len(given) != 2:
        raise InvalidInput(f"input_range = {given!r}; give (low, high), such as (0, 1)")
    low, high = (require_number(each, "input_range") for each in given)
    if not low < high:
        raise InvalidInput(f"input_range = ({low:g}, {high:g}); give (low, high) with low below high, such as (0, 1)")
    return low, high


def _copied(model: nn.Module) -> nn.Module:
    """A copy that no one else changes, without gradients."""
    if isinstance(model, torch.jit.ScriptModule):
        raise InvalidInput("a torch.jit module cannot be examined layer by layer; give the module it was made of")
    if kept := [name for name, each in (*model.named_parameters(), *model.named_buffers()) if each.is_meta]:
        raise InvalidInput(f"{kept[0]} of the model is on the meta device and holds no numbers; load its weights first")
    try:
        return copy.deepcopy(model).requires_grad_(False)
    except Exception as error:
        raise InvalidInput(
            f"the model cannot be copied, which keeps it as it is ({type(error).__name__}: {error}); make it one that "
            "copy.deepcopy takes"
        ) from error


def _require_resolved(x: Tensor, drawn: Tensor, noise: Noise) -> None:
    """Refuse noise that the sum with an image rounds away, or to a few values."""
    largest, width = float(x.abs().max()), float(drawn.abs().mean())
    if width < RESOLVED * torch.finfo(x.dtype).eps * largest:
        raise InvalidInput(
            f"{noise} is too narrow for images with entries up to {largest:g} in {x.dtype}: the sum is rounded to "
            f"steps of {torch.finfo(x.dtype).eps * largest:.2g}, and the certificate would be of other noise; take "
            "wider noise, or a float64 model"
        )


def _places(index: Tensor | None, images: int) -> IntArray:
    if index is None:
        return np.arange(images)
    places = require_tensor(index, "index").cpu().numpy()
    if places.shape != (images,) or not _whole(places) or (places < 0).any():
        raise InvalidInput(f"index of shape {places.shape}; give the place of each of the {images} images, 0 or more")
    return places.astype(np.int64)


def _known(stream: str) -> str:
    if stream not in get_args(Stream):
        raise UnknownName("stream", stream, get_args(Stream))
    return stream


def _whole(values: NDArray[Any]) -> bool:
    return np.issubdtype(values.dtype, np.integer)
