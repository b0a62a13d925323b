"""What each elementary operation does to dependence on a parameter, for `lemmata.curvature.piecewise_linear`.

Operations are those of ATen, by name without namespace, overload and the underscore of the variant in place. An
operation that is in none of these tables is one of which nothing is assumed.
"""

from dataclasses import dataclass

# Linear, or a selection among linear pieces, in all its floating-point arguments jointly: the outputs are piecewise
# linear wherever the arguments are. Views, sums and means, and what picks or bounds entries by comparing them.
JOINTLY_PIECEWISE_LINEAR = frozenset(
    """
    _reshape_alias _unsafe_view alias as_strided clone contiguous detach diagonal expand expand_as flatten
    lift_fresh movedim narrow permute reshape select slice split split_with_sizes unsafe_split squeeze swapaxes
    t transpose unbind unflatten unfold unsqueeze view view_as _to_copy to copy
    cat chunk diag_embed diag flip gather im2col col2im index index_add index_copy index_put _unsafe_index
    index_select masked_fill masked_scatter masked_select pixel_shuffle pixel_unshuffle channel_shuffle repeat
    repeat_interleave roll rot90 scatter scatter_add select_scatter slice_scatter stack take tril triu embedding
    where
    add sub rsub neg fill sum mean cumsum trace positive
    constant_pad_nd pad reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d
    replication_pad3d
    avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d _adaptive_avg_pool2d adaptive_avg_pool2d
    _adaptive_avg_pool3d adaptive_avg_pool3d upsample_nearest1d upsample_nearest2d upsample_nearest3d
    upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d
    relu relu6 leaky_relu threshold hardtanh hardsigmoid hardshrink softshrink abs clamp clamp_min clamp_max
    maximum minimum fmax fmin max min amax amin aminmax sort topk median kthvalue cummax cummin
    max_pool1d max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
    """.split()  # noqa: SIM905
)

# Constant wherever they are differentiable: a step, or a fresh tensor that takes only shape and type from its argument.
PIECEWISE_CONSTANT = frozenset(
    """
    sign sgn floor ceil round trunc heaviside zeros_like ones_like empty_like full_like new_zeros new_ones
    new_empty new_empty_strided new_full zero argmax argmin
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Product:
    """Linear in each of `factors` while the others stand still; `constants` may not depend on a parameter at all.

    Every other floating-point argument is added to the product, as a bias is.
    """

    factors: tuple[str, ...]
    constants: tuple[str, ...] = ()


_PAIR = Product(("self", "other"))
_MATRICES = Product(("self", "mat2"))
_CONVOLUTION = Product(("input", "weight"))
_NORMALISATION = Product(("input", "weight"), ("running_mean", "running_var"))
PRODUCTS = {
    "mul": _PAIR,
    "div": Product(("self",), ("other",)),
    "mm": _MATRICES,
    "bmm": _MATRICES,
    "matmul": _PAIR,
    "mv": Product(("self", "vec")),
    "dot": Product(("self", "tensor")),
    "outer": Product(("self", "vec2")),
    "addmm": Product(("mat1", "mat2")),
    "addmv": Product(("mat", "vec")),
    "baddbmm": Product(("batch1", "batch2")),
    "addcmul": Product(("tensor1", "tensor2")),
    "linear": _CONVOLUTION,
    "_trilinear": Product(("i1", "i2", "i3")),
    "convolution": _CONVOLUTION,
    "_convolution": _CONVOLUTION,
    "mkldnn_convolution": Product(("self", "weight")),
    "prelu": Product(("self", "weight")),
    "_prelu_kernel": Product(("self", "weight")),
    "native_batch_norm": _NORMALISATION,
    "cudnn_batch_norm": _NORMALISATION,
    "miopen_batch_norm": _NORMALISATION,
    "_native_batch_norm_legit_no_training": _NORMALISATION,
    "_native_batch_norm_legit": _NORMALISATION,
}

# With statistics of the batch, normalisation divides by what depends on its input.
BATCH_STATISTICS = Product((), ("input",))
