"""CUT and FastCUT: losses against loops over patches, gradients of one batch and of two, and what is refused."""

import pytest
import torch
from torch.nn.functional import l1_loss

import i2i
from i2i.config import resolve
from i2i.engine.context import StepContext
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_cut.patches import patch_nce
from i2i_cut.recipe import CUT

OWN = [
    "generator={filters: 4, blocks: 1}",
    "discriminator={filters: 4, layers: 2}",
    "layers=[0, 4, 8, 12]",
    "patches=9",
]


def by_loops(queries, keys, temperature, negatives):
    """The mean cross-entropy of each patch's own key, from sums written out."""
    total, count = 0.0, 0
    for n in range(len(queries)):
        pool = [(n, s) for s in range(keys.shape[1])]
        if negatives == "batch":
            pool = [(m, s) for m in range(len(keys)) for s in range(keys.shape[1])]
        for p in range(queries.shape[1]):
            v = queries[n, p] / queries[n, p].square().sum().sqrt()
            likeness = {place: v @ keys[place] / keys[place].square().sum().sqrt() for place in pool}
            weights = {place: torch.exp(value / temperature) for place, value in likeness.items()}
            total = total - torch.log(weights[n, p] / sum(weights.values()))
            count += 1
    return total / count


@pytest.mark.parametrize("negatives", ["image", "batch"])
def test_patch_nce_equals_loops_over_patches(negatives):
    torch.manual_seed(0)
    queries = torch.randn(3, 5, 7, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(3, 5, 7, dtype=torch.float64, requires_grad=True)
    found = patch_nce(queries, keys, temperature=0.3, negatives=negatives)
    expected = by_loops(queries, keys.detach(), 0.3, negatives)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    found.backward()
    assert keys.grad is None
    torch.testing.assert_close(queries.grad, torch.autograd.grad(expected, queries)[0], rtol=1e-5, atol=1e-9)


def built(recipe, *sets):
    """The recipe and its networks in float64, with weights that are not nearly zero."""
    config = resolve(Plugins(), recipe, sets=[f"{recipe}.{line}" for line in [*OWN, *sets]])
    method = CUT(config.options)
    image = torch.zeros(1, 3, 32, 32)
    torch.manual_seed(0)
    nets = method.networks(Builder(Plugins(), (32, 32)), {"source": image, "target": image})
    for module in nets.values():
        for weight in module.double().parameters():
            torch.nn.init.normal_(weight, std=0.1)
    return method, nets


def context(rank=0, world=1):
    ctx = StepContext(7, 10, torch.device("cpu"), torch.float64, rank, world)
    ctx.begin(3)
    return ctx


def images(count):
    draw = torch.Generator().manual_seed(5)
    return {key: torch.rand(count, 3, 32, 32, generator=draw).double() * 2 - 1 for key in ("source", "target")}


@pytest.mark.parametrize("sets", [[], ["identity=2"], ["flip=true"]])
@pytest.mark.parametrize("recipe", ["cut", "fastcut"])
def test_losses_equal_the_papers_from_passes_of_their_own(recipe, sets):
    method, nets = built(recipe, *sets)
    options, ctx, batch = method.config, context(), images(4)
    batch |= method.shared(nets, batch, ctx)
    found = method.losses("generator", nets, batch, ctx)
    generator, project = nets["generator"], nets["projection"]
    flipped = batch["flipped"][:4].tolist() if options.flip else [False] * 4
    assert not options.flip or len(set(flipped)) == 2
    shown = lambda image, number: image.flip(-1) if flipped[number] else image
    made = {key: [generator(shown(batch[key][n : n + 1], n)) for n in range(4)] for key in ("source", "target")}
    losses = {"adversarial": (nets["discriminator"](torch.cat(made["source"])) - 1).square().mean()}
    for name, key, weight, first in (
        ("nce", "source", options.nce, 0),
        ("nce_identity", "target", options.nce_identity, 4),
    ):
        if weight:
            losses[name] = 0.0
            for n in range(4):
                keys = generator.features(batch[key][n : n + 1], options.layers)
                queries = [shown(x, n) for x in generator.features(made[key][n], options.layers)]
                for layer, (q, k) in enumerate(zip(queries, keys, strict=True)):
                    places = batch[f"places_{layer}"][first + n]
                    assert len(set(places.tolist())) == 9
                    q, k = (project.maps[layer](x.flatten(2)[:, :, places].transpose(1, 2)) for x in (q, k))
                    losses[name] = losses[name] + weight * by_loops(q, k, 0.07, "image") / (4 * len(keys))
    if options.identity:
        targets = [shown(batch["target"][n : n + 1], n) for n in range(4)]
        losses["identity"] = options.identity * l1_loss(torch.cat(made["target"]), torch.cat(targets))
    assert set(found) == set(losses)
    for name, loss in found.items():
        torch.testing.assert_close(loss, losses[name], rtol=1e-6, atol=0)


def gradients(method, nets, batch, ctx):
    weights = [weight for name in ("generator", "projection") for weight in nets[name].parameters()]
    batch = batch | method.shared(nets, batch, ctx)
    return torch.autograd.grad(sum(method.losses("generator", nets, batch, ctx).values()), weights)


@pytest.mark.parametrize("recipe", ["cut", "fastcut"])
def test_gradients_of_two_images_average_to_that_of_their_batch(recipe):
    method, nets = built(recipe)
    batch = images(2)
    whole = gradients(method, nets, batch, context())
    halves = [
        gradients(method, nets, {key: x[rank : rank + 1] for key, x in batch.items()}, context(rank, 2))
        for rank in range(2)
    ]
    for of_both, one, other in zip(whole, *halves, strict=True):
        scale = float(of_both.abs().max())
        torch.testing.assert_close((one + other) / 2, of_both, rtol=0, atol=1e-10 * max(scale, 1e-3))
    assert not torch.allclose(halves[0][0], halves[1][0], rtol=0.1)


def test_any_generator_with_features_will_do():
    method, nets = built("cut", "generator={name: unet, filters: 4, depth: 3, norm: instance}", "layers=null")
    ctx, batch = context(), images(2)
    losses = method.losses("generator", nets, batch | method.shared(nets, batch, ctx), ctx)
    assert set(losses) == {"adversarial", "nce", "nce_identity"}
    assert len(nets["projection"].maps) == 3


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (["generator={name: unet, depth: 3}"], "features of generator 'unet' have no numbers: set layers=null"),
        (["layers=[0, 99]"], r"layers=\[0, 99\] with generator 'resnet': the encoder's layers are 0 to 12"),
        (["generator={name: srresnet, scale: 1}"], "has no features to compare: choose another, such as resnet"),
    ],
)
def test_generators_without_the_features_are_refused(sets, message):
    with pytest.raises(i2i.ConfigError, match=message):
        built("cut", *sets)


def test_without_contrastive_losses_there_is_no_projection():
    method, nets = built("cut", "nce=0", "nce_identity=0")
    ctx, batch = context(), images(2)
    assert set(nets) == {"generator", "discriminator"}
    assert set(method.losses("generator", nets, batch | method.shared(nets, batch, ctx), ctx)) == {"adversarial"}
