"""A training in memory: everything that a step changes, and the step itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from i2i.api import Recipe, Translator
from i2i.components.inference import Inference, copy_for_inference, inference_translators
from i2i.config import RunConfig
from i2i.data.reading.bands import Bands
from i2i.engine.batching.stages import Stage, samples_seen
from i2i.engine.checks.failures import StepFailures
from i2i.engine.checks.outputs import check_losses, checked_outputs
from i2i.engine.clock import Clock
from i2i.engine.context import StepContext
from i2i.engine.device.networks import average_gradients, casts_kept
from i2i.engine.health import Health
from i2i.engine.health.finite import divergence_error, fetch_numbers, gradient_norm, weights_probe
from i2i.engine.optim.phases import PhaseOptimizer
from i2i.engine.recipe_state import checked_state
from i2i.engine.validation.record import ValidationRecord
from i2i.errors import PluginError
from i2i.images import ValueRange
from i2i.kinds import ValueKind
from i2i.plugins.builder import Built

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class DataSpec:
    """The properties of the data that networks, checkpoints and exported models depend on.

    Attributes:
        sample: a batch of one sample on the device, for shapes and types.
        value_type: type of the images of an exported model, ``uint8`` or ``float32``.
        values: types and ranges of the values of the images, by key.
        labels: names of the classes; empty without classes.
        length: number of training samples.
        bands: which bands of the images are taken, by key of the sample.
        kinds: what the images stand for, by key; those that are not there are pictures.
    """

    sample: Batch
    value_type: str
    values: Mapping[str, ValueRange]
    labels: tuple[str, ...]
    length: int
    bands: Mapping[str, Bands] = field(default_factory=dict)
    kinds: Mapping[str, ValueKind] = field(default_factory=dict)


@dataclass
class Training:
    """The networks, optimisers and progress of a run, in memory; `i2i.engine.setup` builds it.

    Attributes:
        config: the resolved configuration.
        stages: the sizes of images and batches, in order; a single one unless the recipe asks for more.
        recipe: the training method.
        owner: the recipe's name in messages, with its plugin.
        components: torch modules that the recipe built by name.
        modules: the networks by name, which are saved.
        nets: the networks by name as the recipe gets them, which run in the compute type.
        phase_optimizers: the phases in their order.
        averages: moving averages of the exported networks by name; empty without averaging.
        context: random numbers and image pools for the recipe.
        data: shapes, types and labels of the data.
        precision: in which the networks compute: ``fp32``, ``bf16`` or ``fp64``.
        health: observes steps and warns.
        teachers: digests of the networks of other models that the recipe learns from.
        step: finished steps.
        phases_run: the phases that have run in this process.
        rollbacks: how often the run went back to an older state.
        rate_scale: factor of all learning rates, halved at each such return.
        validated: what the validations so far have found, in the first process.
        clock: measures the parts of a step, if it is on.
    """

    config: RunConfig
    stages: Sequence[Stage]
    recipe: Recipe
    owner: str
    components: Sequence[Built]
    modules: dict[str, nn.Module]
    nets: dict[str, Any]
    phase_optimizers: list[PhaseOptimizer]
    averages: dict[str, AveragedModel]
    context: StepContext
    data: DataSpec
    precision: str
    health: Health
    teachers: Sequence[str] = ()
    step: int = 0
    phases_run: set[str] = field(default_factory=set)
    rollbacks: int = 0
    rate_scale: float = 1.0
    validated: ValidationRecord = field(default_factory=ValidationRecord)
    clock: Clock = field(default_factory=Clock)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.context.steps

    @property
    def samples_seen(self) -> int:
        """Samples that the finished steps have taken, over all processes together."""
        return samples_seen(self.stages, self.step, self.batches_per_step)

    @property
    def epoch_length(self) -> Fraction:
        """Steps of one epoch."""
        return Fraction(self.data.length, self.config.train.batch_size * self.batches_per_step)

    @property
    def batches_per_step(self) -> int:
        """Batches that each step takes: those whose gradients are averaged, for each repeat of a phase."""
        return self.config.train.accumulate * max(one.phase.repeats for one in self.phase_optimizers)

    @property
    def checkpoint_due(self) -> bool:
        """Whether a checkpoint is due after the steps done so far."""
        return self.step % self.config.train.checkpoint_every == 0 or self.validation_due

    @property
    def validation_due(self) -> bool:
        """Whether a validation is due after the steps done so far, if there is time for it."""
        train = self.config.train
        if self.step == self.steps:
            return True
        if train.validate_every is not None:
            return self.step % train.validate_every == 0
        if train.validate_epochs is not None:
            length = Fraction(train.validate_epochs) * self.epoch_length
            return self.step // length > (self.step - 1) // length
        return self.step % train.checkpoint_every == 0

    @property
    def ended_early(self) -> str:
        """Why the run is complete before its last step, in a few words; empty if it goes on or has done all steps."""
        return self.validated.best.end(self.config.train.patience) if self.step < self.steps else ""

    @property
    def all_phases_begun(self) -> bool:
        """Whether the first step of every phase is past; before, a validation says little about the end."""
        return all(one.phase.start * self.steps < self.step for one in self.phase_optimizers)

    def inference(self) -> Inference:
        """What would be exported now: copies in evaluation mode, averaged if there is averaging."""
        return copy_for_inference(self.recipe, self._newest(), self.data.sample, self.config, self.owner)

    def translators(self) -> Mapping[str, Translator]:
        """The translators of `inference` alone."""
        return inference_translators(self.recipe, self._newest(), self.data.sample, self.config, self.owner)

    def _newest(self) -> dict[str, nn.Module]:
        """The networks by name, averaged ones where there are."""
        return {name: self.averages[name].module if name in self.averages else m for name, m in self.modules.items()}

    def rates(self) -> dict[str, float]:
        """Learning rates of the next step, or at the end of the last one, as ``lr/PHASE``."""
        return {f"lr/{one.phase.name}": one.lr * self._rate_factor(one) for one in self.phase_optimizers}

    def train_step(self, batches: Sequence[Batch], *, every_phase: bool = False) -> dict[str, Tensor]:
        """Runs one optimiser step of each phase that is due.

        Args:
            batches: the batches whose gradients are averaged, for each repeat of a phase; the first of them serve all
                phases.
            every_phase: run all phases, as if each ran for the first time.

        Returns:
            The losses as ``loss/PHASE/NAME``.

        Raises:
            DivergedError: a loss, gradient or weight is not finite: what is in memory must not be kept.
            PluginError: the recipe or one of its components fails, or returns what it should not.
        """
        self.context.begin(self.step)
        self.context.state = self.recipe.state
        due = [one for one in self.phase_optimizers if every_phase or one.phase.due(self.step, self.steps)]
        unchecked = not self.phases_run.issuperset(one.phase.name for one in due)
        first = unchecked and (every_phase or not self.phases_run)
        # hooking into a compiled network would compile it again
        components = self.components if unchecked and not self.config.engine.compile else ()
        figures: dict[str, Tensor] = {}
        with (
            checked_outputs(components, first=first),
            self.health.observe_step(self.step, batches[0]) as observation,
        ):
            try:
                with casts_kept(self.context.device, torch.bfloat16 if self.precision == "bf16" else torch.float32):
                    self._run_phases(due, batches, figures, every_phase=every_phase, first=first)
            except PluginError:
                found, finite = fetch_numbers(figures)
                if not finite:  # an error that follows from such numbers is not the plugin's
                    raise divergence_error(self.step + 1, found, batches, self.modules) from None
                raise
        losses = {name: value for name, value in figures.items() if name.startswith("loss/")}
        with self.clock.part("checks of numbers"):
            for name in dict.fromkeys(name for one in due for name in one.phase.trains):
                figures[f"weights/{name}"] = weights_probe(self.modules[name])
            found, finite = fetch_numbers(figures, observation.figures, world=self.context.world)
        if not finite:
            raise divergence_error(self.step + 1, found, batches, self.modules)
        with torch.no_grad(), self._attributed("after the step"):
            self.recipe.after_step(self.nets, self.context)
        if unchecked:
            checked_state(self.recipe, self.owner)
            for one in due:
                one.built.state()
        self.step += 1
        with self.clock.part("moving averages") if self.averages else nullcontext():
            for name, average in self.averages.items():
                average.update_parameters(self.modules[name])
        with self.clock.part("health"):
            self.health.record(self.step, found, observation)
        return losses

    def _run_phases(
        self,
        due: Sequence[PhaseOptimizer],
        batches: Sequence[Batch],
        figures: dict[str, Tensor],
        *,
        every_phase: bool,
        first: bool,
    ) -> None:
        """The phases' optimiser steps; losses and norms of gradients go into `figures`, also before a failure."""
        # with accumulation, keeping all graphs would cost the memory that it is to save; and of all phases together
        # several may go back through the same graph
        repeats = 1 if every_phase else max(one.phase.repeats for one in self.phase_optimizers)
        groups = [batches[place::repeats] for place in range(repeats)]  # one for each repeat
        once = len(groups[0]) == 1 and not every_phase
        if once:
            self._freeze_all_but(due)
            groups[0] = [self._with_shared(groups[0][0], due)]
        for one in due:
            turn = 0 if every_phase else one.phase.turn(self.step, self.steps) * one.phase.repeats
            for repeat, group in enumerate(groups[: one.phase.repeats]):
                self.context.turn = turn + repeat
                self._run_phase(one, group, figures, shared=once and repeat == 0, first=first)

    def _run_phase(
        self,
        one: PhaseOptimizer,
        batches: Sequence[Batch],
        figures: dict[str, Tensor],
        *,
        shared: bool,
        first: bool,
    ) -> None:
        """One optimiser step of a phase; of repeated ones the figures are those of the last.

        Args:
            one: the phase.
            batches: whose gradients are averaged.
            figures: losses and norms by name, to which those of the phase are added.
            shared: whether the batch has what `Recipe.shared` returns.
            first: nothing has been learned before.
        """
        self._freeze_all_but([one])
        one.optimizer.zero_grad(set_to_none=True)
        totals: dict[str, Tensor] = {}
        for batch in batches:
            losses = self._losses(one, batch if shared else self._with_shared(batch, [one]), first=first)
            where = f"phase '{one.phase.name}', backward pass"
            with self._attributed(where), self.clock.part(f"{one.phase.name}: backward"):
                (torch.stack(list(losses.values())).sum() / len(batches)).backward()
            for name, loss in losses.items():
                key = f"loss/{one.phase.name}/{name}"
                totals[key] = totals.get(key, 0.0) + loss.detach() / len(batches)
                figures[key] = totals[key]
        with self.clock.part("gradient norms"):
            average_gradients(one.parameters, self.context.world)
            figures[f"grad/{one.phase.name}"] = gradient_norm(parameter.grad for parameter in one.parameters)
        with (
            self.clock.part(f"{one.phase.name}: optimiser"),
            self.health.observe_update(one.phase.name, one.parameters),
        ):
            one.step(self._rate_factor(one))
        torch.clear_autocast_cache()

    def _with_shared(self, batch: Batch, phases: Sequence[PhaseOptimizer]) -> Batch:
        where = f"before phase {' and '.join(repr(one.phase.name) for one in phases)}, shared"
        with self._attributed(where), self.clock.part("shared by phases"):
            return batch | self.recipe.shared(self.nets, batch, self.context)

    def _losses(self, one: PhaseOptimizer, batch: Batch, *, first: bool) -> Mapping[str, Tensor]:
        name = one.phase.name
        self.health.begin_phase(one.phase)
        with self._attributed(f"phase '{name}'"), self.clock.part(f"{name}: losses"):
            losses = self.recipe.losses(name, self.nets, batch, self.context)
        check_losses(f"{self.owner}, phase '{name}'", losses, first=first and name not in self.phases_run)
        self.phases_run.add(name)
        return losses

    def _rate_factor(self, one: PhaseOptimizer) -> float:
        step = min(self.step, self.steps - 1)  # no schedule is asked for a step beyond the run
        return one.schedule.factor(step, self.steps, self.epoch_length) * self.rate_scale

    def _attributed(self, where: str) -> AbstractContextManager[None]:
        """An error inside names the recipe, network, component and precision that it came from."""
        compiled = self.config.engine.compile is True
        failures = StepFailures(self.owner, self.recipe, self.components, self.modules, self.precision, compiled)
        return failures.named(where)

    def _freeze_all_but(self, learning: Sequence[PhaseOptimizer]) -> None:
        """Lets gradients reach only the parameters of these phases."""
        trained = {id(p) for one in learning for p in one.parameters}
        for module in self.modules.values():
            for parameter in module.parameters():
                parameter.requires_grad_(id(parameter) in trained)
