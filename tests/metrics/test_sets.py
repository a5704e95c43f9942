"""Metrics of sets of images against float64 in numpy on the same features, and shared by one measurement."""

import json

import numpy as np
import pytest
import torch

import i2i
from helpers.metric_files import classifier_file, inception_file
from i2i.metrics.building import build_metrics
from i2i.metrics.showing import Shown, update
from i2i.plugins import Plugins
from i2i.plugins.builder import Builder
from i2i_metrics.sets import distances
from i2i_samples.facades import draw_facade

SETS = ("fid", "kid", "precision", "recall", "density", "coverage")


def metric(name, **options):
    return Builder(Plugins(), (0, 0)).metric(name, **({"features": "random"} | options))


def pictures(count, first=0, size=64):
    """Drawn pictures, (count, 3, size, size) in [-1, 1]."""
    drawn = np.stack([draw_facade(first + number, size=size)[1] for number in range(count)])
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(drawn, -1, 1))).float() / 127.5 - 1


def noisy(images, strength):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + strength * noise).clamp(-1, 1)


def shown(made, real, fake):
    made.update_real(real)
    made.update_fake(fake)
    return made


def features(images, name="random", **options):
    """Features in float64 of images as they come from files of 8 bits, one at a time."""
    network = Builder(Plugins(), (0, 0)).features(name, **options)
    eight = ((images.double() + 1) * 127.5).round().float() / 127.5 - 1
    with torch.no_grad():
        return np.concatenate([network.embed(image[None])["features"].double().numpy() for image in eight])


# In numpy, from the papers


def numpy_fid(real, fake):
    """By singular values of the centred features: the trace of the root of C1 C2 is the nuclear norm of X1 X2^T."""
    x, y = ((one - one.mean(0)) / np.sqrt(len(one) - 1) for one in (real, fake))
    nuclear = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    return ((real.mean(0) - fake.mean(0)) ** 2).sum() + (x**2).sum() + (y**2).sum() - 2 * nuclear


def numpy_kid(real, fake):
    kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** 3
    own = [(kernel(one, one).sum() - np.trace(kernel(one, one))) / len(one) / (len(one) - 1) for one in (real, fake)]
    return sum(own) - 2 * kernel(real, fake).mean()


def within(point, centres, k):
    """For each centre whether the point is in its ball, by loops over all pairs."""
    inside = []
    for centre in centres:
        others = sorted(np.linalg.norm(other - centre) for other in centres if other is not centre)
        inside.append(np.linalg.norm(point - centre) <= others[k - 1])
    return np.array(inside)


def brute_force(name, real, fake):
    if name == "precision":
        return np.mean([within(y, list(real), 3).any() for y in fake])
    if name == "recall":
        return np.mean([within(x, list(fake), 3).any() for x in real])
    table = np.array([within(y, list(real), 5) for y in fake])
    return table.sum() / 5 / len(fake) if name == "density" else table.any(0).mean()


@pytest.fixture(scope="module")
def two_sets():
    """24 real and 20 generated pictures, and their features."""
    real, fake = pictures(24), noisy(pictures(20, first=100), 0.03)
    return real, fake, features(real), features(fake)


@pytest.mark.parametrize("name", SETS)
def test_figures_are_those_of_numpy_on_the_same_features(two_sets, name):
    real, fake, x, y = two_sets
    expected = {"fid": numpy_fid, "kid": numpy_kid}.get(name, lambda x, y: brute_force(name, x, y))(x, y)
    assert float(shown(metric(name), real, fake).compute()) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert expected > 0


@pytest.mark.realdata
@pytest.mark.parametrize("name", SETS)
def test_figures_of_real_photos_are_those_of_numpy(name, i2i_data):
    from PIL import Image

    sets = []
    for domain in ("testA", "testB"):
        files = sorted((i2i_data / "horse2zebra" / domain).glob("*.jpg"))
        arrays = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
        sets.append(torch.from_numpy(np.moveaxis(arrays, -1, 1).copy()).float() / 127.5 - 1)
    x, y = (features(images) for images in sets)
    expected = {"fid": numpy_fid, "kid": numpy_kid}.get(name, lambda x, y: brute_force(name, x, y))(x, y)
    assert float(shown(metric(name), *sets).compute()) == pytest.approx(expected, rel=1e-6)


def test_moments_of_many_batches_are_those_of_all_at_once():
    real, fake = pictures(50), pictures(37, first=60)
    made = metric("fid")
    for size, images, add in ((7, real, made.update_real), (1, fake, made.update_fake)):
        for part in images.split(size):
            add(part)
    assert float(made.compute()) == pytest.approx(numpy_fid(features(real), features(fake)), rel=1e-6)
    assert made.protocol["full_rank"] is False
    assert made.collector.real.keep == {"moments"}  # memory does not grow with the number of images


def test_fid_of_full_rank_is_the_trace_of_the_root_of_the_product():
    draw = np.random.default_rng(0)
    x, y = draw.normal(0, 1, (200, 6)) @ draw.normal(0, 1, (6, 6)), draw.normal(1, 2, (300, 6))
    means, covariances = [one.mean(0) for one in (x, y)], [np.cov(one, rowvar=False) for one in (x, y)]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1]) - 2 * roots
    given = [(torch.from_numpy(m), torch.from_numpy(c)) for m, c in zip(means, covariances, strict=True)]
    one, two = ((mean, distances.factor_of(covariance)) for mean, covariance in given)
    assert distances.frechet_distance(*one, *two) == pytest.approx(expected, rel=1e-9)


def test_equal_sets_have_the_best_figures():
    images = pictures(30)
    assert abs(float(shown(metric("fid"), images, images).compute())) < 1e-3
    for name in ("precision", "recall", "coverage"):
        assert float(shown(metric(name), images, images).compute()) == 1


def test_equal_images_are_in_each_others_balls_whatever_rounding_does():
    same = pictures(1).expand(9, -1, -1, -1)
    for name in ("precision", "recall", "coverage"):
        assert float(shown(metric(name), same, same).compute()) == 1


def test_kid_of_two_halves_of_one_set_is_around_zero_within_its_error_bar():
    images = pictures(120)
    made = shown(metric("kid"), images[::2], images[1::2])
    far = shown(metric("kid"), images[::2], noisy(images[1::2], 0.6))
    assert abs(float(made.compute())) < 3 * made.error_bar()
    assert float(far.compute()) > 10 * made.error_bar()


def test_the_error_bar_of_kid_is_about_the_spread_over_fresh_sets():
    draw, figures, bars = torch.Generator().manual_seed(0), [], []
    for _ in range(60):
        x, y = (torch.randn(40, 5, generator=draw, dtype=torch.float64) + shift for shift in (0, 0.7))
        estimate = distances.kernel_distance(x, y, subsets=1, subset_size=1000)
        figures.append(estimate.value)
        bars.append(estimate.error)
    assert np.mean(bars) == pytest.approx(np.std(figures), rel=0.35)


def test_kid_over_subsets_is_the_mean_over_what_a_fixed_seed_draws():
    draw = torch.Generator().manual_seed(1)
    x, y = (torch.randn(60, 5, generator=draw, dtype=torch.float64) + shift for shift in (0, 0.5))
    first, again = (distances.kernel_distance(x, y, subsets=400, subset_size=30) for _ in range(2))
    assert first == again
    assert first.error_is == "standard deviation over 400 subsets of 30"
    assert first.value == pytest.approx(numpy_kid(x.numpy(), y.numpy()), abs=4 * first.error / 20)
    assert distances.kernel_distance(x, y, subsets=3, subset_size=60).value == pytest.approx(
        numpy_kid(x.numpy(), y.numpy()), rel=1e-9
    )


@pytest.mark.parametrize("name", ["precision", "density", "coverage"])
def test_shares_fall_as_outputs_get_worse(name):
    images = pictures(40)
    made, figures = metric(name), []
    for level in (0, 1, 2, 3, 4):
        made.reset()
        figures.append(float(shown(made, images, noisy(images, 0.08 * level)).compute()))
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > figures[-1]


def test_precision_sees_quality_and_recall_variety():
    images = pictures(40)
    few = images[:4].repeat(10, 1, 1, 1)
    assert float(shown(metric("precision"), images, few).compute()) == 1
    assert float(shown(metric("recall"), images, few).compute()) < 0.5


# The inception score


def test_the_inception_score_is_its_formula():
    logits = torch.randn(23, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2
    scores = []
    for part in np.array_split(logits.numpy(), 4):
        p = np.exp(part) / np.exp(part).sum(1, keepdims=True)
        scores.append(np.exp((p * np.log(p / p.mean(0))).sum(1).mean()))
    estimate = distances.class_score(logits, splits=4)
    assert estimate.value == pytest.approx(np.mean(scores), rel=1e-9)
    assert estimate.error == pytest.approx(np.std(scores, ddof=1), rel=1e-9)


def test_the_inception_score_needs_a_network_that_knows_classes_and_an_image_for_each_split():
    with pytest.raises(i2i.ConfigError, match="the network random knows no classes: choose another one as features"):
        metric("inception-score")
    made = metric("inception-score", features="efficientnet-lite0", splits=2)
    made.update_fake(pictures(1))
    assert np.isnan(float(made.compute()))
    assert (
        made.problem() == "the inception score needs at least 2 generated images (one for each of its 2 splits), got 1"
    )
    made.update_fake(pictures(3, 5))
    assert 1 <= float(made.compute()) < 1000
    assert made.figure_name == "inception-score-efficientnet-lite0"
    assert "real_images" not in made.protocol


# Too few images


@pytest.mark.parametrize(
    ("name", "counts", "line"),
    [
        ("fid", (1, 9), "FID needs at least 2 real and 2 generated images (a covariance needs two), got 1 and 9"),
        ("kid", (9, 1), "KID needs at least 2 real and 2 generated images, got 9 and 1"),
        (
            "precision",
            (3, 9),
            "precision needs at least 4 real and 1 generated images (3 neighbours and the image itself), got 3 and 9",
        ),
        (
            "recall",
            (9, 3),
            "recall needs at least 1 real and 4 generated images (3 neighbours and the image itself), got 9 and 3",
        ),
        (
            "coverage",
            (5, 9),
            "coverage needs at least 6 real and 1 generated images (5 neighbours and the image itself), got 5 and 9",
        ),
    ],
)
def test_too_few_images_give_no_figure_and_a_line_with_the_numbers(name, counts, line):
    made = shown(metric(name), pictures(counts[0]), pictures(counts[1]))
    assert np.isnan(float(made.compute()))
    assert made.problem() == line
    json.dumps(made.protocol, allow_nan=False)
    made = shown(metric(name), pictures(counts[0] + 1), pictures(counts[1] + 1))
    assert np.isfinite(float(made.compute()))
    assert made.problem() == ""


def test_images_of_other_channels_are_one_line():
    with pytest.raises(i2i.DataError, match="feature networks see images of 1 or 3 channels, got 4"):
        metric("fid").update_real(torch.zeros(1, 4, 32, 32))


# One measurement


def test_metrics_of_one_measurement_share_the_network_and_each_image_goes_through_it_once(two_sets):
    real, fake, x, y = two_sets
    builder = Builder(Plugins(), (0, 0))
    choices = [i2i.MetricChoice(name, features="random") for name in SETS]
    made = build_metrics(builder, choices, i2i.MetricContext(builder), scale=1)
    assert set(made) == {f"{name}-random" for name in SETS}
    metrics = {one.owner: one.metric for one in made.values()}
    sets = {id(one.collector) for one in metrics.values()}
    assert len(sets) == 1
    for images in zip(real.split(4), fake.split(4), strict=False):
        update(metrics, Shown(output=images[1], real=images[0]))
    collector = next(iter(metrics.values())).collector
    assert (collector.real.count, collector.fake.count) == (20, 20)
    assert float(made["fid-random"].metric.compute()) == pytest.approx(numpy_fid(x[:20], y), rel=1e-6)
    assert float(made["kid-random"].metric.compute()) == pytest.approx(numpy_kid(x[:20], y), rel=1e-6)


@pytest.mark.parametrize("name", SETS)
def test_images_can_be_added_by_what_the_network_gave_for_them(two_sets, name):
    real, fake = two_sets[:2]
    made, by_rows = shown(metric(name), real, fake), metric(name)
    for images, add in ((real, by_rows.collector.add_real), (fake, by_rows.collector.add_fake)):
        for part in images.split(7):
            add(by_rows.collector.embed(part))
    assert float(by_rows.compute()) == pytest.approx(float(made.compute()), rel=1e-5)
    assert by_rows.protocol == made.protocol


def test_an_embedding_is_named_by_all_that_it_depends_on():
    names = [metric("fid").collector.embedding, metric("kid").collector.embedding]
    names.append(metric("fid", features="efficientnet-lite0").collector.embedding)
    names.append(metric("inception-score", features="efficientnet-lite0").collector.embedding)
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_two_measurements_share_nothing(two_sets):
    one, other = metric("fid"), metric("fid")
    one.update_real(two_sets[0])
    assert other.collector.real.count == 0


def test_the_protocol_says_how_a_figure_came_about(two_sets):
    made = shown(metric("kid", subsets=7, subset_size=10), *two_sets[:2])
    protocol = json.loads(json.dumps(made.protocol, allow_nan=False))
    assert protocol["network"] == "random"
    assert protocol["real_images"] == 24
    assert protocol["fake_images"] == 20
    assert protocol["resize"] == "bicubic (a = -0.5), antialiased, clipped, 64"
    assert protocol["quantisation"].startswith("8 bits")
    assert protocol["error_bar"] == "standard deviation over 7 subsets of 10"
    assert len(protocol["digest"]) == 64


def test_figures_alone_are_those_of_inception_and_others_have_the_networks_name(tmp_path):
    other = inception_file(tmp_path)
    made = metric("fid", features={"name": "inception-v3", "weights": str(other)})
    assert made.figure_name == f"fid-inception-v3-{made.protocol['digest'][:8]}"
    file = classifier_file(tmp_path / "mine.onnx", np.eye(3))
    assert metric("fid", features={"name": "onnx", "path": str(file)}).figure_name == "fid-mine"
    assert metric("fid").figure_name == "fid-random"


def test_values_are_rounded_to_8_bits_before_the_network(two_sets):
    real, fake = two_sets[:2]
    nudged = (fake * 127.5 + 0.3 * torch.sign(torch.randn(fake.shape))).clamp(-127.5, 127.5) / 127.5
    whole = ((fake.double() + 1) * 127.5).round().float() / 127.5 - 1
    moved = ((whole + 1) * 127.5 + 0.3 * torch.sign(torch.randn(fake.shape))) / 127.5 - 1
    assert not torch.equal(nudged, fake)
    exact, rounded = (float(shown(metric("fid"), real, one).compute()) for one in (whole, moved))
    assert exact == pytest.approx(rounded, rel=1e-9)
    assert exact == pytest.approx(float(shown(metric("fid"), real, fake).compute()), rel=1e-9)
