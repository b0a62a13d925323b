"""The fastest way through a classifier on this machine: layout of memory, packed weights, rows at once, by measuring.

All but a few hundredths of a certification's time are forward passes, so this is where its speed lies, fewer samples
aside. The ways:

    plain           the model as it is
    channels_last   weights and images stored with the channel as the fastest index, as convolutions read them
    packed          batch normalisation folded into convolutions, ReLU put behind the maximum of pooling (which is the
                    same, of fewer numbers), weights stored in the blocks by which oneDNN computes (processors; float32,
                    and bfloat16 for models of convolutions, linear layers, ReLU and pooling alone)

Each way that works is timed on the model, and so are several numbers of rows: the activations of few rows stay in the
cache, many rows fill a GPU. A way works if it gives the logits of the plain one to rounding (a root of the precision,
0.03 % in float32; 3 % in half precision, where two orders of addition differ by a per cent or so) and the same class
wherever the two leading logits do not tie to rounding: on the few rows given, and on as many as are taken at once, up
to 200. The clock chooses among those, so that it can move a vote only where two logits tie to rounding.
Cost: the passes that are timed, about half a second together; a slow model is timed on fewer rows.
"""

from __future__ import annotations

import contextlib
import copy
import io
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lemmata.errors import InvalidInput, UnknownName
from lemmata.robustness.smoothing.batch_dependence import failure, logits, same_logits
from lemmata.robustness.smoothing.noise_seeds import BLOCK

Answer = Callable[[Tensor], Tensor]
TRIAL_SECONDS = 0.05  # a timed pass lasts about this long at most, if 8 rows do not take longer
TRIAL_ROWS = 100
FEW = 4  # rows that are classified apart from the others
NEAR = 1.03  # ways this close are taken as equal, and fewer rows are preferred


@dataclass(frozen=True)
class Way:
    """How a model is evaluated: the layout `format`, `batch` rows at once, in `dtype` on `device`.

    `microseconds` a row were measured for it, NaN where nothing was; `tried` holds those of all ways that were.

    >>> Way("packed", 100, torch.float32, torch.device("cpu"), 75.0)
    Way(format='packed', batch=100, dtype=torch.float32, device=device(type='cpu'), microseconds=75.0)
    """

    format: str
    batch: int
    dtype: torch.dtype
    device: torch.device
    microseconds: float = float("nan")
    tried: dict[tuple[str, int], float] = field(default_factory=dict, repr=False)


def fastest(
    model: nn.Module, rows: Tensor, *, format: str = "auto", batch: int | None = None, most: int
) -> tuple[Answer, Way]:
    """Give the logits as a function of noisy images, of the type of `rows` (k, ...), and the way taken.

    `format` and `batch` name a way in place of measuring, `most` bounds the rows at once. The model is copied for each
    way and left as it is. Raises `UnknownName` for a format that is none, and `InvalidInput` for one that this model
    cannot take.
    """
    if format not in ("auto", *_MAKERS):
        raise UnknownName("memory_format", format, ("auto", *_MAKERS))
    dtype, device = floating(model, rows.dtype), rows.device
    right = logits(model, rows.to(dtype))
    _require_alike(logits(model, rows[:FEW].to(dtype)), right[:FEW], FEW)
    names = _MAKERS if format == "auto" else (format,)
    ways = {name: answer for name in names if (answer := _made(name, model, dtype, rows, right)) is not None}
    while ways:
        answer, way = _quickest(ways, rows, dtype, batch, most)
        if _holds(way.format, answer, rows, right, min(way.batch, 2 * TRIAL_ROWS)):
            return answer, way
        del ways[way.format]
    raise InvalidInput(
        f"memory_format = {format!r} is none that this model can take in {dtype} on {device}; leave it out, and the "
        "fastest that works is found"
    )


def _quickest(
    ways: dict[str, Answer], rows: Tensor, dtype: torch.dtype, batch: int | None, most: int
) -> tuple[Answer, Way]:
    """The fastest of the ways and of several numbers of rows, or that one at `batch` rows."""
    device = rows.device
    if len(ways) == 1 and batch is not None:
        name = next(iter(ways))
        return ways[name], Way(name, batch, dtype, device)
    trial = min(_affordable(next(iter(ways.values())), rows), batch or most)
    tried = {(name, trial): _microseconds(answer, rows, trial) for name, answer in ways.items()}
    name = min(ways, key=lambda way: tried[way, trial])
    if batch is not None:
        return ways[name], Way(name, batch, dtype, device, tried[name, trial], tried)
    for size in _sizes(trial, device, most):
        tried[name, size] = _microseconds(ways[name], rows, size)
        if device.type != "cpu" and tried[name, size] * NEAR > tried[name, size // 2]:
            break  # more rows no longer pay
    times = {size: value for (way, size), value in sorted(tried.items()) if way == name}
    size = next(size for size in times if times[size] <= NEAR * min(times.values()))
    # Rows too slow to be timed by blocks are still taken by blocks, which loses nothing.
    return ways[name], Way(name, min(max(size, BLOCK), most), dtype, device, times[size], tried)


def rows_within(budget: int, model: nn.Module, rows: Tensor) -> int:
    """How many rows such as `rows` (k, ...) may be classified at once in `budget` bytes: at least one.

    Counted are four copies of a row and of the largest answer of a submodule: what is read and written, and copies of
    both in another layout.
    """
    largest = 0

    def note(_module: nn.Module, _given: object, found: object) -> None:
        nonlocal largest
        largest = max(largest, found.nbytes if isinstance(found, Tensor) else 0)

    hooks = [module.register_forward_hook(note) for module in model.modules()]
    try:
        logits(model, rows)
    finally:
        for hook in hooks:
            hook.remove()
    return max(1, budget * len(rows) // (4 * (largest + rows.nbytes)))


def floating(model: nn.Module, otherwise: torch.dtype) -> torch.dtype:
    """The floating-point type a model computes in: that of its first parameter or buffer that has one."""
    kinds = (value.dtype for value in (*model.parameters(), *model.buffers()) if value.is_floating_point())
    return next(kinds, otherwise)


def _made(name: str, model: nn.Module, dtype: torch.dtype, rows: Tensor, right: Tensor) -> Answer | None:
    """The way of that name, if the model can take it and gives the right logits by it."""
    for maker in _MAKERS[name]:
        try:
            # torch's tracer warns of what it is made of, and prints what fails before it raises
            with torch.no_grad(), warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                answer = maker(model, dtype, rows)
                if answer is not None and (name == "plain" or _same_classifier(right, answer(rows))):
                    return answer
        except Exception:  # whatever a tracer, a converter or an operation finds that it cannot do
            continue
    return None


def _holds(name: str, answer: Answer, rows: Tensor, right: Tensor, size: int) -> bool:
    """Whether a way gives for `size` rows at once what it is to give; raises `InvalidInput` where the model itself does
    not.
    """
    copies = -(-size // len(rows))
    images, wanted = _repeated(rows, size), right.repeat(copies, 1)[:size]
    try:
        with torch.no_grad():
            found = answer(images)
    except Exception as error:
        if name == "plain":
            raise failure(error, images) from error
        return False
    if name == "plain":
        _require_alike(wanted, found, len(rows))
    return found.shape == wanted.shape and _same_classifier(wanted, found)


def _require_alike(few: Tensor, many: Tensor, rows: int) -> None:
    """Refuse a model whose logits for some images change with how many there are beside them."""
    if few.shape != many.shape or not same_logits(few, many):
        raise InvalidInput(
            f"the model's answer depends on its batch: among many images it gives other logits than for {rows} of "
            "them. A certificate needs a function of one image"
        )


def _same_classifier(right: Tensor, found: Tensor) -> bool:
    """Whether logits are the right ones to rounding, and their classes are, ties to 4 eps of the leader apart."""
    eps = torch.finfo(right.dtype).eps
    first, second = right.topk(2, dim=1).values.double().unbind(1)
    tied = first - second <= 4 * eps * first.abs()
    alike = (found.argmax(1) == right.argmax(1)) | tied | ~first.isfinite()
    return bool(alike.all()) and same_logits(right, found, share=min(eps**0.5, 0.03))


def _plain(model: nn.Module, dtype: torch.dtype, _rows: Tensor) -> Answer:
    return lambda rows: model(rows.to(dtype))


def _channels_last(model: nn.Module, dtype: torch.dtype, rows: Tensor) -> Answer | None:
    if rows.ndim != 4 or not any(isinstance(module, nn.Conv2d) for module in model.modules()):
        return None
    moved = copy.deepcopy(model).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    return lambda rows: moved(rows.to(dtype).contiguous(memory_format=torch.channels_last))


def _packed(model: nn.Module, dtype: torch.dtype, rows: Tensor) -> Answer | None:
    """All of the model on packed tensors."""
    from torch.fx.experimental.optimization import fuse
    from torch.utils.mkldnn import to_mkldnn

    if not _packs(rows, dtype):
        return None
    folded = copy.deepcopy(model)
    if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
        folded = fuse(folded)
    _pool_first(folded)
    packed = to_mkldnn(folded.float(), dtype=dtype)
    return lambda rows: packed(rows.to(dtype).to_mkldnn()).to_dense(dtype)


def _packed_in_parts(model: nn.Module, dtype: torch.dtype, rows: Tensor) -> Answer | None:
    """Those parts of the model on packed tensors that know them, as a trace of it tells; float32 alone."""
    from torch.fx.experimental.optimization import optimize_for_inference

    if not _packs(rows, dtype) or dtype != torch.float32:
        return None
    return optimize_for_inference(copy.deepcopy(model))


def _packs(rows: Tensor, dtype: torch.dtype) -> bool:
    fits = rows.device.type == "cpu" and dtype in (torch.float32, torch.bfloat16)
    return fits and torch.backends.mkldnn.is_available()


def _pool_first(model: nn.Module) -> None:
    """Exchange ReLU and the maximum pooling that follows it, in sequences: the maximum of the larger is the same."""
    for sequence in model.modules():
        if type(sequence).forward is nn.Sequential.forward and isinstance(sequence, nn.Sequential):
            for i in range(len(sequence) - 1):
                if type(sequence[i]) is nn.ReLU and type(sequence[i + 1]) is nn.MaxPool2d:
                    sequence[i], sequence[i + 1] = sequence[i + 1], sequence[i]


_MAKERS: dict[str, tuple[Callable[[nn.Module, torch.dtype, Tensor], Answer | None], ...]] = {
    "plain": (_plain,), "channels_last": (_channels_last,), "packed": (_packed, _packed_in_parts),
}  # fmt: skip


def _affordable(answer: Answer, rows: Tensor) -> int:
    """How many rows a timed pass has, so that it does not last long."""
    a_row = 1e-6 * _microseconds(answer, rows, len(rows))
    return int(min(TRIAL_ROWS, max(TRIAL_SECONDS / a_row, len(rows))))


def _sizes(trial: int, device: torch.device, most: int) -> Iterator[int]:
    """Other numbers of rows to try: around the cache on a processor, doubled while that pays on a GPU."""
    if device.type == "cpu":
        sizes = (BLOCK, 2 * BLOCK, 2 * TRIAL_ROWS) if trial == TRIAL_ROWS else ()
    else:
        sizes = (trial * 2**k for k in range(1, 20))
    return (size for size in sizes if size <= most)


def _microseconds(answer: Answer, rows: Tensor, size: int) -> float:
    """The time a row of a pass over `size` rows: the best of a few, fewer where they are slow."""
    images = _repeated(rows, size)
    try:
        with torch.no_grad():
            seconds = [_seconds(answer, images)]
            while len(seconds) < 5 and sum(seconds) < 4 * TRIAL_SECONDS:
                seconds.append(_seconds(answer, images))
    except Exception:  # a model may take few rows one way and many another; `_holds` says what is wrong
        return float("inf")
    return 1e6 * min(seconds) / size


def _repeated(rows: Tensor, size: int) -> Tensor:
    """`size` rows, the given ones over and over."""
    return rows.repeat(-(-size // len(rows)), *[1] * (rows.ndim - 1))[:size]


def _seconds(answer: Answer, images: Tensor) -> float:
    clock = time.process_time if images.device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    _wait(images.device)
    start = clock()
    answer(images)
    _wait(images.device)
    return clock() - start


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.get_device_module(device).synchronize(device)
