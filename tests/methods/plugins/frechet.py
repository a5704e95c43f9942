"""Fréchet distance of small pictures: that of Heusel et al. 2017, arXiv:1706.08500, equation 6, without a network."""

import torch
from torch.nn.functional import adaptive_avg_pool2d

import i2i


class Frechet:
    """Between the normal distributions with the means and covariances of all pixels, images as 4 x 4 pixels."""

    kind = "distribution"
    higher_is_better = False

    def __init__(self, config):
        self.reset()

    def reset(self):
        self.real, self.fake = [], []

    def update_real(self, images):
        self.real.append(adaptive_avg_pool2d(images, 4).flatten(1).double())

    def update_fake(self, images):
        self.fake.append(adaptive_avg_pool2d(images, 4).flatten(1).double())

    def compute(self):
        real, fake = torch.cat(self.real), torch.cat(self.fake)
        if min(len(real), len(fake)) < 2:
            return float("nan")  # one image has no covariance
        covariances = torch.cov(real.T), torch.cov(fake.T)
        root = torch.linalg.eigvals(covariances[0] @ covariances[1]).real.clamp(min=0).sqrt().sum()
        return (real.mean(0) - fake.mean(0)).square().sum() + sum(map(torch.trace, covariances)) - 2 * root


@i2i.hookimpl
def i2i_metrics():
    return [i2i.Component("frechet", Frechet, summary="Fréchet distance of small pictures")]
