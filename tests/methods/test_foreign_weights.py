"""Networks of super-resolution with weights of BasicSR, Real-ESRGAN and the first ESRGAN give what those projects give.

The states have random weights; their outputs were computed once by those projects' own code.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from helpers.paths import HELPERS
from i2i_srgan.networks import msrresnet, rrdb, srvgg, unet_sn
from i2i_srgan.options import MSRResNetConfig, RRDBConfig, SRVGGConfig, UNetDiscriminatorConfig

Names = Iterable[tuple[str, str]]
"""Patterns of their names, and what these are here."""
WEIGHTS = HELPERS.parent / "fixtures" / "weights"
UNIT = (0.0, 1.0)

RRDB: Names = [
    (r"conv_first", "first"),
    (r"body\.(\d+)\.rdb(\d)\.conv(\d)", r"blocks.\1.body.\2.conv\3"),
    (r"conv_up(\d)", r"enlarge.\1"),
    (r"conv_hr", "before_last.0"),
    (r"conv_last", "last"),
]
ESRGAN: Names = [
    (r"model\.0", "conv_first"),
    (r"model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0", r"body.\1.rdb\2.conv\3"),
    (r"model\.1\.sub\.\d+", "conv_body"),
    (r"model\.3", "conv_up1"),
    (r"model\.6", "conv_up2"),
    (r"model\.8", "conv_hr"),
    (r"model\.10", "conv_last"),
]
MSRRESNET: Names = [
    (r"conv_first", "first.0"),
    (r"body\.(\d+)\.conv1", r"blocks.\1.body.0"),
    (r"body\.(\d+)\.conv2", r"blocks.\1.body.2"),
    (r"upconv1", "enlarge.0"),
    (r"upconv2", "enlarge.3"),
    (r"conv_hr", "before_last.0"),
    (r"conv_last", "last"),
]
PLACES = {"conv0": "first", **{f"conv{i}": f"down.{i - 1}" for i in (1, 2, 3)}}
PLACES |= {**{f"conv{i}": f"up.{i - 4}" for i in (4, 5, 6)}, "conv7": "refine.0", "conv8": "refine.1", "conv9": "last"}
NORMED = {"weight_orig": "original", "weight_u": "0._u", "weight_v": "0._v"}


def stored(folder: Path, name: str) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """Weights, input and output; the averaged weights if there are such."""
    state = torch.load(folder / f"{name}.pth", weights_only=True)
    state = state.get("params_ema", state.get("params", state))
    with np.load(folder / f"{name}.npz") as arrays:
        return state, torch.from_numpy(arrays["input"]), torch.from_numpy(arrays["output"])


def renamed(state: dict[str, Tensor], names: Names) -> dict[str, Tensor]:
    found = {}
    for key, value in state.items():
        module, _, kind = key.rpartition(".")
        fitting = [re.sub(pattern, here, module) for pattern, here in names if re.fullmatch(pattern, module)]
        found[f"{fitting[0] if fitting else module}.{kind}"] = value
    return found


def rrdb_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Of RRDBNet: its dense blocks count from 1, the fifth convolution has a name of its own here."""
    blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("body."))
    found = {}
    for key, value in renamed(state, RRDB).items():
        key = key.replace("conv_body", f"blocks.{blocks}")
        if match := re.fullmatch(r"(blocks\.\d+\.body)\.(\d)\.conv(\d)\.(\w+)", key):
            start, dense, index, kind = match.groups()
            layer = "fuse" if index == "5" else f"grow.{int(index) - 1}.0"
            key = f"{start}.{int(dense) - 1}.{layer}.{kind}"
        key = re.sub(r"enlarge\.(\d)", lambda match: f"enlarge.{3 * int(match[1]) - 2}", key)
        found[key] = value
    return found


def assert_equal_in_unit_range(network: nn.Module, state: dict[str, Tensor], given: Tensor, wanted: Tensor) -> None:
    """Theirs takes and gives [0, 1], ours [-1, 1]."""
    network.load_state_dict({f"network.{key}": value for key, value in state.items()})
    with torch.no_grad():
        made = (network.eval()(given * 2 - 1) + 1) / 2
    assert wanted.std() > 0.01
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-5)


def rrdb_network(state: dict[str, Tensor], scale: int, unshuffle: bool) -> nn.Module:
    config = RRDBConfig(
        scale=scale,
        filters=len(state["first.bias"]),
        growth=len(state["blocks.0.body.0.grow.0.0.bias"]),
        blocks=max(int(key.split(".")[1]) for key in state if key.startswith("blocks.")),
        unshuffle=unshuffle,
        value_range=UNIT,
    )
    return rrdb.build(config, in_channels=3, out_channels=3, size=(16, 16))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "scale", "old"),
    [
        ("basicsr_rrdb_x4_params", 4, False),
        ("esrgan_old_x4", 4, True),
        ("realesrgan_rrdb_x2_ema", 2, False),
        ("realesrgan_rrdb_x1", 1, False),
    ],
)
def test_rrdb_gives_what_basicsr_gives(name, scale, old, i2i_data):
    state, given, wanted = stored(i2i_data / "weights", name)
    state = rrdb_state(renamed(state, ESRGAN) if old else state)
    assert_equal_in_unit_range(rrdb_network(state, scale, unshuffle=True), state, given, wanted)


def test_srvgg_gives_what_real_esrgan_gives():
    state, given, wanted = stored(WEIGHTS, "realesrgan_srvgg_x4")
    blocks = (len({key.split(".")[1] for key in state}) - 3) // 2  # convolution and PReLU in turn
    config = SRVGGConfig(scale=4, filters=len(state["body.0.bias"]), blocks=blocks, value_range=UNIT)
    network = srvgg.build(config, in_channels=3, out_channels=3, size=(16, 16))
    assert_equal_in_unit_range(network, state, given, wanted)


def test_msrresnet_gives_what_basicsr_gives():
    state, given, wanted = stored(WEIGHTS, "basicsr_msrresnet")
    state = renamed(state, MSRRESNET)
    blocks = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
    config = MSRResNetConfig(scale=4, filters=len(state["first.0.bias"]), blocks=blocks, value_range=UNIT)
    network = msrresnet.build(config, in_channels=3, out_channels=3, size=(16, 16))
    assert_equal_in_unit_range(network, state, given, wanted)


@pytest.mark.realdata
def test_the_u_net_discriminator_gives_what_real_esrgans_gives(i2i_data):
    state, given, wanted = stored(i2i_data / "weights", "realesrgan_unet_sn")
    here = {}
    for key, value in state.items():
        module, _, kind = key.partition(".")
        here[f"{PLACES[module]}.{f'parametrizations.weight.{NORMED[kind]}' if kind in NORMED else kind}"] = value
    config = UNetDiscriminatorConfig(filters=len(state["conv0.bias"]), value_range=UNIT)
    network = unet_sn.build(config, in_channels=3, size=tuple(given.shape[2:]))
    network.load_state_dict(here)
    with torch.no_grad():
        made = network.eval()(given * 2 - 1)
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-5)
