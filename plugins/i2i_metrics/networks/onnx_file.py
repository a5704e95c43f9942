"""Networks in ONNX files: as features, segmenters and classifiers. onnxruntime computes them, without gradients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import i2i
from i2i_metrics.networks.weights import file_digest
from i2i_metrics.options import OnnxConfig
from i2i_metrics.preparing import RESIZE, as_colour, resized


class OnnxNetwork:
    """A network from images to one output.

    Args:
        config: the file, and how images are prepared for it.
        what: what the file is for, in messages.

    Attributes:
        protocol: the file's name without ending, its digest, and the resizing.

    Raises:
        i2i.ModelError: there is no such file, it is no ONNX file, or takes or gives something else.
    """

    def __init__(self, config: OnnxConfig, what: str) -> None:
        import onnxruntime

        if not config.path:
            raise i2i.ModelError(f"{what} is in an ONNX file: say which by the option path=FILE.onnx")
        self.file = Path(config.path).expanduser()
        digest = file_digest(self.file, what, config.sha256)
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level, settings.intra_op_num_threads = 3, torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(self.file, settings, providers=["CPUExecutionProvider"])
        except Exception as error:  # its classes of errors are those of a private module
            raise i2i.ModelError(f"not an ONNX file that onnxruntime opens, for {what}", path=str(self.file)) from error
        self._output = self._checked_output(config.output)
        self._batched, size = self._checked_input()
        self._size = config.size or size
        self._mean, self._std = (torch.tensor(values).view(1, 3, 1, 1) for values in (config.mean, config.std))
        resize = f"{RESIZE}, {self._size}" if self._size else "none"
        self.protocol = {"network": self.file.stem, "digest": digest, "resize": resize}

    def __call__(self, images: Tensor) -> Tensor:
        """The output for images ``(N, 3, H, W)`` in [-1, 1], or of one channel, which is repeated; on the CPU.

        Raises:
            i2i.ModelError: the network fails, or gives another number of rows than there are images.
        """
        prepared = ((resized(as_colour(images.cpu().float()), self._size) + 1) / 2 - self._mean) / self._std
        rows = []
        for part in (prepared,) if self._batched else prepared.split(1):
            feeds = {self._input: np.ascontiguousarray(part.numpy())}
            try:
                rows.append(torch.from_numpy(self._session.run([self._output], feeds)[0]))
            except Exception as error:  # its classes of errors are those of a private module
                shape = "x".join(map(str, part.shape[2:]))
                raise i2i.ModelError(
                    f"fails for images of {shape}: set the option size", path=str(self.file)
                ) from error
        result = torch.cat(rows)
        if len(result) != len(images):
            raise i2i.ModelError(f"{self._output} has {len(result)} rows for {len(images)} images", path=str(self.file))
        return result

    def _checked_output(self, name: str) -> str:
        names = [output.name for output in self._session.get_outputs()]
        if name and name not in names:
            raise i2i.ModelError(f"has no output {name}; there are: {', '.join(names)}", path=str(self.file))
        return name or names[0]

    def _checked_input(self) -> tuple[bool, int | None]:
        """Whether it takes batches, and the side of the images that it takes; None if any."""
        inputs = self._session.get_inputs()
        first = inputs[0]
        shape = first.shape or []
        if (
            len(inputs) != 1
            or first.type != "tensor(float)"
            or len(shape) != 4
            or (shape[1] not in (3, None) and isinstance(shape[1], int))
        ):
            found = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
            raise i2i.ModelError(
                f"must take images (N, 3, H, W) of float32 and nothing else, not {found}", path=str(self.file)
            )
        self._input = first.name
        sides = shape[2:]
        fixed = all(isinstance(side, int) for side in sides)
        if fixed and sides[0] != sides[1]:
            raise i2i.ModelError(
                f"takes images of {sides[0]}x{sides[1]}, and must take square ones", path=str(self.file)
            )
        return not isinstance(shape[0], int), sides[0] if fixed else None


class OnnxFeatures(nn.Module):
    """The output of an ONNX file as features: vectors ``(N, D)``, or feature maps, which are averaged over the pixels.

    Args:
        config: the file, and how images are prepared for it.

    Attributes:
        differentiable: False; metrics use it, losses cannot.
        protocol: the file's name without ending, its digest, and the resizing.
    """

    differentiable = False

    def __init__(self, config: OnnxConfig) -> None:
        super().__init__()
        self.compute = OnnxNetwork(config, "the feature network")
        self.protocol = self.compute.protocol

    def forward(self, images: Tensor) -> list[Tensor]:
        """The output as one feature map ``(N, D, H, W)``; vectors are maps of one pixel.

        Raises:
            i2i.ModelError: gradients are wanted, or the output has another shape.
        """
        if torch.is_grad_enabled() and images.requires_grad:
            raise i2i.ModelError(
                "computes no gradients: it is for metrics, not for losses", path=str(self.compute.file)
            )
        given = self.compute(images)
        if given.ndim not in (2, 4) or not given.is_floating_point():
            shape = tuple(given.shape)
            raise i2i.ModelError(f"gives {shape}, not features (N, D) or (N, D, H, W)", path=str(self.compute.file))
        return [given if given.ndim == 4 else given[:, :, None, None]]
