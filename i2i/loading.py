"""`i2i.load`: an exported model, and the backend that computes it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, get_args

from i2i.errors import UserError
from i2i.runtime.computing.backend import Opening, Precision
from i2i.runtime.computing.session import DEVICES
from i2i.runtime.computing.verified import Candidates
from i2i.translate.model import Model
from i2i.translate.model import load as load_with

if TYPE_CHECKING:
    from i2i.plugins import Plugins


def load(
    path: str | os.PathLike[str],
    *,
    translator: str | None = None,
    device: str = "auto",
    check: bool = False,
    backend: str = "auto",
    precision: Precision = "exact",
    threads: int | None = None,
    plugins: Plugins | None = None,
) -> Model:
    """Loads an exported model.

    Args:
        path: an ``.onnx`` file, or a run folder with ``model.onnx`` or several ``model.NAME.onnx``.
        translator: which of several to take, such as ``AtoB``.
        device: ``cpu``, ``cuda``, ``tensorrt``, or ``auto``: CUDA where it works. A device that does not work is
            replaced by the next best one; `Model.notes` says so.
        check: try the file in a process of its own first, with limits of time and memory, as the command line does:
            for files from strangers.
        backend: what computes: ``onnxruntime``, ``openvino``, ``torch``, or another one that a plugin gives. ``auto``:
            onnxruntime, or with the precision ``fast`` the quickest one that is installed.
        precision: ``exact``: float32; results differ by 1/255 at most from backend to backend. ``fast``: also bfloat16
            and float16, if the first image shows that the result stays close enough, as `i2i.runtime.computing.parity`
            says; if it does not, all is computed exactly, and `Model.notes` says so.
        threads: number of threads that compute; None: one for each core.
        plugins: where backends are looked up; by default the installed plugins.

    Returns:
        The model, ready to translate or to generate.

    Raises:
        ModelError: there is no model, or several and `translator` names none; the file is no ONNX file that i2i
            exported; or it failed the check.
        PluginError: no plugin gives the backend.
        UserError: `device` or `precision` is unknown, `threads` is below 1, or the backend cannot be used here.

    Example:
        >>> import i2i
        >>> model = i2i.load("model.onnx", device="cpu")
        >>> model.scale, model.channels, model.provider
        (2, (3, 3), 'CPUExecutionProvider')
    """
    candidates = find_candidates(plugins, backend, Opening(device, precision, threads))
    return load_with(path, translator=translator, check=check, candidates=candidates)


def find_candidates(plugins: Plugins | None, backend: str, opening: Opening) -> Candidates:
    """The backends that may compute a model; none where onnxruntime computes it in float32.

    Args:
        plugins: where backends are looked up; None: the installed plugins.
        backend: a name, or ``auto``.
        opening: device, precision and threads.

    Raises:
        PluginError: no plugin gives the backend.
        UserError: an option is out of range, or the backend cannot be used here.
    """
    if opening.precision not in get_args(Precision):
        raise UserError(f"the precision is {' or '.join(get_args(Precision))}, not {opening.precision!r}")
    count = 1 if opening.threads is None else opening.threads
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UserError(f"threads is a whole number from 1, not {opening.threads!r}")
    if not isinstance(backend, str):
        raise UserError(f"the backend is a name, not {backend!r}")
    if opening.device not in DEVICES:
        raise UserError(f"unknown device {opening.device!r}; known are {', '.join(DEVICES)}")
    if opening.precision == "exact" and backend in ("auto", "onnxruntime"):
        return Candidates({}, opening, timed=False)  # without the time that finding plugins takes
    from i2i.plugins import Plugins
    from i2i.plugins.backends import build_backend, problem_of

    plugins = plugins or Plugins()
    if backend == "auto":
        return _automatic(plugins, opening)
    found = build_backend(plugins, backend)
    if problem := problem_of(found, opening, plugins.full_name("backend", backend)):
        raise UserError(f"the backend '{backend}' cannot be used: {problem}")
    return Candidates({backend: found}, opening, timed=False)


def _automatic(plugins: Plugins, opening: Opening) -> Candidates:
    """All backends that can be used and may be chosen without being asked for; a note for each that is broken."""
    from i2i.plugins.backends import build_backend, problem_of

    usable, notes = {}, []
    for name in plugins.table("backend"):
        try:
            backend = build_backend(plugins, name)
            if backend.automatic and not problem_of(backend, opening, plugins.full_name("backend", name)):
                usable[name] = backend
        except UserError as error:  # somebody else's, or a name that two plugins give
            notes.append(f"left out: {error}")
    if not usable:
        notes.append("computed exactly: no faster backend can be used here; i2i doctor lists them")
    return Candidates(usable, opening, timed=True, notes=tuple(notes))
