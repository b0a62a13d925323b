"""What a student regresses on: the logits of a teacher, without the part that training leaves free.

Cross-entropy does not change when a number is added to all k logits of a sample, so that training leaves each sample's
mean logit to chance. Squared error on the logits does not know this. With P = I - 11'/k and m(z) the mean of z,

    |f - z|^2 = |P f - P z|^2 + k (m(f) - m(z))^2,

where the first term alone decides what classes are predicted; the second asks the student for a function of the inputs
that means nothing. `mimic_targets` takes it out (z becomes P z) and brings what is left to root mean square 1, which
sets the size of the loss and so the step size. A student is then trained with ``loss="mse"``.

The share of the logits' variance that is offset, `offset_share`, says beforehand how much there is to gain.

On MNIST-1D it is a tenth, and taking it out makes no difference (`lemmata run ba-caruana-2014`).

Cost: one pass over the logits. It does not help where the offset is small, or easy to read off the inputs.

Reference: L. J. Ba and R. Caruana (2014), Do deep nets really need to be deep?, arXiv:1312.6184: regression on logits.
"""

from torch import Tensor

from lemmata.errors import InvalidInput


def mimic_targets(logits: Tensor, *, centred: bool = True) -> Tensor:
    """Targets (n, k) from logits (n, k): each sample's mean taken out, then divided by the root mean square of all.

    With ``centred=False`` the mean of all logits is taken out instead, which leaves the offsets of the samples in.
    Either way the largest logit of each sample stays the largest, as it would not if each *output's* mean over the
    samples were taken out: a student that regresses on logits so standardised must have the means added to its outputs
    again before it predicts. Raises `InvalidInput` for logits that are not (n, k), k > 1, and where nothing is left.

    >>> import torch
    >>> mimic_targets(torch.tensor([[3.0, 1.0], [0.0, 2.0]])).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    _check(logits)
    left = logits - (logits.mean(1, keepdim=True) if centred else logits.mean())
    scale = left.square().mean().sqrt()
    if not scale > 0:
        raise InvalidInput("logits that are constant, but for offsets, teach nothing; is the teacher trained?")
    return left / scale


def offset_share(logits: Tensor) -> Tensor:
    """The share of the variance of logits (n, k) over samples that is in the samples' means: a number in [0, 1].

    k Var m(z) / sum_j Var z_j. Raises `InvalidInput` for logits that are not (n, k) with k > 1.

    >>> import torch
    >>> float(offset_share(torch.tensor([[3.0, 1.0], [0.0, 2.0]])))
    0.20000000298023224
    """
    _check(logits)
    return logits.shape[1] * logits.mean(1).var(correction=0) / logits.var(0, correction=0).sum()


def _check(logits: Tensor) -> None:
    if logits.ndim != 2 or logits.shape[1] < 2 or not len(logits):
        raise InvalidInput(f"logits of shape {tuple(logits.shape)}; give (n, k), n samples of k > 1 classes")
