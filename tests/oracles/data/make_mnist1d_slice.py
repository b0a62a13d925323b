"""Cut a slice of the published MNIST-1D arrays (x, y, x_test, y_test): `python make_mnist1d_slice.py mnist1d.npz`.

The arrays are those of `mnist1d_data.pkl` in github.com/greydanus/mnist1d at 7878d96 (Apache-2.0); the package mnist1d
0.0.2.post1 makes them too. Kept: the first 64 training and 16 test signals as float64, and all 5,000 labels.
"""

import sys
from pathlib import Path

import numpy as np

with np.load(sys.argv[1], allow_pickle=False) as official:
    np.savez_compressed(
        Path(__file__).with_name("mnist1d_slice.npz"),
        x=official["x"][:64],
        x_test=official["x_test"][:16],
        y=official["y"],
        y_test=official["y_test"],
    )
