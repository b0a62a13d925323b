"""What a kernel says of labels: how complex they are to it, how fast descent fits them, how aligned it is with them."""

from lemmata.kernels.complexity.eigendirection_rates import EigendirectionRates, eigendirection_rates
from lemmata.kernels.complexity.label_complexity import LabelComplexity, label_complexity
from lemmata.kernels.complexity.label_projections import LabelProjections, label_projections
from lemmata.kernels.complexity.target_alignment import target_alignment
from lemmata.kernels.complexity.two_layer_gram import two_layer_gram

__all__ = [
    "EigendirectionRates",
    "LabelComplexity",
    "LabelProjections",
    "eigendirection_rates",
    "label_complexity",
    "label_projections",
    "target_alignment",
    "two_layer_gram",
]
