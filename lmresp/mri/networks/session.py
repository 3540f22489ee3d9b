"""Load a network whose file is the one that was shipped, for one thread."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any


class NetworkUnavailableError(RuntimeError):
    """The network cannot run in this installation: onnxruntime or the weights are not there."""


@cache
def load(network: str, name: str) -> Any:
    """Open a network once per process.

    Parameters
    ----------
    network : str
        Folder beside this file; its ``SHA256SUMS`` lists the weights.
    name : str
        File of the network, ``.onnx``.

    Returns
    -------
    onnxruntime.InferenceSession
        On the CPU, one thread, so that the same input gives the same bytes.

    Raises
    ------
    NetworkUnavailableError
        If onnxruntime is not installed or the file is missing.
    ValueError
        If the file is not the one that was shipped: a broken installation, whose masks nobody measured.
    """
    try:
        import onnxruntime
    except ImportError:
        raise NetworkUnavailableError("onnxruntime is not installed") from None
    folder = files("lmresp.mri.networks").joinpath(network)
    if not folder.joinpath(name).is_file():
        raise NetworkUnavailableError(f"the weights {network}/{name} are not installed")
    weights = folder.joinpath(name).read_bytes()
    known = dict(line.split()[::-1] for line in folder.joinpath("SHA256SUMS").read_text(encoding="ascii").splitlines())
    if hashlib.sha256(weights).hexdigest() != known.get(name):
        raise ValueError(f"{network}/{name} is not the file that SHA256SUMS lists: install the package again")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_cpu_mem_arena = False  # it would keep the largest layer's memory for the rest of the process
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
