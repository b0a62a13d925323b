"""Lets auto_LiRPA 0.3 run on a torch later than the one that it asks for; import it before auto_LiRPA.

It reads models through private parts of torch.onnx that have moved since torch 1.12. They are put where it looks for
them; of auto_LiRPA itself nothing is changed but a signature that torch has extended.
"""

import torch
import torch._C._onnx as onnx
import torch.onnx.symbolic_helper
import torch.onnx.utils
from torch.onnx._internal.torchscript_exporter import utils as exporter
from torch.onnx._internal.torchscript_exporter._globals import GLOBALS


def _set_opset_version(version):
    GLOBALS._export_onnx_opset_version = version


def _optimize_graph(graph, operator_export_type, params_dict=None, **rest):
    GLOBALS.operator_export_type = operator_export_type
    return exporter._optimize_graph(graph, operator_export_type, params_dict=params_dict, **rest)


torch.onnx.symbolic_helper._set_opset_version = _set_opset_version
torch.onnx.utils._optimize_graph = _optimize_graph
torch.onnx.OperatorExportTypes = onnx.OperatorExportTypes
torch._C.Node.__getitem__ = lambda self, key: getattr(self, self.kindOf(key))(key)

import auto_LiRPA  # noqa: E402

_named = auto_LiRPA.BoundedModule._named_members


def _named_members(self, get_members_fn, prefix="", recurse=True, **rest):
    del rest  # remove_duplicate, which torch 2 passes
    return _named(self, get_members_fn, prefix, recurse)


auto_LiRPA.BoundedModule._named_members = _named_members
