"""Adaptive augmentation of what discriminators see (Karras et al. 2020), against other libraries and by hand."""

import cv2
import numpy as np
import pytest
import torch

import i2i
from helpers.recipes import small
from i2i.components.adversarial.augment import STATE, Change
from i2i.config import resolve
from i2i.engine.context import StepContext
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder

PLUGINS = Plugins()
RECIPES = [name for name in PLUGINS.table("recipe") if "adversary" in PLUGINS.get("recipe", name).config.model_fields]
CHANGES = ["flip", "quarter", "turn", "size", "stretch", "shift", "brightness", "contrast", "saturation"]


class Given:
    """A context whose random numbers are given: `uniform` in [-1, 1), and `normal`, of the changes in `names`."""

    def __init__(self, names, uniform=0.0, normal=0.0):
        self.uniform, self.normal = uniform, normal
        self.chosen = torch.tensor([0.0 if name in names else 0.9 for name in CHANGES])

    def rand(self, count, numbers):
        if numbers == len(CHANGES):
            return self.chosen.expand(count, -1)
        return torch.full((count, numbers), (self.uniform + 1) / 2)

    def randn(self, count, numbers):
        return torch.full((count, numbers), self.normal)


def image(height=24, width=24):
    """A smooth picture, (1, 3, H, W) in [-1, 1]."""
    noise = np.random.default_rng(0).random((height, width, 3), np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 3)
    return torch.from_numpy(cv2.normalize(blurred, None, -1, 1, cv2.NORM_MINMAX)).permute(2, 0, 1)[None]


def changed(x, *names, **numbers):
    return Change.draw(x, 0.5, Given(names, **numbers)).applied(x)


def warped(x, matrix):
    """What OpenCV makes of it; `matrix` (2, 3) says where a pixel of the result is in the image, from the centre."""
    height, width = x.shape[2:]
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    full = np.array(matrix, np.float64)
    full[:, 2] += centre - full[:, :2] @ centre
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(
        x[0].permute(1, 2, 0).numpy(), full, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return torch.from_numpy(moved).permute(2, 0, 1)[None]


def test_an_image_that_nothing_is_drawn_for_stays_as_it_is():
    x = image(24, 40)
    torch.testing.assert_close(changed(x, uniform=0.7, normal=1.0), x, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("names", "numbers", "expected"),
    [
        (["flip"], {"uniform": 0.5}, lambda x: x.flip(3)),
        (["flip"], {"uniform": -0.5}, lambda x: x),
        (["quarter"], {"uniform": -0.9}, lambda x: x),
        (["quarter"], {"uniform": -0.4}, lambda x: torch.rot90(x, 1, (2, 3))),
        (["quarter"], {"uniform": 0.1}, lambda x: torch.rot90(x, 2, (2, 3))),
        (["quarter"], {"uniform": 0.9}, lambda x: torch.rot90(x, 3, (2, 3))),
        (["brightness"], {"normal": 1.0}, lambda x: x + 0.2),
        (["contrast"], {"normal": -2.0}, lambda x: x / 2),
        (["saturation"], {"normal": 1.0}, lambda x: x.mean(1, keepdim=True) * -1 + x * 2),
    ],
)
def test_flips_quarter_turns_and_colours(names, numbers, expected):
    x = image()
    torch.testing.assert_close(changed(x, *names, **numbers), expected(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "numbers", "matrix"),
    [
        ("turn", {"uniform": 0.25}, [[2**-0.5, -(2**-0.5), 0], [2**-0.5, 2**-0.5, 0]]),
        ("size", {"normal": 2.0}, [[2**0.4, 0, 0], [0, 2**0.4, 0]]),
        ("stretch", {"normal": 2.0}, [[2**0.4, 0, 0], [0, 2**-0.4, 0]]),
        ("shift", {"uniform": 0.5}, [[1, 0, 40 / 16], [0, 1, 24 / 16]]),  # half of an eighth of each side
    ],
)
def test_moves_are_those_of_opencv(name, numbers, matrix):
    x = image(24, 40)
    torch.testing.assert_close(changed(x, name, **numbers), warped(x, matrix), atol=0.03, rtol=0)


def test_about_the_wanted_share_of_images_changes():
    ctx = StepContext(0, 100, torch.device("cpu"), torch.float32)
    ctx.begin(0)
    x = torch.rand(4000, 3, 4, 4) * 2 - 1
    same = torch.isclose(Change.draw(x, 0.1, ctx).applied(x), x, atol=1e-4).flatten(1).all(1).float().mean()
    # half of the flips and a quarter of the quarter turns change nothing either
    assert same.item() == pytest.approx(0.95 * 0.925 * 0.9**7, abs=0.03)


def adversary(**options):
    options = {"augment": "ada", "augment_images": 100, **options}
    return i2i.Adversary(i2i.AdversaryConfig(**options), Builder(PLUGINS, (32, 32)))


def probabilities(judgements, **options):
    """The probability after each of a discriminator's steps, whose logits of real images are given."""
    ctx = StepContext(0, 100, torch.device("cpu"), torch.float32)
    ctx.begin(0)
    game, seen = adversary(**options), []
    for logit in judgements:
        answers = iter([torch.full((5, 1), float(logit)), torch.full((5, 1), -3.0)])
        game.discriminator_losses(lambda x, a=answers: next(a), torch.zeros(5, 3, 8, 8), torch.zeros(5, 3, 8, 8), ctx)
        seen.append(round(ctx.state[STATE][0].item(), 6))
    return seen


def test_the_probability_follows_how_sure_the_discriminator_is():
    sure = [1.0] * 8  # four judgements of five images: 20 of 100
    assert probabilities(sure) == [0, 0, 0, 0.2, 0.2, 0.2, 0.2, 0.4]
    assert probabilities([*sure, *[-1.0] * 8])[-4:] == [0.2, 0.2, 0.2, 0.0]
    assert probabilities([1, 1, 1, -1] * 3)[-1] == 0  # r_t = 0.5 is below 0.6
    assert probabilities([1, 1, 1, -1], augment_target=0.4)[-1] == 0.2
    assert probabilities([1.0] * 24)[-1] == 1  # and never more


def test_the_boundary_is_that_of_the_loss():
    assert probabilities([0.4] * 4, loss="lsgan")[-1] == 0  # where 0.5 is between real and fake
    assert probabilities([0.6] * 4, loss="lsgan")[-1] == 0.2
    middle = {"loss": "wasserstein", "clip_weights": 0.1}  # halfway to the generated images' -3
    assert probabilities([-2.0] * 4, **middle)[-1] == 0.2
    assert probabilities([-4.0] * 4, **middle)[-1] == 0


def test_an_image_and_what_it_is_judged_with_are_moved_alike():
    ctx = StepContext(0, 100, torch.device("cpu"), torch.float32)
    ctx.begin(0)
    x, seen = image().expand(16, -1, -1, -1), []

    def critic(images, source):
        seen.append((images, source))
        return images.mean((1, 2, 3))

    game = adversary(augment=1.0, loss="relativistic")
    fake = x.clone().requires_grad_(True)
    game.discriminator_losses(critic, x, fake, ctx, x)
    (game.generator_losses(critic, x, fake, ctx, x)["adversarial"]).backward()
    assert len(seen) == 4
    for images, source in seen:
        flat = images.detach() - images.detach().mean(1, keepdim=True)
        grey = source.mean(1, keepdim=True).expand_as(source)
        assert not torch.allclose(source, x)
        # colours differ by a factor an image; where the moved source is grey, the image is, too
        shares = (flat * (source - grey)).flatten(1).sum(1) / (
            flat.flatten(1).norm(dim=1) * (source - grey).flatten(1).norm(dim=1)
        )
        torch.testing.assert_close(shares, torch.ones(16), atol=1e-4, rtol=0)
    assert fake.grad is not None and fake.grad.abs().sum() > 0


@pytest.mark.parametrize(("recipe", "augment"), [*((recipe, "ada") for recipe in RECIPES), ("pix2pix", 0.5)])
def test_every_recipe_with_an_adversary_takes_it(recipe, augment, tmp_path):
    sets = [*small(recipe), f"{recipe}.adversary.augment={augment}", f"{recipe}.adversary.augment_images=8"]
    trained = i2i.train(recipe, out=tmp_path / "run", sets=[*sets, "train.steps=8"])
    state = i2i.load_networks(trained.run, "last").recipe.state
    assert (STATE in state) == (augment == "ada")


def test_what_a_discriminator_sees_beside_images_must_be_given_as_condition():
    ctx = StepContext(0, 100, torch.device("cpu"), torch.float32)
    x = image()
    game = adversary()
    network = game.discriminator(i2i.DiscriminatorChoice("patch", filters=4, layers=2, norm="none"), in_channels=6)
    with pytest.raises(i2i.ConfigError, match=r"let the recipe give that as condition"):
        game.generator_losses(lambda images: network(torch.cat([x, images], 1)), x, x, ctx)
    losses = game.generator_losses(lambda images, source: network(torch.cat([source, images], 1)), x, x, ctx, x)
    assert torch.isfinite(losses["adversarial"])


def test_a_number_beyond_one_is_refused(cli):
    answer = cli("config", "pix2pix", "--set", "adversary.augment=1.5")
    assert answer.returncode == 2
    assert "adversary.augment" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1
    assert resolve(PLUGINS, "pix2pix", sets=["adversary.augment=ada"]).options.adversary.augment == "ada"
