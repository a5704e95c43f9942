"""The hooks that a plugin may implement; each returns components and does nothing else.

A hook is called at most once a process. It must be quick, and must not need a device, a network connection or data.
Images are ``(N, C, H, W)`` float32 in [-1, 1], RGB, unless a hook says otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from i2i.api import Component

hookspec = pluggy.HookspecMarker("i2i")


@hookspec
def i2i_generators() -> Sequence[Component]:  # type: ignore[empty-body]
    """Networks that make images.

    ``build(config, *, in_channels, out_channels, size) -> nn.Module``; `size` is the (height, width) of the training
    images. The module maps ``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)`` in [-1, 1].

    Optional attributes of the module: ``multiple`` and ``minimum``, the number that height and width must be divisible
    by, and their least value; ``scale``, how many times larger the output is, for super-resolution; ``inputs``, the
    names of what it is called with when that is not one image, such as ``("noise", "label")``: `in_channels` is then
    the length of the noise ``(N, Z)``, and labels are integers ``(N,)``. A method ``features`` of the module, called
    as the module, returns a list of feature maps ``(N, C, H, W)`` of its encoder, for losses that compare them.
    """


@hookspec
def i2i_discriminators() -> Sequence[Component]:  # type: ignore[empty-body]
    """Networks that judge images.

    ``build(config, *, in_channels, size) -> nn.Module`` from images to logits of any shape, without a sigmoid, or to a
    tuple: the logits, then intermediate features. One that also takes a label says so by an attribute
    ``inputs = ("image", "label")``.
    """


@hookspec
def i2i_losses() -> Sequence[Component]:  # type: ignore[empty-body]
    """Losses: ``build(config) -> nn.Module`` whose call returns a float32 scalar, the mean over the batch.

    An adversarial loss is called as ``loss(player, real=logits, fake=logits)``, `player` being ``"discriminator"`` or
    ``"generator"``. The generator's call has `real` only if the loss has a true attribute ``compares``.

    A penalty on the discriminator is called as ``penalty(score, real=images, fake=images, ctx=context)``, `score` being
    the discriminator as a function of images. It says that it is one by an attribute ``penalty = True``; ``every``
    makes it lazy, computed in every n-th step only; ``per_image = True`` says that it looks at one image's gradient,
    which batch norm would mix with the others'.

    Any other loss is called by a recipe that knows it, usually as ``loss(output, target)`` with images.
    """


@hookspec
def i2i_features() -> Sequence[Component]:  # type: ignore[empty-body]
    """Feature networks for perceptual losses: ``build(config) -> nn.Module``, pretrained and never trained further.

    The module maps images ``(N, C, H, W)`` in [-1, 1] to a list of feature maps.
    """


@hookspec
def i2i_datasets() -> Sequence[Component]:  # type: ignore[empty-body]
    """Datasets: ``build(config, *, root, split, transform)`` returns an `i2i.Dataset`, or an object like one.

    `root` is the data folder or ``None`` for samples drawn by code, `split` is ``"train"`` or ``"val"``, `transform` is
    to be called once with each whole sample: a dictionary with some of ``source``, ``target``, ``label`` and
    ``target_label``; images are arrays ``(H, W, C)``, uint8, uint16 or float32 in [0, 1], and tensors are left as they
    are. A sample that cannot be read raises `i2i.DataError`; training goes on without it.

    An object needs ``__len__`` and ``__getitem__``; `i2i.Dataset` says what else it may have, and the defaults. A
    keyword ``read`` in the signature gets an `i2i.Reader`, and one ``scale`` gets ``data.scale``. A dataset whose
    `root` may be left out is drawn by code and serves trainings without data.
    """


@hookspec
def i2i_transforms() -> Sequence[Component]:  # type: ignore[empty-body]
    """Transforms: ``build(config)`` returns an `i2i.Transform`; it runs after resizing and cropping.

    One call sees the whole sample, so that a pair shares its random parameters. Random numbers come from
    ``numpy.random`` or ``random``, which i2i seeds for each sample.

    ``data.transform`` augments training samples. ``data.degrade`` comes last, in validation too, and makes the source
    out of the target where there is none; a keyword ``scale`` in the signature of its `build` gets ``data.scale``.
    """


@hookspec
def i2i_optimizers() -> Sequence[Component]:  # type: ignore[empty-body]
    """Optimisers: ``build(config, *, params) -> torch.optim.Optimizer`` of the parameters in the list `params`.

    The options must have ``lr``, the learning rate. The engine sets ``lr`` of every parameter group before each step:
    what the group had when it was built, times the factor of the schedule. ``step`` is called without a closure. All
    that the optimiser remembers must be in its ``state_dict``, as tensors and plain values.
    """


@hookspec
def i2i_schedules() -> Sequence[Component]:  # type: ignore[empty-body]
    """Schedules: ``build(config)`` returns a function ``(step, *, steps, epoch) -> float``.

    It gives the factor of the learning rate, finite and at least 0, at a step counted from 0 of a run of `steps` steps;
    `epoch` is the number of steps of one epoch, a `fractions.Fraction`. It must be a formula of these alone: a resumed
    run asks for the steps that are left.
    """


@hookspec
def i2i_metrics() -> Sequence[Component]:  # type: ignore[empty-body]
    """Metrics in the protocol of torchmetrics: ``build(config)`` returns an object with update, compute and reset.

    ``update(output, target)`` sees images ``(N, C, H, W)`` in [-1, 1]; `compute` returns a scalar. An attribute
    ``higher_is_better`` tells which of two values is the better one. A keyword ``scale`` in the signature of `build`
    gets ``data.scale``, by which super-resolution crops the border.

    With an attribute ``kind = "distribution"`` it compares sets of images, in any recipe that makes images: it has
    ``update_real(images)`` and ``update_fake(images)`` in place of `update`. With ``kind = "scores"`` it looks at the
    outputs alone, by `update_fake`. A keyword ``context`` in the signature of `build` gets an `i2i.MetricContext`.
    """


@hookspec
def i2i_recipes() -> Sequence[Component]:  # type: ignore[empty-body]
    """Training methods: ``build(config) -> i2i.Recipe``; the name is what ``i2i train NAME`` trains."""


@hookspec
def i2i_commands() -> Sequence[Component]:  # type: ignore[empty-body]
    """Commands of ``i2i run NAME``, such as interpolation: ``build(config)`` does all the work, and returns nothing.

    A field of the config without a default is an argument, any other one an option ``--field``; the docstring under it
    is its help. A keyword ``plugins`` in the signature gets what `i2i.load_networks` takes by that name.
    """


@hookspec
def i2i_backends() -> Sequence[Component]:  # type: ignore[empty-body]
    """Backends, which compute exported models: ``build(config) -> i2i.Backend``.

    The name is what ``i2i translate --backend NAME`` takes. All options must have defaults. A keyword ``plugins`` in
    the signature gets what `i2i.load_networks` takes by that name. i2i compares the results of
    the first image with onnxruntime's, and does not use a backend whose results are too far off.
    """


@hookspec
def i2i_trackers() -> Sequence[Component]:  # type: ignore[empty-body]
    """Trackers, which take the figures of a run elsewhere: ``build(config, *, run) -> i2i.Tracker``.

    `run` is an `i2i.TrackedRun`. The object has a method ``log(step, values)``; ``images(step, name, picture)``,
    ``text(step, name, text)`` and ``finish(done)`` may be left out. One is built in the first process only, after the
    first step. A tracker that fails, also when it is built, is left out with a warning, and the training goes on.
    """
