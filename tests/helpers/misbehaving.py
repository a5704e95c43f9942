"""A plugin whose components do one thing wrong each, as an option says; used by test_contract."""

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn

import i2i


class Fault(i2i.Config):
    """What goes wrong."""

    fault: str = ""
    """Name of the fault; empty: none."""


class Generator(nn.Module):
    """One convolution, and the fault."""

    def __init__(self, config, *, in_channels, out_channels, size):
        super().__init__()
        self.fault, self.steps = config.fault, 0
        self.layer = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, image):
        self.steps += self.training
        made = torch.tanh(self.layer(image))
        if self.fault == "raises" or (self.fault == "late" and self.steps > 6):
            raise RuntimeError("two\nlines")
        faults = {
            "size": lambda: made[..., 1:],
            "channels": lambda: made[:, :1],
            "none": lambda: None,
            "nan": lambda: made * float("nan"),
        }
        return faults.get(self.fault, lambda: made)()


class Discriminator(nn.Module):
    """One convolution, and the fault."""

    def __init__(self, config, *, in_channels, size):
        super().__init__()
        self.fault, self.layer = config.fault, nn.Conv2d(in_channels, 1, 4, 2)

    def forward(self, image):
        return {"list": ["logits"], "nan": self.layer(image) / 0}.get(self.fault, self.layer(image))


class Loss(nn.Module):
    """An adversarial loss, and the fault."""

    def __init__(self, config):
        super().__init__()
        self.fault = config.fault

    def forward(self, player, *, fake, real=None):
        errors = fake.square() if real is None else fake.square() + (1 - real).square()
        faults = {
            "vector": errors,
            "number": errors.mean().item(),
            "inf": errors.mean() / 0,
            "detached": errors.mean().detach(),
        }
        return faults.get(self.fault, errors.mean())


class Samples:
    """Grey squares, and the fault."""

    gives = frozenset({"source", "target"})

    def __init__(self, config, *, root=None, split, transform):
        if config.fault == "raises":
            raise KeyError("folder")
        self.fault, self.transform = config.fault, transform

    def __len__(self):
        return 4

    def __getitem__(self, index):
        image = np.full((40, 40, 3), 50 * index, np.uint8)
        sample = {"source": image, "target": image}
        faults = {
            "lacks": {"source": image},
            "lacks one": {"source": image} if index == 2 else sample,
            "list": [image, image],
            "planar": {"source": image.transpose(2, 0, 1), "target": image},
            "double": {"source": image / 255, "target": image},
            "label": sample | {"label": "zebra"},
        }
        if self.fault == "item" or (self.fault == "worker" and torch.utils.data.get_worker_info()):
            raise IndexError("item is\nnot there")
        return self.transform(faults.get(self.fault, sample))


class Change:
    """A transform, and the fault."""

    def __init__(self, config):
        self.fault = config.fault

    def __call__(self, sample):
        faults = {
            "nothing": lambda: None,
            "drops": lambda: {"source": sample["source"]},
            "path": lambda: sample | {"source": Path("x.png")},
            "raises": lambda: sample["no such key"],
        }
        return faults.get(self.fault, lambda: sample)()


class Metric:
    """A metric, and the fault."""

    higher_is_better = True

    def __init__(self, config):
        self.fault = config.fault

        self.resets = 0

    def update(self, output, target):
        if self.fault == "raises" or (self.fault == "later" and self.resets > 1):
            raise TypeError("no")

    def compute(self):
        return torch.zeros(1 if self.fault == "later" else 3)

    def reset(self):
        self.resets += 1


class Recipe(i2i.Recipe):
    """One network learns to repeat the target, and the fault."""

    def __init__(self, config):
        super().__init__(config)
        self.fault = config.fault
        if self.fault == "needs":
            self.needs = "source"

    def networks(self, build, sample):
        if self.fault == "networks":
            return [nn.Conv2d(3, 3, 1)]
        if self.fault == "no module":
            return {"net": lambda x: x}
        if self.fault == "own way":  # not a fault: a method of its own, keywords, per-image gradients, a copy
            generator = build.generator("odd", in_channels=3, out_channels=3)
            forward = generator.forward
            generator.forward = lambda image: forward(image)
            return {"net": generator, "critic": build.discriminator("odd", in_channels=3)}
        return {"net": nn.Conv2d(3, 3, 1), "other": nn.Conv2d(3, 3, 1)}

    def phases(self):
        if self.fault == "phase":
            return [i2i.Phase("p", trains=("net",), every=0)]
        return (
            [] if self.fault == "no phases" else [i2i.Phase("p", trains=("nett" if self.fault == "trains" else "net",))]
        )

    def shared(self, nets, batch, ctx):
        return {"wrong": batch["nothing"]} if self.fault == "shared" else {}

    def losses(self, phase, nets, batch, ctx):
        if self.fault == "own way":
            made = nets["net"](image=batch["source"])
            teacher = copy.deepcopy(nets["net"])
            score = lambda x: nets["critic"](x[None]).sum()
            slopes = torch.func.vmap(torch.func.grad(score))(batch["target"])
            return {
                "error": (made - teacher(batch["source"]).detach()).abs().mean() + slopes.square().mean() + made.mean()
            }
        error = (nets["net"](batch["source"]) - batch["target"]).abs()
        faults = {
            "vector": lambda: {"error": error.mean((1, 2, 3))},
            "nan": lambda: {"error": error.mean() * float("nan")},
            "tensor": lambda: error.mean(),
            "none": lambda: {},
            "detached": lambda: {"error": error.mean().detach()},
            "other": lambda: {"error": nets["other"](batch["source"]).mean()},
            "raises": lambda: {"error": nets["gone"](batch["source"])},
        }
        return faults.get(self.fault, lambda: {"error": error.mean()})()

    def evaluate(self, nets, batches):
        faults = {
            "evaluate": lambda: nets["gone"],
            "figures": lambda: [1.0],
            "figure": lambda: {"error": torch.zeros(2)},
            "figure name": lambda: {"mean error": 1.0},
            "complex": lambda: {"error": torch.tensor(1j)},
            "huge": lambda: {"error": 10**400},
            "kept": lambda: self.state.update(kept=object()),
        }
        return faults.get(self.fault, lambda: None)()

    def grid(self, nets, batch):
        faults = {
            "grid": lambda: nets["net"](batch["gone"]),
            "image": lambda: nets["net"](batch["source"]),
            "flat": lambda: {"image": batch["source"], "flat": batch["source"][0]},
            "no columns": lambda: {},
            "complex image": lambda: {"image": batch["source"] * 1j},
        }
        if self.fault.startswith("map "):
            return {"map": (batch["source"][:, 0] > 0).to(getattr(torch, self.fault.removeprefix("map ")))}
        return faults.get(self.fault, lambda: None)()

    def translators(self, nets, sample):
        if self.fault == "translators":
            return {"default": nets["net"]}
        return {"default": i2i.Translator(nets["net"], {"image": sample["source"][:1]})}


def component(name, build):
    return i2i.Component(name, build, Fault, "does what it should not")


@i2i.hookimpl
def i2i_generators():
    return [component("odd", Generator)]


@i2i.hookimpl
def i2i_discriminators():
    return [component("odd", Discriminator)]


@i2i.hookimpl
def i2i_losses():
    return [component("odd", Loss)]


@i2i.hookimpl
def i2i_datasets():
    return [component("odd", Samples)]


@i2i.hookimpl
def i2i_transforms():
    return [component("odd", Change)]


@i2i.hookimpl
def i2i_metrics():
    return [component("odd", lambda config: None if config.fault == "nothing" else Metric(config))]


@i2i.hookimpl
def i2i_recipes():
    return [component("odd-recipe", Recipe)]
