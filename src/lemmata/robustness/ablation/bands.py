"""Bands and blocks: certificates against a patch, by counting votes; nothing is random.

The smoothed classifier lets the base classifier see one band of s columns at a time (or rows, or blocks of s x s), at
every place of the image, wrapped around, and counts votes. A patch of m x m pixels, wherever it is and whatever it
shows, meets at most

    Delta = m + s - 1  bands        or        (m + s - 1)^2  blocks

and changes no other vote, so that it takes at most Delta votes from the first class and gives as many to another:

    n_first  >=  max_(c != first) ( n_c + [c < first] ) + 2 Delta

certifies m (Levine and Feizi, 2020b, theorem 1), ties going to the smaller index. The radius is the largest m.
Cost: W (or H, or H W) forward passes an image. Where it fails: a base classifier that depends on its batch or on chance
has no fixed votes (refused where it is seen); a patch of half the image's width is beyond any count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.given import require_model, require_number, require_tensor, require_whole
from lemmata.robustness.ablation.encoding import encode, require_images
from lemmata.robustness.certificates.certificates import Certificates
from lemmata.robustness.labels import require_labels
from lemmata.robustness.smoothing.batch_dependence import require_function

KINDS = ("columns", "rows", "blocks")
SEEN_AT_ONCE = 2**27  # bytes of encoded images in a batch


def certify_patch(
    model: nn.Module,
    x: Tensor,
    y: Tensor | None = None,
    *,
    size: int,
    kind: str = "columns",
    threshold: float | None = None,
    batch: int | None = None,
) -> Certificates:
    """Certify images x (N, C, H, W) in [0, 1] against square patches: ``norm`` "patch", radii the sides of patches.

    `model` gives logits of encoded images (N, 2 C, H, W) (see `encoding`) of which a band of `size` columns or rows,
    or a block of `size` x `size` pixels, is kept. It votes for its largest logit, or with `threshold` for each class of
    softmax probability at least that (none, if none is). `batch` is how many encoded images are classified at once.

    Deterministic, ``alpha`` 0. Radius 0 says that no patch is certified. Raises `InvalidInput` for images outside
    [0, 1], labels and sizes that do not fit, and a model whose answers depend on the batch; `UnknownName` for another
    kind.

    >>> class Brighter(nn.Module):
    ...     def forward(self, x):
    ...         return torch.stack([x[:, 1].sum((1, 2)), x[:, 0].sum((1, 2))], 1)
    >>> found = certify_patch(Brighter(), torch.ones(1, 1, 8, 8), size=1)       # 8 votes for class 1: 2 m <= 8 - 1
    >>> found.prediction, found.radius
    (tensor([1]), tensor([3.], dtype=torch.float64))
    """
    start = time.perf_counter()
    counts = band_votes(model, x, size=size, kind=kind, threshold=threshold, batch=batch)
    prediction = counts.argmax(1)  # the first of equal ones
    label = None if y is None else torch.as_tensor(require_labels(y, len(x), counts.shape[1]))
    radius = certified_sides(counts, size=size, kind=kind, most=min(x.shape[2:]))
    seconds = torch.full((len(x),), (time.perf_counter() - start) / len(x), dtype=torch.float64)
    return Certificates(
        prediction.cpu(), radius.double().cpu(), label=label, seconds=seconds, norm="patch",
        alpha=0.0, name=f"{type(model).__name__} on {kind} of {size}",
    )  # fmt: skip


def band_votes(
    model: nn.Module,
    x: Tensor,
    *,
    size: int,
    kind: str = "columns",
    threshold: float | None = None,
    batch: int | None = None,
) -> Tensor:
    """The votes (N, classes) int64 of all bands of images x (N, C, H, W); arguments and errors as `certify_patch`."""
    x = require_images(x)
    require_model(model)
    _check(x, size, kind, threshold)
    masks = kept_pixels(x.shape[2], x.shape[3], size=size, kind=kind).to(x.device)
    with torch.no_grad():
        classes = require_function(model, encode(x[:1].expand(4, -1, -1, -1), masks[:1].expand(4, -1, -1))).shape[1]
        counts = torch.zeros(len(x), classes, dtype=torch.int64, device=x.device)
        for image, seen in _encoded(x, masks, batch):
            logits = model(seen)
            if logits.isnan().any():
                raise InvalidInput(f"NaN logits for image {int(image[logits.isnan().any(1)][0])}; check the model")
            if threshold is None:
                votes = torch.nn.functional.one_hot(logits.argmax(1), classes)
            else:
                votes = (logits.softmax(1) >= threshold).long()
            counts.index_add_(0, image, votes)
    return counts


def kept_pixels(height: int, width: int, *, size: int, kind: str) -> Tensor:
    """Which pixels each band or block keeps, (places, H, W) bool, wrapped around.

    >>> kept_pixels(1, 3, size=2, kind="columns").long().tolist()
    [[[1, 1, 0]], [[0, 1, 1]], [[1, 0, 1]]]
    """
    rows = (torch.arange(height)[None] - torch.arange(height)[:, None]) % height < size  # (start, place)
    columns = (torch.arange(width)[None] - torch.arange(width)[:, None]) % width < size
    if kind == "rows":
        return rows[:, :, None].expand(-1, -1, width)
    if kind == "columns":
        return columns[:, None, :].expand(-1, height, -1)
    return (rows[:, None, :, None] & columns[None, :, None, :]).flatten(0, 1)


def certified_sides(counts: Tensor, *, size: int, kind: str, most: int) -> Tensor:
    """The largest side m <= `most` that votes (N, classes) certify, (N,) int64, 0 where none does.

    Raises `InvalidInput` for votes, sizes and sides that are no whole numbers; `UnknownName` for another kind.

    >>> certified_sides(torch.tensor([[9, 1], [1, 9]]), size=2, kind="columns", most=10)
    tensor([3, 2])
    """
    _require_kind(kind)
    require_whole(size, "size")
    require_whole(most, "most")
    if require_tensor(counts, "counts").ndim != 2 or counts.is_floating_point() or not bool((counts >= 0).all()):
        raise InvalidInput(f"counts: {counts.dtype} of shape {tuple(counts.shape)}; give votes (N, classes), 0 or more")
    first = counts.argmax(1, keepdim=True)
    order = torch.arange(counts.shape[1], device=counts.device)
    rival = (counts + (order < first).long()).scatter(1, first, -1).amax(1)
    margin = counts.gather(1, first)[:, 0] - rival
    side = torch.zeros_like(margin)
    for m in range(1, most + 1):
        met = m + size - 1 if kind != "blocks" else (m + size - 1) ** 2
        side = torch.where(margin >= 2 * met, m, side)
    return side


def _encoded(x: Tensor, masks: Tensor, batch: int | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches: the image of each row, and the encoded rows."""
    each = 2 * x[0].numel() * x.element_size()
    rows = max(1, SEEN_AT_ONCE // each) if batch is None else require_whole(batch, "batch")
    for pairs in torch.arange(len(x) * len(masks), device=x.device).split(rows):
        image, place = pairs // len(masks), pairs % len(masks)
        yield image, encode(x[image], masks[place])


def _check(x: Tensor, size: int, kind: str, threshold: float | None) -> None:
    _require_kind(kind)
    most = {"columns": x.shape[3], "rows": x.shape[2], "blocks": min(x.shape[2:])}[kind]
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= most:
        raise InvalidInput(f"size = {size!r} for images of {x.shape[2]} x {x.shape[3]}; give 1 to {most}")
    if threshold is not None and not 0 < require_number(threshold, "threshold") <= 1:
        raise InvalidInput(f"threshold = {threshold} is no probability; give one in (0, 1], such as 0.3")


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownName("kind of bands", kind, KINDS)
