"""Components that each break one promise, in ways in which plugin authors do: what the conformance kit must find.

This module is a plugin, so that other processes can load it, too; `test_kit` adds those of other kinds. Each
section begins with what is sound; a mutant is that with something changed, the check that finds it and words of the
message (`note`: of its notes). One that the kit does not find, or without help, says why by `missed`.
"""

import random
import time
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import i2i
from helpers.kit_lists import MUTANTS, SOUND, Mutant
from i2i.plugins import KINDS

RAW = "an error of torch or Python is passed on as it is"


def sound(kind, name, missed="", config=i2i.Config):
    """Adds a class that keeps its promises."""

    def added(parent):
        parent.of_kind = kind
        SOUND.append(Mutant(kind, i2i.Component(name, parent, config, "Sound"), missed=missed))
        return parent

    return added


def broken(parent, name, check, words, *, config=i2i.Config, summary="Broken", missed="", note=False, **changes):
    """Adds a subclass with other attributes; it is an attribute of the module, or it could not be pickled."""
    build: Any = type(f"broken-{name}", (parent,), changes)
    globals()[build.__name__] = build
    MUTANTS.append(Mutant(parent.of_kind, i2i.Component(name, build, config, summary), check, words, missed, note))


def options(**fields):
    """Options by name: a type and a default, or a type only."""
    annotations = {name: field[0] for name, field in fields.items()}
    defaults = {name: field[1] for name, field in fields.items() if len(field) > 1}
    return type("Options", (i2i.Config,), {"__annotations__": annotations, **defaults})


def _hook(kind):
    return i2i.hookimpl(lambda: [one.component for one in SOUND + MUTANTS if one.kind == kind])


globals().update({hook: _hook(kind) for kind, hook in KINDS.items() if kind != "backend"})

# Generators


class More:
    def more(self, size=None):
        """For what a mutant has besides."""


@sound("generator", "sound-generator")
class Generator(More, nn.Module):
    """One convolution and tanh."""

    def __init__(self, config, *, in_channels, out_channels, size):
        super().__init__()
        self.conv = self.first(in_channels, out_channels)
        self.more(size)

    def first(self, into, out):
        return nn.Conv2d(into, out, 3, padding=1)

    def forward(self, image):
        return self.last(self.conv(image))

    def last(self, values):
        return torch.tanh(values)


@sound("generator", "running-mean")
class RunningMean(Generator):
    """It measures what batch norm would, in each process for itself."""

    def more(self, size):
        self.register_buffer("centre", torch.zeros(()))

    def last(self, values):
        if self.training:
            self.centre.lerp_(values.detach().mean(), 0.1)
        return torch.tanh(values - self.centre)


rows = lambda x: torch.from_numpy(np.linspace(0, 1, x.shape[2], dtype=np.float32))[:, None]
from_numpy = lambda s, size: nn.init.constant_(s.conv.bias, np.random.default_rng().uniform(0, 0.1))
small = lambda s, size: nn.init.normal_(s.conv.weight, 0, 0.002)
spare = lambda s, size=None: setattr(s, "spare", nn.Conv2d(s.conv.out_channels, s.conv.out_channels, 1))
place = lambda s, size: setattr(s, "place", nn.Parameter(torch.zeros(1, 1, *size)))
mirrored = lambda s, x: Generator.forward(s, F.pad(x, (20,) * 4, "reflect"))[..., 20:-20, 20:-20]
blocks = lambda side: lambda s, x: F.interpolate(Generator.forward(s, F.avg_pool2d(x, side)), scale_factor=side)

mutant = partial(broken, Generator)
three = r"built for 3 to 1 channels it must give \(2, 1, 64, 64\), not \(2, 3, 64, 64\)"
for_one = "built for 1 to 3 channels: .* to have 3 channels, but got 1"
mutant("takes-colour", "channels", for_one, first=lambda s, _, out: nn.Conv2d(3, out, 3, padding=1))
mutant("makes-colour", "channels", three, first=lambda s, into, _: nn.Conv2d(into, 3, 3, padding=1))
mutant("no-padding", "channels", r"not \(2, 3, 62, 62\)", first=lambda s, into, out: nn.Conv2d(into, out, 3))
mutant("scale-not-kept", "channels", r"must give \(2, 3, 128, 128\), not \(2, 3, 64, 64\)", scale=2)
mutant("gives-more", "channels", "must give .* not tuple", last=lambda s, x: (x.tanh(), x))
mutant("features-tensor", "encoder-features", "must return a list of feature maps", features=lambda s, x: x)
mutant("features-detached", "encoder-features", "must keep their gradients", features=lambda s, x: [s.conv(x).detach()])
mutant("features-mean", "encoder-features", "must be two and finite", features=lambda s, x: [s.conv(x).mean(0, True)])
mutant("features-fail", "encoder-features", "its method features: .*", features=lambda s, x: [s.conv(x[:, :2])])
mutant("square-root", "channels", "must give finite float32 .* nan", last=lambda s, x: x.sqrt())
mutant("unknown-input", "channels", "inputs names 'z': there are image, noise, label", inputs=("z",))
mutant("no-tanh", "value-range", "end in a tanh or a clamp", last=lambda s, x: x)
mutant("no-tanh-small", "value-range", "end in a tanh or a clamp", more=small, last=lambda s, x: x)
mutant("sigmoid", "value-range", "never gives anything below 0.* not in a sigmoid", last=lambda s, x: x.sigmoid())
mutant("spare-part", "gradients", "spare.weight, spare.bias have no part .* remove them, or freeze", more=spare)
cut_off = "conv.weight, conv.bias have no part in the output"
mutant("detached", "gradients", cut_off, more=spare, forward=lambda s, x: s.spare(s.conv(x).detach()).tanh())
mutant("no-grad", "gradients", "detach|no_grad", missed=RAW, forward=torch.no_grad()(Generator.forward))
mutant("from-numpy", "repeatable", "draw initial weights from torch's generator only", more=from_numpy)
mutant("dropout", "repeatable", "differ: nothing may be drawn at random", last=lambda s, x: F.dropout(x).tanh())
mutant("batch-mean", "repeatable", "output depends on its batch", last=lambda s, x: (x - x.mean(0)).tanh())
mutant("numpy-inside", "export", "cannot be exported to ONNX", last=lambda s, x: torch.tanh(x + rows(x)))
mutant("branches", "export", "data-dependent", last=lambda s, x: x.tanh() if x.mean() > 0 else x.cos())
says = "an attribute multiple says what sides must be divisible by"
mutant("one-size", "any-size", "33x36, with multiple = 1: .* match", more=place, last=lambda s, x: x.tanh() * s.place)
mutant("in-blocks", "any-size", rf"33x36 became \(32, 32\): {says}", forward=blocks(8))
mutant("multiple-too-small", "any-size", rf"40x64 became \(32, 64\): {says}", multiple=8, forward=blocks(16))
mutant("reflects-less", "any-size", "minimum", missed="33 is the least side that is tried", forward=mirrored)

# Discriminators


@sound("discriminator", "sound-discriminator")
class Discriminator(More, nn.Module):
    """One convolution."""

    def __init__(self, config, *, in_channels, size):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, 1, 3)
        self.more()

    def forward(self, image):
        return self.conv(image)


mutant = partial(broken, Discriminator)
for_256 = lambda s, x: F.linear(s.conv(x).flatten(1), torch.ones(1, 254 * 254))
colour = lambda s: setattr(s, "conv", nn.Conv2d(3, 1, 3))
mutant("probabilities", "logits", r"stays in \[0, 1\].* sigmoid to the loss", forward=lambda s, x: s.conv(x).sigmoid())
mutant("probability-first", "logits", "sigmoid to the loss", forward=lambda s, x: (s.conv(x).sigmoid(), s.conv(x)))
mutant("judges-colour", "logits", "images of 1 channels: .* to have 3 channels, but got 1", more=colour)
mutant("gives-list", "logits", "a tuple that begins with them, not list", forward=lambda s, x: [[s.conv(x)]])
mutant("log", "logits", "leave log and sigmoid to", forward=lambda s, x: (1 - (s.conv(x) + 6).sigmoid()).log())
mutant("asks-for-label", "logits", r'inputs = \("image", "label"\)', forward=lambda s, x, label: s.conv(x))
mutant("for-256-pixels", "logits", "64x64|64 pixels|64, 64", missed="the size is not said", forward=for_256)
mutant("spare-head", "gradients", "spare.weight, spare.bias have no part in the output", more=spare)

# Losses, and what all components promise


@sound("loss", "sound-loss")
class Loss(nn.Module):
    """Mean absolute error."""

    def __init__(self, config):
        super().__init__()

    def forward(self, output, target):
        return self.reduced((output - target).abs())

    def reduced(self, values):
        return values.mean()


@sound("loss", "sound-game")
class Game(Loss):
    """Least squares."""

    def forward(self, player, *, fake, real=None):
        return self.reduced((fake - 1).square() if real is None else (real - 1).square() + fake.square())


@sound("loss", "sound-penalty")
class Penalty(Loss):
    """Squared gradient at real images."""

    penalty = True

    def forward(self, score, *, real, fake, ctx):
        return self.reduced(ctx.input_gradient(score, real).square().sum((1, 2, 3)))


without_graph = lambda s, score, *, real, **_: torch.autograd.grad(score(real).sum(), real)[0].square().mean()

mutant = partial(broken, Loss)
nothing, per_image, twice = "nothing can be learned from it", r"scalar tensor, not \(4,\)", "twice: average over images"
mutant("sum", "mean", rf"loss\(output, target\): .* {twice}", reduced=lambda s, x: x.sum())
mutant("loss-per-image", "scalar", per_image, reduced=lambda s, x: x.mean((1, 2, 3)))
mutant("loss-item", "scalar", "must give a scalar tensor, not float", reduced=lambda s, x: x.mean().item())
mutant("loss-detached", "scalar", nothing, reduced=lambda s, x: x.mean().detach())
mutant("arguments-swapped", "scalar", nothing, forward=lambda s, y, x: (x - y.detach()).abs().mean())
mutant("loss-nan", "scalar", "must give a finite float32, not nan", reduced=lambda s, x: (-x).log().mean())
mutant("no-summary", "documentation", "give the i2i.Component a summary of one line", summary=" ")
mutant("long-summary", "documentation", "summary of one line", summary="One\ntwo")
mutant("required", "options", "give option weight a default", config=options(weight=(float,)))
mutant("refused", "options", "pass its own checks: .*weight", config=options(weight=(float, "much")))
drifts = {"model_post_init": lambda s, context: object.__setattr__(s, "weight", s.weight / 100)}
drifting = type("Drifting", (options(weight=(float, 50.0)),), drifts)
mutant("drifting", "options", "Drifting does not come back from its own values", config=drifting)
mutant("called-name", "options", "rename option 'name'", config=options(name=(str, "l1")))
again = "writing Options as YAML and reading it again: "
mutant("enum-option", "options", f"{again}.*mode", config=options(mode=(Enum, Enum("Mode", "A B").A)))
mutant("bytes-option", "options", f"{again}.*utf-8", config=options(key=(bytes, b"\xff")))

mutant = partial(broken, Game)
mutant("sum-game", "mean", rf"loss\('discriminator', real, fake\): .* {twice}", reduced=lambda s, x: x.sum())
mutant("compares", "scalar", "unless it has compares = True", forward=lambda s, player, *, fake, real: fake.mean())
mutant = partial(broken, Penalty)
mutant("sum-penalty", "mean", rf"penalty\(score, real, fake, ctx\): .* {twice}", reduced=lambda s, x: x.sum())
mutant("penalty-without-graph", "scalar", nothing, forward=without_graph)
mutant("penalty-per-image", "scalar", per_image, reduced=lambda s, x: x)

# Recipes


@sound("recipe", "sound-recipe")
class Recipe(i2i.Recipe):
    """A generator that learns the mean absolute error, ``l1``."""

    generator, trains, rate = "sound-generator", ("generator",), 1e-3

    def networks(self, build, sample):
        into, out = (sample[key].shape[1] for key in ("source", "target"))
        return {"generator": build.generator(self.generator, in_channels=into, out_channels=out)}

    def phases(self):
        return [i2i.Phase("generator", trains=self.trains, optimizer={"lr": self.rate})]

    def losses(self, phase, nets, batch, ctx):
        return {"l1": self.error(nets["generator"](batch["source"]), batch["target"])}

    def error(self, fake, real):
        return F.l1_loss(fake, real)

    def translators(self, nets, sample):
        return {"default": i2i.Translator(self.exported(nets["generator"]), {"image": sample["source"][:1]})}

    def exported(self, network):
        return network


@sound("recipe", "sound-gan")
class Gan(Recipe):
    """Least squares: ``adversarial``, and ``judgement`` for the critic."""

    critic = "sound-discriminator"

    def networks(self, build, sample):
        critic = build.discriminator(self.critic, in_channels=sample["target"].shape[1])
        return super().networks(build, sample) | {"critic": critic}

    def phases(self):
        return [i2i.Phase("critic", trains=("critic",)), *super().phases()]

    def shared(self, nets, batch, ctx):
        return {"fake": nets["generator"](batch["source"])}

    def losses(self, phase, nets, batch, ctx):
        if phase == "critic":
            return self.judgement(nets["critic"], batch["target"], batch["fake"].detach())
        return {"adversarial": (nets["critic"](batch["fake"]) - 1).square().mean()}

    def judgement(self, critic, real, fake):
        return {"judgement": (critic(real) - 1).square().mean() + critic(fake).square().mean()}


def with_helper(self, phase, nets, batch, ctx):
    """A network that learns beside the engine."""
    if not hasattr(self, "helper"):
        self.helper = nn.Conv2d(3, 3, 1)
        self.optimizer = torch.optim.Adam(self.helper.parameters(), 0.1)
    self.optimizer.zero_grad()
    self.helper(batch["source"]).square().mean().backward()
    self.optimizer.step()
    return {"l1": self.error(nets["generator"](self.helper(batch["source"]).detach()), batch["target"])}


def counting(self, fake, real):
    """A weight that grows from step to step."""
    self.count = getattr(self, "count", 0) + 1
    return F.l1_loss(fake, real) * self.count


def with_curve(self, phase, nets, batch, ctx):
    """A loss for show: the mean of all steps."""
    losses = Recipe.losses(self, phase, nets, batch, ctx)
    self.seen = [*getattr(self, "seen", []), losses["l1"].detach()]
    return losses | {"mean": torch.stack(self.seen).mean()}


def clamping(parent, name, phase):
    """Clips the weights of a network as Wasserstein GANs do, by hand."""

    def losses(self, running, nets, batch, ctx):
        if running == phase:
            with torch.no_grad():
                for weight in nets[name].parameters():
                    weight.clamp_(-0.01, 0.01)
        return parent.losses(self, running, nets, batch, ctx)

    return losses


def half_detached(self, phase, nets, batch, ctx):
    if phase == "critic":
        return Gan.losses(self, phase, nets, batch, ctx)
    return {"l1": self.error(batch["fake"], batch["target"]) + nets["critic"](batch["fake"].detach()).detach().mean()}


def not_detached(self, phase, nets, batch, ctx):
    if phase == "critic":
        return self.judgement(nets["critic"], batch["target"], batch["fake"])
    return Gan.losses(self, phase, nets, batch, ctx)


one_loss = lambda name: lambda s, p, nets, b, ctx: {name: F.l1_loss(nets["generator"](b["source"]), b["target"])}
fixed = lambda s, build, _: {"generator": build.generator("sound-generator", in_channels=3, out_channels=3)}
misnamed = lambda s, nets, b: {"default": i2i.Translator(nets["generator"], {"picture": b["source"][:1]})}
of_two = lambda s, nets, b: {
    "default": i2i.Translator(
        nets["generator"], {"image": b["source"][:1]}, outputs={"image_out": i2i.Image(), "score": i2i.Number()}
    )
}
mistyped = lambda s, nets, b: {
    "default": i2i.Translator(
        nets["generator"],
        {"image": b["source"][:1], "more": torch.zeros(1)},
        inputs={"more": i2i.VectorInput(3)},
    )
}
sum_of_batch = lambda s, x, y: (x - y).square().mean((1, 2, 3)).sum()
inherited = sound("recipe", "other-rate")
inherited(type("OtherRate", (Recipe,), {"__doc__": "The same, faster.", "rate": 2e-3}))

mutant = partial(broken, Recipe)
plain = options(layers=(frozenset[str], frozenset({"a"})), weights=(Path, Path("a.pt")))
mutant("plain-options", "options", "say what layers, weights means in a docstring", config=plain, note=True)
chosen = options(loss=(i2i.LossChoice, i2i.LossChoice("drifting")))
mutant("chooses-drifting", "round-trip", "as another: an option must be a plain value", config=chosen)
not_scalar = "phase 'generator': loss 'l1' must be a scalar tensor, not a"
mutant("images", "losses", rf"{not_scalar} tensor \(2,\)", error=lambda s, x, y: (x - y).abs().mean((1, 2, 3)))
mutant("item", "losses", f"{not_scalar} float", error=lambda s, x, y: F.l1_loss(x, y).item())
mutant("nan", "losses", "loss 'l1' must be finite, and is nan", error=lambda s, x, y: (x - y).log().mean())
mutant("spaced", "losses", "'mean error' is no name for a curve: use letters", losses=one_loss("mean error"))
mutant("detached-all", "losses", "no loss depends on .* detached", error=lambda s, x, y: (x.detach() - y).mean())
mutant("undeclared", "losses", "trains 'teacher', but its networks are generator", trains=("generator", "teacher"))
mutant("fixed-channels", "losses", "channel", missed="only colour is tried", networks=fixed)
mutant("no-rate", "losses", "phase 'generator'.* lr", rate=0)
mutant("tiny-rate", "gradients", "does not change 'generator', .* learning rate 0", rate=1e-15)
own = "the phase trains that network anyway"
mutant("clamps", "gradients", "never change w", missed=own, losses=clamping(Recipe, "generator", "generator"))
state = "generator/conv.* after a resume: draw random numbers from ctx or torch, and keep no state outside"
mutant("system-random", "resume", state, error=lambda s, x, y: F.l1_loss(x, y * random.SystemRandom().random()))
mutant("clock", "resume", state, error=lambda s, x, y: F.l1_loss(x, y * (time.time() % 1)))
mutant("counting", "resume", state, error=counting)
mutant("with-helper", "resume", state, losses=with_helper)
mutant("with-curve", "resume", "the losses after a resume differ", losses=with_curve)
means, adam = "losses must be means over the batch", "a phase's own Adam takes the same steps for any factor"
by_adam = lambda s: [i2i.Phase("generator", trains=s.trains, optimizer={"name": "adam", "lr": 1e-3})]
mutant("sum-of-batch", "processes", means, error=sum_of_batch)
mutant("sum-of-batch-adam", "processes", means, missed=adam, error=sum_of_batch, phases=by_adam)
mutant("noise", "processes", "ctx", missed="taken for dropout", error=lambda s, x, y: F.l1_loss(x, torch.randn_like(y)))
mutant("own-mean", "processes", "generator.centre differs between two processes", generator="running-mean")
mutant("half-precision", "bf16", "generator 'running-mean'.*BFloat16", generator="running-mean")
mutant("no-translator", "losses", "translators must return at least one", translators=lambda *_: {})
mutant("exports-branches", "export", "cannot be exported to ONNX: .* data-dependent", generator="branches")
mutant("misnamed", "losses", "its input 'picture' needs a type, such as inputs=", translators=misnamed)
mutant("mistyped", "losses", r"its example of 'more' must be \(N, 3\) of floats", translators=mistyped)
mutant("one-of-two", "losses", r"the module must return 2 outputs \(image_out, score\), not 1", translators=of_two)
mutant("no-stage", "losses", "stages must return a size in pixels and a batch size", stages=lambda s, _: 16)
mutant("large-stage", "losses", "images of 999 pixels: a stage's size is at most", stages=lambda s, p: (999, 2))
half_size = lambda s, one: nn.Sequential(one, nn.AvgPool2d(2))
other_size = "no whole multiple of that: the module's attribute `multiple` says"
mutant("exports-less", "losses", other_size, exported=half_size)
mutant("exports-blocks", "losses", other_size, generator="in-blocks")
new = lambda s, one: nn.Sequential(one, nn.Conv2d(3, 3, 1))
mutant("exports-new", "export", "networks", missed="whose weights are exported is not asked", exported=new)

mutant = partial(broken, Gan)
both, of_both = ("generator", "critic"), "phase 'generator' trains 'critic', and none of its losses .* is it detached"
mutant("half-detached", "gradients", of_both, trains=both, losses=half_detached)
never = "phase 'critic' changed 'generator', which it does not train: never change weights yourself"
mutant("clamps-other", "gradients", never, losses=clamping(Gan, "generator", "critic"))
mutant("not-detached", "gradients", "backward pass: .*detach", missed="retain_graph is advised", losses=not_detached)
mutant("log-critic", "bf16", "discriminator 'log'.* not finite", critic="log")
