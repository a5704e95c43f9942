"""Metrics that each break one promise; importing this adds them to `helpers.kit_mutants`."""

from functools import partial

import torch
from torch.nn import functional as F

from helpers.kit_mutants import broken, sound

# Of pairs


@sound("metric", "sound-metric")
class Error:
    """Mean absolute error."""

    higher_is_better = False
    total, count = 0.0, 0

    def __init__(self, config):
        self.reset()

    def reset(self):
        self.total, self.count = 0.0, 0

    def update(self, output, target):
        self.total += float(self.distance(output, target).sum())
        self.count += len(output)

    def distance(self, output, target):
        return (output - target).abs().mean((1, 2, 3))

    def compute(self):
        return torch.tensor(self.total / self.count)


worst = lambda s, x, y: vars(s).update(total=max(s.total, float(s.distance(x, y).max())), count=1)
unfair = sound("metric", "worst-case")
unfair(type("WorstError", (Error,), {"__doc__": "The largest error of an image.", "update": worst}))
luma = lambda s, x, y: F.conv2d(x - y, torch.ones(1, 3, 1, 1)).abs().mean((1, 2, 3))
last_batch = lambda s, x, y: vars(s).update(total=float(s.distance(x, y).sum()), count=len(x))

mutant = partial(broken, Error)
mutant("two-values", "value", r"must return a scalar, not a tensor \(2,\)", compute=lambda s: torch.rand(2))
mutant("a-dictionary", "value", "compute must return a scalar: .*'dict'", compute=lambda s: {"error": s.total})
mutant("not-a-number", "value", "it is nan", distance=lambda s, x, y: (x - y).mean((1, 2, 3)).sqrt())
not_grey = "it cannot compare grey images"
mutant("colour-metric", "value", not_grey, note=True, distance=luma)
mutant("spread", "value", f"{not_grey}.*nan", missed="nan passes", note=True, distance=lambda s, x, y: (x - y).std(1))
mutant("last-batch", "accumulation", "update must add to what it saw before", update=last_batch)
mutant("never-forgets", "accumulation", "reset must forget what update saw", reset=lambda s: None)
mutant("forgets-half", "accumulation", "reset must forget what update saw", reset=lambda s: setattr(s, "total", 0.0))
mutant("no-direction", "direction", "attribute higher_is_better = True or False", higher_is_better=None)
mutant("wrong-direction", "direction", "much, but higher_is_better = True", higher_is_better=True)
mutant("target-unused", "direction", "noise", distance=lambda s, x, y: torch.zeros(2))


@sound("metric", "sound-mean")
class MeanError(Error):
    """Mean absolute error, which is also known for some of the images."""

    def reset(self):
        self.values = []

    def update(self, output, target):
        self.values += self.distance(output, target).tolist()

    def of_images(self, places):
        return torch.tensor([self.values[place] for place in places]).mean()

    def compute(self):
        return self.of_images(range(len(self.values)))


mutant = partial(broken, MeanError)
each_once = lambda s, places: torch.tensor([s.values[place] for place in set(places)]).mean()
mutant("each-image-once", "some-images", r"of_images\(\[0, 0, 2\]\) is", of_images=each_once)
backwards = lambda s, places: torch.tensor([s.values[-1 - place] for place in places]).mean()
mutant(
    "from-the-end",
    "some-images",
    r"of_images\(\[2\]\) is",
    compute=lambda s: sum(s.values) / len(s.values),
    of_images=backwards,
)

# Of sets


@sound("metric", "sound-frechet")
class Frechet:
    """Fréchet distance without correlations: squared distance of means and deviations of 8 x 8 pixels."""

    kind = "distribution"
    higher_is_better = False

    def __init__(self, config):
        self.reset()

    def reset(self):
        self.real, self.fake = [], []

    def update_real(self, images):
        self.real.append(self.small(images))

    def update_fake(self, images):
        self.fake.append(self.small(images))

    def small(self, images):
        return F.adaptive_avg_pool2d(images, 8).flatten(1)

    def compute(self):
        real, fake = torch.cat(self.real), torch.cat(self.fake)
        squares = [(one - two).square().sum() for one, two in zip(moments(real), moments(fake), strict=True)]
        return torch.stack(squares).sum()


def moments(features):
    return features.mean(0), features.std(0)


def of_means(self):
    return (torch.cat(self.real).mean(0) - torch.cat(self.fake).mean(0)).square().sum()


def keep_all(self):
    self.real, self.fake = getattr(self, "real", []), getattr(self, "fake", [])


def keep_real(self):
    self.real, self.fake = getattr(self, "real", []), []


mutant = partial(broken, Frechet)
mutant(
    "no-kind",
    "value",
    r'has no method update \(one of sets of images says so by kind = "distribution" or "scores"\)',
    kind="distributions",
)
mutant("real-only", "value", "update_fake", update_fake=property())
mutant("a-value-each", "value", r"must return a scalar, not a tensor \(192,\)", compute=lambda s: s.real[0][0])
of_colour = lambda s, x: F.conv2d(x, torch.ones(1, 3, 24, 24), stride=24).flatten(1)
mutant("colour-sets", "value", not_grey, note=True, small=of_colour)
newest = lambda name: lambda s, x: setattr(s, name, [s.small(x)])
keeps_one = {"update_real": newest("real"), "update_fake": newest("fake"), "compute": of_means}
mutant("last-images", "accumulation", "update must add to what it saw before", **keeps_one)
mutant("sets-for-ever", "accumulation", "reset must forget", reset=keep_all)
mutant("real-for-ever", "accumulation", "reset must forget", reset=keep_real)
centred = lambda s, x: s.fake.append(s.small(x) - (torch.cat(s.real).mean() if s.real else 0))
mutant("in-turn", "accumulation", "the value must depend on the sets alone", update_fake=centred)
first_real = lambda s, x: s.fake.append(s.small(x) - s.real[0] + s.real[0])
mutant("real-first", "accumulation", "generated images before real ones: IndexError", update_fake=first_real)
mutant("sets-no-direction", "direction", "attribute higher_is_better = True or False", higher_is_better=None)
mutant("sets-wrong-direction", "direction", "with no noise and .* higher_is_better = True", higher_is_better=True)


@sound("metric", "sound-rows")
class FrechetOfRows(Frechet):
    """The same, and what it takes of an image can be kept."""

    embedding = "8 x 8 pixels"

    @property
    def collector(self):
        return self

    def embed(self, images):
        return {"features": self.small(images)}

    def add_real(self, rows):
        self.real.append(rows["features"])

    def add_fake(self, rows):
        self.fake.append(rows["features"])


mutant = partial(broken, FrechetOfRows)
mutant("rows-without-name", "embedding", "must name by an attribute embedding", embedding=None)
both = lambda s, rows: [s.add_real(rows), s.fake.append(rows["features"])]
mutant("rows-in-both", "embedding", "by what embed gives for images", add_fake=both)
mutant("rows-unlike", "embedding", "by what embed gives", embed=lambda s, x: {"features": s.small(x - x.mean(0))})


# Of one set


@sound("metric", "sound-score")
class Brightness:
    """Mean of all pixels."""

    kind = "scores"
    higher_is_better = True

    def __init__(self, config):
        self.reset()

    def reset(self):
        self.means = []

    def update_fake(self, images):
        self.means += images.mean((1, 2, 3)).tolist()

    def compute(self):
        return sum(self.means) / len(self.means)

    @property
    def protocol(self):
        return {"images": len(self.means), "colour": ["grey", "RGB"]}


@sound("metric", "sound-of-classes")
class OfClasses(Brightness):
    """Mean of all pixels of the class 1."""

    takes_labels = True

    def update_fake(self, images, labels):
        super().update_fake(images[labels == 1])


mutant = partial(broken, Brightness)
mutant("shown-no-real", "value", "has no method update_fake", update_fake=None)
keep_means = lambda s: setattr(s, "means", getattr(s, "means", []))
mutant("score-for-ever", "accumulation", "reset must forget", reset=keep_means)
mutant("score-no-direction", "direction", "attribute higher_is_better = True or False", higher_is_better=None)
mutant("tensor-protocol", "protocol", "its protocol after 0 batches: TypeError", protocol={"mean": torch.zeros(1)})
mutant("nan-protocol", "protocol", "its protocol after 0 batches: ValueError", protocol={"mean": float("nan")})
first_mean = property(lambda s: {"first": s.means[0]})
mutant("late-protocol", "protocol", "its protocol after 0 batches: IndexError", protocol=first_mean)
mutant("text-protocol", "protocol", "must be a mapping of plain values by name, not a str", protocol="all pixels")
