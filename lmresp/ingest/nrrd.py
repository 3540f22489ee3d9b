"""NRRD files: header and voxels, each within its limit.

Reference: "Definition of NRRD File Format" (teem.sourceforge.net/nrrd/format.html). Only what one volume of grey values
needs is read: three axes in a patient space, raw or gzip, in one file. A header that names another file for its voxels
is refused, as it could name any file of the machine; key/value pairs may hold names and are never read.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmresp.ingest.header import Header, limit
from lmresp.ingest.unreadable import UnreadableSeries
from lmresp.ingest.volume_header import header_problem, volume_header

SUFFIXES = (".nrrd", ".nhdr")
TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "f4": ("float",),
    "f8": ("double",),
}
SPACES = {  # patient space: signs that turn it into right-anterior-superior
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
}


def is_nrrd(path: str) -> bool:
    """Tell a NRRD file by its ending."""
    return path.lower().endswith(SUFFIXES)


def read_header(path: Path, relative: str) -> Header:
    """Read the facts of one NRRD file from its header and its name.

    Parameters
    ----------
    path : Path
        The file.
    relative : str
        Its path in the study, for the BIDS entities.

    Returns
    -------
    Header
        See :func:`~lmresp.ingest.volume_header.volume_header`.
    """
    try:
        shape, affine, dtype, _, _ = _grid(path)
    except UnreadableSeries as error:
        return Header(source="nrrd", kind="unreadable", problem=str(error))
    return volume_header("nrrd", shape, affine, dtype.itemsize, relative)


def read_volume(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Voxels, shape (i, j, k), and affine, shape (4, 4), voxel index to RAS+ world (mm), of a NRRD file.

    Raises
    ------
    UnreadableSeries
        If the file is damaged, is no volume in a patient space or claims more than the limits.
    """
    shape, affine, dtype, encoding, start = _grid(path)
    problem = header_problem(shape, affine, dtype.itemsize)
    if problem:
        raise UnreadableSeries(problem)
    size = math.prod(shape) * dtype.itemsize
    try:
        with open(path, "rb") as handle:
            handle.seek(start)
            if encoding == "raw":
                content = handle.read(size)
            else:
                with gzip.GzipFile(fileobj=handle) as unpacked:
                    content = unpacked.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise UnreadableSeries(f"the image data are cut short or damaged ({type(error).__name__})") from None
    if len(content) < size:
        raise UnreadableSeries("the image data are cut short or damaged")
    return np.frombuffer(content, dtype).reshape(shape, order="F"), affine


def _grid(path: Path) -> tuple[tuple[int, ...], NDArray[np.float64], np.dtype[Any], str, int]:
    """Shape, affine, type and encoding of the voxels, and where they begin (bytes)."""
    fields, start = _fields(path)
    _check_one_file(fields)
    kind = next((k for k, names in TYPES.items() if fields.get("type", "").lower() in names), "")
    if not kind:
        raise UnreadableSeries(f"voxels of type {fields.get('type', 'unknown')[:20]} are not read")
    encoding = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}.get(fields.get("encoding", "").lower(), "")
    if not encoding:
        raise UnreadableSeries("the encoding is neither raw nor gzip")
    order = {"little": "<", "big": ">"}.get(fields.get("endian", "").lower(), "|" if kind in ("i1", "u1") else "")
    if not order:
        raise UnreadableSeries("the header does not give the byte order")
    signs = SPACES.get(fields.get("space", "").lower())
    if signs is None:
        raise UnreadableSeries("the header names no patient space (such as left-posterior-superior)")
    try:
        shape = tuple(int(n) for n in fields.get("sizes", "").split())
        axes = [_vector(v) for v in re.findall(r"\([^)]*\)", fields.get("space directions", ""))]
        origin = _vector(fields.get("space origin", ""))
    except ValueError:
        raise UnreadableSeries("sizes, directions or origin are not numbers") from None
    if len(shape) != 3 or len(axes) != 3:
        raise UnreadableSeries("sizes or directions do not fit three axes in space")
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = np.stack(axes, axis=1), origin
    return shape, np.diag([*signs, 1.0]) @ affine, np.dtype(order + kind), encoding, start


def _check_one_file(fields: dict[str, str]) -> None:
    """Refuse a header whose voxels are not all the rest of its file, or lie in no space of three axes in mm."""
    if "data file" in fields or "datafile" in fields:
        raise UnreadableSeries("its voxels lie in another file; only NRRD in one file is read")
    if any(fields.get(name, "0") != "0" for name in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise UnreadableSeries("the header skips a part of the data")
    if fields.get("dimension", "") != "3":
        raise UnreadableSeries(f"the image has {fields.get('dimension', 'unknown')[:8]} axes, not 3 in space")
    units = re.findall(r'"([^"]*)"', fields.get("space units", ""))
    if any(unit not in ("mm", "") for unit in units):
        raise UnreadableSeries("lengths are not in mm")


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields of the header by lower-case name, and where the data begin (bytes)."""
    try:
        with open(path, "rb") as handle:
            text = handle.read(limit("limits", "max_nrrd_header"))
    except OSError as error:
        raise UnreadableSeries(error.strerror or type(error).__name__) from None
    if re.match(rb"NRRD000[1-5]\r?\n", text) is None:
        raise UnreadableSeries("damaged header (no NRRD)")
    end = re.search(rb"\r?\n\r?\n", text)
    if end is None:
        raise UnreadableSeries("its header has no end: the voxels lie in another file, or it is cut short")
    fields = {}
    for line in text[: end.start()].decode("latin-1").splitlines()[1:]:
        name, found, value = line.partition(": ")
        if found and not line.startswith("#") and ":=" not in line.split(": ")[0]:
            fields[name.strip().lower()] = value.strip()
    return fields, end.end()


def _vector(text: str) -> NDArray[np.float64]:
    """Vector of the form ``(x,y,z)``."""
    values = [float(v) for v in text.strip().strip("()").split(",")]
    if len(values) != 3:
        raise ValueError("not three numbers")
    return np.array(values)
