"""A pix2pix training small enough to be tried with many settings of the engine."""

TINY = [
    "data.layout=facades",
    "train.val_images=2",
    "train.sample_count=1",
    "engine.threads=1",
    "data.size=32",
    "pix2pix.generator.filters=4",
    "pix2pix.discriminator={filters: 4, layers: 2}",
]
