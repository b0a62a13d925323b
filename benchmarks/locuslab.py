"""The certification loop of locuslab/smoothing (2019), written anew from its description, to be measured against.

The repository cannot be installed (it imports a function that SciPy removed, and its device is fixed to CUDA), so its
algorithm stands here, step by step as it describes it: one image at a time, batches of 1,000 copies of it plus
`randn_like` noise, the model as it is, the argmax brought to NumPy and counted in a Python loop, the Clopper-Pearson
bound of statsmodels.
"""

from math import ceil

import numpy as np
import torch
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint
from torch import Tensor, nn

NAME = "locuslab/smoothing's loop"
BATCH = 1000  # the default of its scripts


class Smooth:
    """A smoothed classifier: counts, and the certificate from them."""

    def __init__(self, base_classifier: nn.Module, num_classes: int, sigma: float):
        self.base_classifier, self.num_classes, self.sigma = base_classifier, num_classes, sigma

    def certify(self, x: Tensor, n0: int, n: int, alpha: float, batch_size: int = BATCH) -> tuple[int, float]:
        """Class and l2 radius of one image x (1, ...), or (-1, 0.0)."""
        selection = self.sample_noise(x, n0, batch_size)
        chosen = int(selection.argmax())
        hits = int(self.sample_noise(x, n, batch_size)[chosen])
        lower = proportion_confint(hits, n, alpha=2 * alpha, method="beta")[0]
        return (chosen, self.sigma * norm.ppf(lower)) if lower >= 0.5 else (-1, 0.0)

    def sample_noise(self, x: Tensor, num: int, batch_size: int = BATCH) -> np.ndarray:
        """Votes (classes,) of `num` noisy copies of x."""
        counts = np.zeros(self.num_classes, dtype=int)
        with torch.no_grad():
            for _ in range(ceil(num / batch_size)):
                this = min(batch_size, num)
                num -= this
                batch = x.repeat((this, 1, 1, 1))
                noise = torch.randn_like(batch) * self.sigma
                predictions = self.base_classifier(batch + noise).argmax(1)
                counts += self._counted(predictions.cpu().numpy())
        return counts

    def _counted(self, predictions: np.ndarray) -> np.ndarray:
        counts = np.zeros(self.num_classes, dtype=int)
        for prediction in predictions:
            counts[prediction] += 1
        return counts
