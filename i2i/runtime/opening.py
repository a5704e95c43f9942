"""Opening an exported file with the backend that is to compute it."""

from __future__ import annotations

from pathlib import Path

from i2i.errors import UserError
from i2i.files import printable
from i2i.runtime.computing.backend import OpenedGraph
from i2i.runtime.computing.onnx_runtime import OnnxRuntimeGraph
from i2i.runtime.computing.runner import Runner
from i2i.runtime.computing.session import open_for_signature, open_session
from i2i.runtime.computing.verified import Candidates, VerifiedGraph
from i2i.runtime.network import ExportedNetwork
from i2i.runtime.signature import input_nodes, read_metadata


def open_network(file: Path, candidates: Candidates, known_as: str = "") -> ExportedNetwork:
    """Opens an exported file.

    Args:
        file: an ONNX file.
        candidates: the backends that may compute it; without one, onnxruntime does, in float32.
        known_as: the file's verdict, where it is known; see `i2i.runtime.computing.verified.VerifiedGraph`.

    Returns:
        The network; the notes of its `runner` say what is not as it was asked for.

    Raises:
        ModelError: no ONNX file, or none that i2i exported.
        UserError: the device is unknown.
    """
    opening = candidates.opening
    try:
        if not candidates.backends:
            session, note = open_session(file, opening.device, threads=opening.threads)
            graph: OpenedGraph = OnnxRuntimeGraph(session, note)
            graph.notes.extend(candidates.notes)
            inputs, info = input_nodes(session), read_metadata(session)
        else:
            session = open_for_signature(file)
            inputs, info = input_nodes(session), read_metadata(session)
            graph = VerifiedGraph(file, candidates, info, known_as)
        return ExportedNetwork(Runner(graph, inputs, file, threads=opening.threads), info)
    except UserError as error:
        raise type(error)(error.reason, kind=error.kind, path=printable(file)) from error
