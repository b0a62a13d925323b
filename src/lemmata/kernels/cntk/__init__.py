"""Kernels of infinitely wide convolutional nets: the CNTK and the CNN-GP, exactly, for every readout."""

from lemmata.kernels.cntk.convolutional import Convolutional
from lemmata.kernels.cntk.kernel import cnn_gp, cntk

__all__ = ["Convolutional", "cnn_gp", "cntk"]
