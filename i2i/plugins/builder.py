"""Builds components by name: what `Recipe.networks` gets as `build`."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from i2i.api import Choice, Component, Config, MetricContext, Recipe, TrackedRun, Tracker
from i2i.errors import ConfigError, PluginError, attributed_to
from i2i.extras import missing_extra
from i2i.kinds import ValueKind
from i2i.plugins.names import nearest
from i2i.plugins.registry import Plugins

if TYPE_CHECKING:
    from torch import Tensor, nn, optim


FrozenLoader = Callable[[Plugins, "str | os.PathLike[str]", str | None, str], "tuple[nn.Module, str]"]
"""Loads another model's network, given plugins and the arguments of `i2i.api.Build.frozen`; with a digest of it."""

METRIC_METHODS = {
    "pair": ("update", "compute", "reset"),
    "distribution": ("update_real", "update_fake", "compute", "reset"),
    "scores": ("update_fake", "compute", "reset"),
}
"""What a metric's attribute `kind` may be, and the methods that such a metric has."""

MODULES = ("generator", "discriminator", "loss", "features")
"""Kinds of components that are torch modules."""


@dataclass(frozen=True)
class Built:
    """A torch module that was built by name, and for which images.

    Attributes:
        kind: kind of component, such as ``generator``.
        who: the component's name in messages: with its plugin, distribution and version.
        module: the module that the component's `build` returned.
        size: (height, width) of the images for which it was built.
        out_channels: channels of the images that a generator makes; 0 for other kinds.
    """

    kind: str
    who: str
    module: nn.Module
    size: tuple[int, int]
    out_channels: int = 0


def imported_builder(component: Component, who: str) -> Callable[..., Any]:
    """The class or function that builds a component; its module is imported if it was not yet.

    Args:
        component: the component.
        who: its name in messages.

    Raises:
        PluginError: it cannot be imported.
        MissingExtraError: it needs a package of an extra that is not installed.
    """
    with attributed_to(f"{who} cannot be built"):
        try:
            return component.builder
        except ModuleNotFoundError as error:
            raise missing_extra(error) or error from error


def build_recipe(plugins: Plugins, name: str, config: Config) -> Recipe:
    """Builds a recipe.

    Args:
        plugins: where the name is looked up.
        name: the recipe's name.
        config: its options, an instance of its component's `Config`.

    Raises:
        PluginError: no plugin gives it, it cannot be built, or what is built is no recipe.
    """
    who = plugins.full_name("recipe", name)
    build = imported_builder(plugins.get("recipe", name), who)
    with attributed_to(who):
        recipe = build(config)
    if not isinstance(recipe, Recipe):
        raise PluginError(f"{who}: must build an i2i.Recipe, not a {type(recipe).__name__}")
    needs = recipe.needs
    if isinstance(needs, str) or not isinstance(needs, Collection) or not all(isinstance(key, str) for key in needs):
        raise PluginError(f"{who}: needs must be a set of names, such as {{'source', 'target'}}, not {recipe.needs!r}")
    return recipe


class Builder:
    """Builds components by name: what recipes get as `i2i.api.Build`, and metrics and transforms besides.

    Args:
        plugins: where names are looked up.
        size: (height, width) of the training images, passed on to networks.
        labels: names of the data's classes, in the order of their numbers.
        inference: build no feature networks and load no frozen ones, which only losses use.
        load_frozen: loads another model's network; needed where recipes build their networks for training.

    Attributes:
        built: the torch modules built so far.
        teachers: digests of the networks of other models that were loaded, in their order.
    """

    def __init__(
        self,
        plugins: Plugins,
        size: tuple[int, int],
        labels: Sequence[str] = (),
        *,
        inference: bool = False,
        load_frozen: FrozenLoader | None = None,
    ) -> None:
        self.plugins, self.size, self.labels, self.inference = plugins, size, tuple(labels), inference
        self._load_frozen = load_frozen
        self.built: list[Built] = []
        self.teachers: list[str] = []

    def generator(
        self,
        name: str | Choice,
        *,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int] | None = None,
        inputs: tuple[str, ...] | None = None,
        **options: Any,
    ) -> nn.Module:
        """Builds a generator, as `i2i.api.Build.generator` describes it.

        Raises:
            ConfigError: an option is unknown or does not fit, or the network cannot be built for that size, takes
                something else than `inputs`, or enlarges images although no option ``scale`` asks for it.
            PluginError: no plugin gives a generator of that name, or the one that does fails.
        """
        module: nn.Module = self._build(
            "generator", name, options, in_channels=in_channels, out_channels=out_channels, size=size or self.size
        )
        takes = tuple(getattr(module, "inputs", ("image",)))
        wrong = ""
        if inputs and takes != inputs:
            wrong = f"makes images of {' and '.join(takes)}, here it would get {' and '.join(inputs)}: choose another"
        elif inputs and (scale := getattr(module, "scale", 1)) != options.get("scale", 1):
            wrong = f"makes images {scale} times as large, which nothing here asks for: set its scale=1, or another"
        if wrong:
            raise ConfigError(f"generator '{name.name if isinstance(name, Choice) else name}' {wrong}")
        return module

    def discriminator(
        self, name: str | Choice, *, in_channels: int, size: tuple[int, int] | None = None, **options: Any
    ) -> nn.Module:
        """Builds a discriminator, as `i2i.api.Build.discriminator` describes it."""
        return self._build("discriminator", name, options, in_channels=in_channels, size=size or self.size)

    def loss(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a loss, as `i2i.api.Build.loss` describes it."""
        return self._build("loss", name, options)

    def features(self, name: str | Choice, **options: Any) -> nn.Module:
        """Builds a feature network, frozen and unsaved, as `i2i.api.Build.features` describes it."""
        from i2i.plugins.absent import AbsentNetwork

        return AbsentNetwork() if self.inference else _frozen(self._build("features", name, options))

    def frozen(self, path: str | os.PathLike[str], network: str | None = None, checkpoint: str = "best") -> nn.Module:
        """Loads another model's network, frozen and unsaved, as `i2i.api.Build.frozen` describes it."""
        from i2i.plugins.absent import AbsentNetwork

        if self.inference:
            return AbsentNetwork()
        assert self._load_frozen is not None, "this builder is not for the networks of a training"
        module, digest = self._load_frozen(self.plugins, path, network, checkpoint)
        self.teachers.append(digest)
        return _frozen(module)

    def metric(
        self, name: str | Choice, *, scale: int = 1, context: MetricContext | None = None, **options: Any
    ) -> Any:
        """Builds a metric.

        Args:
            name: the metric, or the user's choice of one.
            scale: ``data.scale``, passed on if the component's `build` has a parameter of that name.
            context: what it has in common with other metrics, passed on if the component's `build` has a parameter of
                that name; None: nothing, and it computes on the CPU.
            options: options of the component, on top of those of a choice.

        Returns:
            An object with the methods ``update(output, target)``, or ``update_real(images)`` and
            ``update_fake(images)`` or the last one alone, ``compute()`` and ``reset()``.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives a metric of that name, or the one that does fails.
        """
        optional = {"scale": scale, "context": context or MetricContext(self)}
        metric = self._build("metric", name, options, optional=optional)
        methods = METRIC_METHODS.get(getattr(metric, "kind", "pair"), METRIC_METHODS["pair"])
        if lacking := next((key for key in methods if not callable(getattr(metric, key, None))), None):
            who = self.plugins.full_name("metric", name if isinstance(name, str) else name.name)
            more = (
                ' (one of sets of images says so by kind = "distribution" or "scores")' if lacking == "update" else ""
            )
            raise PluginError(f"{who}: what it builds, a {type(metric).__name__}, has no method {lacking}{more}")
        return metric

    def transform(
        self, name: str | Choice, *, scale: int = 1, kinds: Mapping[str, ValueKind] | None = None, **options: Any
    ) -> Any:
        """Builds a transform.

        Args:
            name: the transform, or the user's choice of one.
            scale: ``data.scale``, passed on if the component's `build` has a parameter of that name.
            kinds: what the images stand for, by key, passed on if the component's `build` has a parameter of that name.
            options: options of the component, on top of those of a choice.

        Returns:
            A function from sample to sample.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives a transform of that name, or the one that does fails.
        """
        return self._build("transform", name, options, optional={"scale": scale, "kinds": kinds or {}})

    def optimizer(self, choice: Choice, params: Sequence[nn.Parameter]) -> optim.Optimizer:
        """Builds an optimiser.

        Args:
            choice: the optimiser, with its options.
            params: all that it is to train.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives an optimiser of that name, or the one that does fails, or builds something else
                than an optimiser of these parameters.
        """
        from torch import optim

        made = self._build("optimizer", choice, {}, params=list(params))
        who = self.plugins.full_name("optimizer", choice.name)
        if not isinstance(made, optim.Optimizer):
            raise PluginError(f"{who}: must build a torch.optim.Optimizer, not a {type(made).__name__}")
        held = {id(parameter) for group in made.param_groups for parameter in group["params"]}
        if held != {id(parameter) for parameter in params}:
            raise PluginError(f"{who}: must hold the parameters in params, all of them and no others")
        if any("lr" not in group for group in made.param_groups):
            raise PluginError(f"{who}: each of its param_groups must have its learning rate as 'lr'")
        return made

    def schedule(self, choice: Choice) -> Callable[..., Any]:
        """Builds a schedule: a function ``(step, *, steps, epoch)``, whose values nobody has checked.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives a schedule of that name, or the one that does fails or builds no function.
        """
        made = self._build("schedule", choice, {})
        if not callable(made):
            who = self.plugins.full_name("schedule", choice.name)
            raise PluginError(f"{who}: must build a function of the step, not a {type(made).__name__}")
        checked: Callable[..., Any] = made
        return checked

    def tracker(self, choice: Choice, run: TrackedRun) -> Tracker:
        """Builds a tracker for a run.

        Raises:
            ConfigError: an option is unknown or does not fit.
            PluginError: no plugin gives a tracker of that name, or the one that does fails, or builds something
                without a method log.
            UserError: it lacks something, such as a package or a login.
        """
        made = self._build("tracker", choice, {}, run=run)
        if not callable(getattr(made, "log", None)):
            raise PluginError(f"what it builds, a {type(made).__name__}, has no method log")
        tracker: Tracker = made
        return tracker

    def _build(
        self,
        kind: str,
        name: str | Choice,
        options: dict[str, Any],
        optional: dict[str, Any] | None = None,
        **shape: Any,
    ) -> Any:
        """Builds a component of any kind.

        Args:
            kind: one of `i2i.plugins.KINDS`.
            name: the component, or the user's choice of one.
            options: options of the component, on top of those of a choice.
            optional: arguments passed on only if the component's `build` has parameters of these names.
            shape: arguments that every `build` of this kind takes.
        """
        choice = name if isinstance(name, Choice) else Choice(name)
        component = self.plugins.get(kind, choice.name)
        if missing := [key for key in options if key not in component.config.model_fields]:
            hint = nearest(missing[0], component.config.model_fields)
            raise ConfigError(f"{kind} '{choice.name}' has no option {missing[0]}, which is needed here{hint}")
        config = checked_options(kind, component, dict(choice.options) | options)
        who = self.plugins.full_name(kind, choice.name)
        build = imported_builder(component, who)
        with attributed_to(f"{who} cannot be built"):
            parameters = inspect.signature(build).parameters
            optional = {key: value for key, value in (optional or {}).items() if key in parameters}
            try:
                made = build(config, **shape, **optional)
            except ValueError as error:  # by this error a component says that its options do not fit the images
                raise ConfigError(f"{who}: {error}") from error
        if kind in MODULES:
            self._record(kind, who, made, shape)
        return made

    def _record(self, kind: str, who: str, made: Any, shape: Mapping[str, Any]) -> None:
        """Adds a module to `built`.

        Raises:
            PluginError: the component built something else than a torch module.
        """
        from torch import nn

        if not isinstance(made, nn.Module):
            raise PluginError(f"{who}: must build an nn.Module, not a {type(made).__name__}")
        self.built.append(Built(kind, who, made, shape.get("size", self.size), shape.get("out_channels", 0)))


def image_size(sample: Mapping[str, Tensor], default: tuple[int, int]) -> tuple[int, int]:
    """Size of the images of a batch.

    Args:
        sample: a batch by key.
        default: (height, width) when it has no images.

    Returns:
        (height, width) of the source images, else of the targets.
    """
    images = [sample[key] for key in ("source", "target") if key in sample and sample[key].ndim == 4]
    return (images[0].shape[2], images[0].shape[3]) if images else default


def _frozen(module: nn.Module) -> nn.Module:
    """Makes every weight a buffer that no checkpoint holds: it moves with the module, and is never trained."""
    for layer in module.modules():
        own = [*layer.named_parameters(recurse=False), *layer.named_buffers(recurse=False)]
        for name, tensor in own:
            delattr(layer, name)
            layer.register_buffer(name, tensor.detach(), persistent=False)
    module.i2i_frozen = True  # type: ignore[assignment]
    return module.eval()


def is_frozen(module: nn.Module) -> bool:
    """Whether a `Builder` has made a module one that is neither trained nor saved; true of its copies, too."""
    return getattr(module, "i2i_frozen", False) is True


def checked_options(kind: str, component: Component, options: dict[str, Any]) -> Any:
    """The component's `Config` with these options.

    Raises:
        ConfigError: an option is unknown or does not fit.
    """
    try:
        return component.config(**options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        hint = nearest(key, component.config.model_fields) if first["type"] == "extra_forbidden" else ""
        raise ConfigError(f"{kind} '{component.name}', option {key}: {first['msg'].lower()}{hint}") from error
