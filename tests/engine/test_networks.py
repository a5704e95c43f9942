"""The networks as recipes get them are the same to use in every precision."""

import copy

import pytest
import torch
from torch import nn

from i2i.config import EngineConfig
from i2i.engine.device.networks import recipe_networks


class Coded(nn.Module):
    """A layer with a method of its own and an attribute that steers it."""

    def __init__(self):
        super().__init__()
        self.layer, self.strength = nn.Linear(4, 4), 1.0

    def encode(self, x):
        return self.layer(x) * self.strength, self.layer.weight.dtype, torch.is_autocast_enabled("cpu")

    def forward(self, x):
        y = self.layer(x)
        return y, y * 2


@pytest.fixture(params=["fp32", "bf16"])
def net(request):
    torch.manual_seed(0)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[request.param]
    return recipe_networks({"net": Coded()}, EngineConfig(precision=request.param), dtype)["net"], dtype


def test_methods_run_in_the_precision_of_calls_and_give_float32(net):
    network, dtype = net
    coded, weights, autocast = network.encode(torch.ones(2, 4))
    assert (coded.dtype, weights, autocast) == (torch.float32, torch.float32, dtype == torch.bfloat16)
    assert torch.equal(coded, network(torch.ones(2, 4))[0])


def test_attributes_that_are_set_reach_the_module(net):
    network, _ = net
    before = network.encode(torch.ones(2, 4))[0]
    network.strength = 3.0
    assert torch.allclose(network.encode(torch.ones(2, 4))[0], 3 * before, rtol=1e-2)


def test_a_copy_is_as_it_was_when_the_network_has_changed(net):
    network, _ = net
    frozen, x = copy.deepcopy(network), torch.ones(2, 4)
    before = network(x)[0].detach()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert torch.equal(frozen(x)[0], before)
    assert not torch.equal(network(x)[0], before)


def test_two_outputs_of_a_call_stay_in_one_graph(net):
    network, _ = net
    first, second = network(torch.ones(2, 4))
    (first.sum() + second.sum()).backward()
    assert network.layer.weight.grad is not None
    assert network.layer.weight.grad.dtype == torch.float32
