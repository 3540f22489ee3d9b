"""Make bbox_model.onnx and model.onnx from an installed deepbet (see README.md): ``python export.py``."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

_AXES = {2: "x", 3: "y", 4: "z"}


def export(weights: Path, target: Path) -> None:
    """Trace one TorchScript network and write it as ONNX, its weights stored as float16.

    Parameters
    ----------
    weights : Path
        A ``.pt`` file of deepbet.
    target : Path
        The ``.onnx`` file.
    """
    network = torch.jit.load(str(weights), map_location="cpu").eval()
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 64, 64, 64),),
        str(target),
        input_names=["image"],
        output_names=["probability"],
        dynamic_axes={"image": _AXES, "probability": _AXES},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(str(target))
    _halve(model.graph)
    onnx.checker.check_model(model)
    target.write_bytes(model.SerializeToString(deterministic=True))


def _halve(graph: onnx.GraphProto) -> None:
    """Store float32 weights as float16; a Cast, folded when the network is loaded, makes them float32 again."""
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


if __name__ == "__main__":
    source = Path(str(distribution("deepbet").locate_file("data"))) / "models"
    here = Path(__file__).resolve().parent
    for stem in ("bbox_model", "model"):
        export(source / f"{stem}.pt", here / f"{stem}.onnx")
