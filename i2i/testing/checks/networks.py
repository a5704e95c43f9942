"""Checks of generators, discriminators and feature networks."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from i2i.api import MaskInput, Translator
from i2i.components.inference import for_inference
from i2i.errors import ConfigError, PluginError, UserError
from i2i.export.onnx_file import write_onnx
from i2i.plugins.builder import Builder
from i2i.testing.subject import Check, Skipped, Subject, fail, failing_as

SIDE = 64
"""Height and width in pixels of the images with which networks are checked; larger if they need larger ones."""

CHANNELS = ((3, 3), (1, 3), (3, 1), (4, 3))
"""Channels in and out: colour, grey, and with alpha."""


def channels(subject: Subject) -> None:
    """Maps images of 1, 3 and 4 channels to images of 1 and 3, float32 and finite, of sizes that it can work with."""
    for into, out in CHANNELS:
        try:
            network = _generator(subject, into, out)
        except ConfigError as error:  # it says so itself
            if (into, out) == CHANNELS[0]:
                raise
            subject.notes.append(f"it cannot map {into} channels to {out}: {error}")
            continue
        with failing_as(f"built for {into} to {out} channels"):
            images = network(*_inputs(subject, network, into))
        side = _side(subject) * getattr(network, "scale", 1)
        if not isinstance(images, Tensor) or images.shape != (2, out, side, side):
            got = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            fail(f"built for {into} to {out} channels it must give {(2, out, side, side)}, not {got}")
        if images.dtype != torch.float32 or not torch.isfinite(images).all():
            fail(f"must give finite float32 values, not {images.dtype} from {images.min()} to {images.max()}")


def any_size(subject: Subject) -> None:
    """Works on every size that its attributes `multiple` and `minimum` allow."""
    network = _generator(subject, 3, 3).eval()
    if "image" not in getattr(network, "inputs", ("image",)):
        raise Skipped("it makes images from noise, of the size that it was built for")
    multiple, scale, minimum = (int(getattr(network, name, 1)) for name in ("multiple", "scale", "minimum"))
    height, width = (-(-max(minimum, 33) // multiple) * multiple + extra * multiple for extra in (0, 3))
    with failing_as(f"an image of {height}x{width}, with multiple = {multiple}"), torch.no_grad():
        made = network(*_inputs(subject, network, 3, (height, width)))
    if made.shape[2:] != (scale * height, scale * width):
        fail(
            f"{height}x{width} became {tuple(made.shape[2:])}: an attribute multiple says what sides must be divisible "
            "by, such as 8 for three halvings; other sizes are then padded and cropped back"
        )


def value_range(subject: Subject) -> None:
    """Gives values in [-1, 1], whatever its weights, unless it enlarges."""
    network = _generator(subject, 3, 3)
    if getattr(network, "scale", 1) > 1:
        raise Skipped("super-resolution networks may end in a convolution")
    outputs = [network(*_inputs(subject, network, 3)).detach()]
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(30)
    outputs.append(network(*_inputs(subject, network, 3)).detach())
    largest = max(float(output.abs().max()) for output in outputs)
    if largest > 1:
        fail(f"images are in [-1, 1], and it can give {largest:.3g}: end in a tanh or a clamp")
    if min(float(output.min()) for output in outputs) >= 0:
        fail("it never gives anything below 0, and images are in [-1, 1]: end in a tanh, not in a sigmoid")


def gradients(subject: Subject) -> None:
    """Every parameter gets a gradient."""
    if subject.kind == "generator":
        network = _generator(subject, 3, 3)
        output = network(*_inputs(subject, network, 3))
    else:
        network = _discriminator(subject, 3)
        output = network(*_judged(subject, network, 3))
    torch.stack([tensor.square().mean() for tensor in torch.utils._pytree.tree_leaves(output)]).sum().backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    if idle:
        fail(f"{', '.join(idle[:3])} have no part in the output: remove them, or freeze them by requires_grad_(False)")


def repeatable(subject: Subject) -> None:
    """The same seed gives the same weights, and evaluation mode the same output every time, image by image."""
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        network = _generator(subject, 3, 3)
        states.append(network.state_dict())
    if any(not torch.equal(states[0][key], states[1][key]) for key in states[0]):
        fail("two builds after torch.manual_seed differ: draw initial weights from torch's generator only")
    network.eval()
    inputs = _inputs(subject, network, 3)
    with torch.no_grad():
        once, again = network(*inputs), network(*inputs)
        alone = network(*(x[:1] for x in inputs))
    if not torch.allclose(once, again, rtol=0, atol=0, equal_nan=True):
        fail("two calls in evaluation mode differ: nothing may be drawn at random there")
    if not torch.allclose(once[:1], alone, atol=1e-4, equal_nan=True):
        fail("in evaluation mode an image's output depends on its batch: exported models promise that it does not")


def export(subject: Subject) -> None:
    """Exports to ONNX, and onnxruntime gives what torch gives, at two sizes."""
    network = for_inference(_generator(subject, 3, 3), image_statistics=False)
    names = tuple(getattr(network, "inputs", ("image",)))
    example = dict(zip(names, (x[:1] for x in _inputs(subject, network, 3)), strict=True))
    labels = ("0", "1") if "label" in names else ()
    translator = Translator(network, example, labels=labels, inputs={"mask": MaskInput()} if "mask" in names else {})
    write_onnx(subject.folder / "model.onnx", translator, "uint8", {"recipe": "check", "config_digest": "0"})


def encoder_features(subject: Subject) -> None:
    """Gives a list of feature maps ``(N, C, H, W)`` that depend on its weights, if it has a method `features`."""
    network: Any = _generator(subject, 3, 3)
    if not callable(getattr(network, "features", None)):
        raise Skipped("it has no method features")
    with failing_as("its method features"):
        maps = network.features(*_inputs(subject, network, 3))
    if not isinstance(maps, list) or not maps or not all(isinstance(x, Tensor) and x.ndim == 4 for x in maps):
        fail("features must return a list of feature maps (N, C, H, W)")
    if any(len(x) != 2 or not torch.isfinite(x).all() for x in maps):
        fail(f"features of two images must be two and finite, not {', '.join(str(tuple(x.shape)) for x in maps)}")
    if not all(x.requires_grad for x in maps):
        fail("features must keep their gradients: losses on them train the generator")


def logits(subject: Subject) -> None:
    """Gives finite logits without a sigmoid for images of 1, 3 and 6 channels, alone, in a tuple, or for each scale."""
    seen: list[Tensor] = []
    for seed, count in enumerate((3, 1, 6, 3, 3, 3)):
        torch.manual_seed(seed)
        try:
            network = _discriminator(subject, count)
        except ConfigError as error:  # it says so itself
            if count == 3:
                raise
            subject.notes.append(f"it cannot judge {count} channels: {error}")
            continue
        images, *rest = _judged(subject, network, count)
        for strength in (1, 1e5):
            with failing_as(f"images of {count} channels"):
                given = network(images * strength, *rest)
            for one in given if isinstance(given, list) else [given]:
                first = one[0] if isinstance(one, tuple) else one
                if not isinstance(first, Tensor) or first.dtype != torch.float32:
                    fail(f"must give float32 logits, or a tuple that begins with them, not {type(one).__name__}")
                if not torch.isfinite(first).all():
                    fail(f"its logits are not finite for images up to {strength:g}: leave log and sigmoid to the loss")
                seen.append(first.detach().flatten())
    if torch.cat(seen).min() >= 0 and torch.cat(seen).max() <= 1:
        fail("its output stays in [0, 1], however it begins: leave the sigmoid to the loss")


def feature_maps(subject: Subject) -> None:
    """Gives a list of finite feature maps, which gradients pass through unless it says `differentiable = False`."""
    network = _features(subject)
    differentiable = getattr(network, "differentiable", True)
    images = torch.rand(2, 3, SIDE, SIDE).mul(2).sub(1).requires_grad_(differentiable)
    with failing_as("images (2, 3, 64, 64)"):
        maps = network(images)
    if not isinstance(maps, list | tuple) or not all(isinstance(one, Tensor) for one in maps):
        fail(f"must give a list of feature maps, not {type(maps).__name__}")
    if not all(len(one) == 2 and torch.isfinite(one).all() for one in maps):
        fail("feature maps must be finite and have the batch first")
    if not differentiable:
        return
    torch.stack([one.square().mean() for one in maps]).sum().backward()
    if images.grad is None or not images.grad.any():
        fail("no gradient reaches the images: the perceptual loss would teach nothing")


def embedding(subject: Subject) -> None:
    """Gives each image's vector (N, D), and logits (N, classes) where it knows any, if it has a method `embed`."""
    network: Any = _features(subject)
    if not callable(getattr(network, "embed", None)):
        raise Skipped("it has no method embed")
    images = torch.rand(2, 3, SIDE, SIDE).mul(2).sub(1)
    with torch.no_grad(), failing_as("embed(images (2, 3, 64, 64))"):
        both, one = network.embed(images), network.embed(images[:1])
    if not isinstance(both, dict) or not {"features"} <= both.keys() <= {"features", "logits"}:
        fail("embed must return a dictionary with features, and maybe logits")
    for name, values in both.items():
        if not isinstance(values, Tensor) or values.ndim != 2 or len(values) != 2 or not values.is_floating_point():
            fail(f"{name} of two images must be floats (2, ...), not {tuple(getattr(values, 'shape', ()))}")
        if not torch.allclose(values[:1], one[name], rtol=1e-3, atol=1e-3 * float(values.abs().max())):
            fail(f"{name} of an image depend on the other images of the batch, or are not finite")


GENERATOR: Sequence[Check] = (channels, any_size, value_range, gradients, repeatable, encoder_features, export)
DISCRIMINATOR: Sequence[Check] = (logits, gradients)
FEATURES: Sequence[Check] = (feature_maps, embedding)


def _side(subject: Subject) -> int:
    """Height and width in pixels of the images with which a network is checked: the smallest it can be built for."""

    def smallest() -> int:
        for side in (SIDE, 128, 256):
            build = Builder(subject.plugins, (side, side))
            with contextlib.suppress(ConfigError):
                if subject.kind == "generator":
                    build.generator(subject.name, in_channels=3, out_channels=3, **_options(subject))
                else:
                    build.discriminator(subject.name, in_channels=3, **_options(subject))
                return side
        return SIDE

    return subject.once("side", smallest)


def _options(subject: Subject) -> dict[str, Any]:
    """The subject's options, and two classes if it is a network that takes labels."""
    classes = {"classes": 2} if "classes" in subject.component.config.model_fields else {}
    return classes | subject.options


def _features(subject: Subject) -> nn.Module:
    """The feature network; the check is skipped where it lacks something, such as weights."""
    try:
        return Builder(subject.plugins, (SIDE, SIDE)).features(subject.name, **subject.options)
    except (PluginError, ConfigError):
        raise
    except UserError as error:
        raise Skipped(str(error)) from error


def _generator(subject: Subject, into: int, out: int) -> nn.Module:
    """The generator, built for that many channels of its input and output."""
    build = Builder(subject.plugins, (_side(subject), _side(subject)))
    return build.generator(subject.name, in_channels=into, out_channels=out, **_options(subject))


def _discriminator(subject: Subject, count: int) -> nn.Module:
    """The discriminator, built for images of that many channels."""
    build = Builder(subject.plugins, (_side(subject), _side(subject)))
    return build.discriminator(subject.name, in_channels=count, **_options(subject))


def _inputs(subject: Subject, network: nn.Module, count: int, size: tuple[int, int] | None = None) -> list[Tensor]:
    """Tensors with which a generator is called to make two images, as its attribute `inputs` says."""
    torch.manual_seed(0)
    height, width = size or (_side(subject), _side(subject))
    known = {
        "image": torch.rand(2, count, height, width) * 2 - 1,
        "noise": torch.randn(2, getattr(network, "noise_length", count)),
        "label": torch.tensor([0, 1]),
        "mask": (torch.rand(2, 1, height, width) < 0.3).float(),
    }
    names = getattr(network, "inputs", ("image",))
    if unknown := [name for name in names if name not in known]:
        fail(f"its attribute inputs names '{unknown[0]}': there are {', '.join(known)}")
    return [known[name] for name in names]


def _judged(subject: Subject, network: nn.Module, count: int) -> list[Tensor]:
    """Tensors with which a discriminator is called to judge two images of that many channels."""
    torch.manual_seed(0)
    images = torch.rand(2, count, _side(subject), _side(subject)) * 2 - 1
    takes_label = "label" in getattr(network, "inputs", ("image",))
    known = inspect.signature(network.forward).parameters
    if len([p for p in known.values() if p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD]) > 1 + takes_label:
        fail('it asks for more than images: say what, by an attribute inputs = ("image", "label")')
    return [images, torch.tensor([0, 1])] if takes_label else [images]
