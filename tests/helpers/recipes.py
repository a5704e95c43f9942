"""Settings that make each built-in recipe small enough to train in a test, on the samples drawn by code."""

import importlib
from unittest.mock import patch

import i2i

TINY = [
    "data.size=32",
    "data.load_size=36",
    "train.log_every=1",
    "train.val_images=3",
    "train.sample_count=2",
    "engine.threads=1",
    "engine.precision=fp32",
    "pix2pix.generator.filters=8",
    "pix2pix.discriminator={name: patch, filters: 8, layers: 2}",
]
"""Settings that make pix2pix small enough to train in a test."""

SHARED = [
    "data.load_size=32",
    "data.size=32",
    "train.log_every=1",
    "train.val_images=2",
    "train.sample_count=2",
    "train.batch_size=4",
    "engine.threads=1",
    "engine.precision=fp32",
]
DRAWN = ["data.layout.count=12", "data.layout.val_count=3"]
ENLARGER = "{name: srresnet, filters: 4, blocks: 1, kernel: 3}"

OWN = {
    "pix2pix": ["generator.filters=4", "discriminator={name: patch, filters: 4, layers: 2}"],
    "cyclegan": [
        "generator={name: resnet, filters: 4, blocks: 1}",
        "discriminator={name: patch, filters: 4, layers: 2, norm: instance}",
        "pool=6",
    ],
    "cut": [
        "generator={name: resnet, filters: 4, blocks: 1}",
        "discriminator={name: patch, filters: 4, layers: 2, norm: instance}",
        "layers=[0, 4, 8, 12]",
        "patches=16",
        "features=8",
    ],
    "cgan": ["generator.filters=4", "discriminator.filters=4", "noise=8"],
    "stargan": [
        "generator={name: stargan, filters: 4, blocks: 1}",
        "discriminator={name: stargan, filters: 4}",
        "critic_steps=2",
    ],
    "inpaint": [
        "generator={name: gated, filters: 4, blocks: 1, attention: false}",
        "discriminator={name: sn-patch, filters: 4, layers: 3}",
    ],
    "colorize": ["generator.filters=4", "discriminator={name: patch, filters: 4, layers: 2}"],
    "bicyclegan": [
        "generator={name: unet-code, filters: 4, depth: 3}",
        "discriminator={name: patch, filters: 4, layers: 1, norm: instance}",
        "encoder_filters=4",
        "code=3",
    ],
    "starganv2": [
        "generator={name: adain, filters: 4, max_filters: 8, blocks: 1}",
        "discriminator={name: domains, filters: 4, max_filters: 8}",
        "encoder_filters=4",
        "hidden=8",
        "style=6",
        "noise=4",
    ],
    "srresnet": [f"generator={ENLARGER}"],
    "srgan": [f"generator={ENLARGER}", "discriminator={name: vgg, filters: 4, dense: 8}", "pretrain=0.4"],
    "esrgan": [
        "generator={name: rrdb, filters: 4, growth: 4, blocks: 1}",
        "discriminator={name: vgg, filters: 4, dense: 8}",
        "pretrain=0.4",
    ],
    "distill": [
        "student={name: resnet, filters: 4, blocks: 1}",
        "discriminator={name: patch, filters: 4, layers: 2, norm: instance}",
    ],
    "realesrnet": ["generator={name: srvgg, filters: 4, blocks: 1}"],
    "realesrgan": [
        "generator={name: srvgg, filters: 4, blocks: 1}",
        "discriminator={name: unet-sn, filters: 4}",
        "pretrain=0.4",
    ],
    "spade": [
        "generator={name: spade, filters: 4, hidden: 4, depth: 3}",
        "discriminator={name: multiscale, filters: 4, layers: 2}",
        "features=null",
        "classes=20",
    ],
}
OWN["fastcut"] = OWN["cut"]
"""The recipe's own options."""
UNPAIRED = ("cyclegan", "cut", "fastcut", "cgan", "stargan", "starganv2")
"""Recipes whose default metrics look through a network that takes long."""


def small(recipe: str, *, drawn: bool = True) -> list[str]:
    """Texts for ``--set``; `drawn` makes the drawn sample sets small too."""
    own = [f"{recipe}.{line}" for line in OWN[recipe]]
    metrics = ["train.metrics=[{name: kid, features: random}]"] if recipe in UNPAIRED else []
    return [*SHARED, *(DRAWN if drawn else []), *own, *metrics]


def without_export():
    """Inside, trainings end without the export, which takes ten times as long as the few steps of a test."""
    return patch.object(importlib.import_module("i2i.export.run"), "export", lambda run, **options: [])


def train_only(*arguments, **options):
    """`i2i.train` without the export at its end."""
    with without_export():
        return i2i.train(*arguments, **options)
