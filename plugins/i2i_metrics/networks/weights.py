"""Weights from files: fetched, checked by digest, and loaded strictly."""

from __future__ import annotations

import contextlib
import hashlib
import pickle
import sys
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import i2i


def find_weights(weights: str, url: str, what: str) -> Path:
    """The file with a network's weights; it is downloaded once.

    Args:
        weights: a file, or ``download``.
        url: where the file is; its name ends in the beginning of its SHA-256, which is checked.
        what: the network's name, for messages.

    Raises:
        i2i.ModelError: it is not there and cannot be downloaded; the line says where it belongs.
    """
    if weights != "download":
        return Path(weights).expanduser()
    folder, _, name = url.rpartition("/")
    file = cached_file(url)
    if file.exists():
        return file
    try:
        with contextlib.redirect_stdout(sys.stderr):  # torch announces the download there
            torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, HTTPException, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        cause = getattr(error, "reason", error)
        reason = getattr(cause, "strerror", None) or "no connection, or the server sent another file"
        raise i2i.ModelError(
            f"the weights of {what} are missing and could not be downloaded ({reason}): "
            f"put {name} of {folder} into {file.parent}, or name the file with weights=FILE"
        ) from error
    return file


def cached_file(url: str) -> Path:
    """Where torch keeps the file of an address once it is downloaded."""
    return Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2])


def file_digest(file: Path, what: str, expected: str = "") -> str:
    """SHA-256 of a file, in hexadecimal.

    Args:
        file: the file.
        what: what it should hold, for messages.
        expected: the digest that it must have, or the beginning of it; empty: any.

    Raises:
        i2i.ModelError: the file cannot be read, or has another digest.
    """
    try:
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        reason = error.strerror or "the system gives no reason"
        raise i2i.ModelError(f"cannot be read, for {what}: {reason}", path=str(file)) from error
    if not digest.startswith(expected.lower()):
        raise i2i.ModelError(
            f"its SHA-256 begins with {digest[:16]}, and {what} should be {expected[:16]}: another or a damaged file",
            path=str(file),
        )
    return digest


def read_state(file: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a file that `torch.save` wrote, by name.

    Args:
        file: the file.
        what: what it should hold, for messages.

    Raises:
        i2i.ModelError: it holds something else, or is damaged.
    """
    problem = f"not a file of {what}, or damaged"
    try:
        state: Any = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise i2i.ModelError(problem, path=str(file)) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise i2i.ModelError(problem, path=str(file))
    return dict(state)


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], file: Path, what: str) -> None:
    """Loads weights into a module that may still be on the meta device.

    Args:
        module: gets the weights; what `state` has besides is left alone.
        state: tensors by name.
        file: where they are from, for messages.
        what: the network's name, for messages.

    Raises:
        i2i.ModelError: a weight is missing or has another shape.
    """
    for name, wanted in module.state_dict().items():
        if name not in state and name.endswith("num_batches_tracked"):
            continue
        found = tuple(state[name].shape) if name in state else "missing"
        if found != tuple(wanted.shape):
            raise i2i.ModelError(
                f"not the weights of {what}: {name} is {found}, and should be {tuple(wanted.shape)}", path=str(file)
            )
    counters = {name: torch.zeros((), dtype=torch.int64) for name in module.state_dict() if name not in state}
    module.load_state_dict({name: state.get(name, counters.get(name)) for name in module.state_dict()}, assign=True)
