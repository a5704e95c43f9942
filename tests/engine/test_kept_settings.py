"""What is chosen to make a training faster is measured without a trace, kept by the run, and told where it fails."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

import i2i
from helpers.fast_settings import TINY
from helpers.recipes import train_only
from i2i.components.processes import SingleProcess
from i2i.config import EngineConfig, resolve
from i2i.engine import launch
from i2i.engine.setup import open_training
from i2i.plugins import Plugins
from i2i.timing import tuning

CPU = torch.device("cpu")
of_compiler = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # which looks at all that it traces


def trained(folder, *sets: str, **options: object) -> dict[str, Tensor]:
    """The weights after 3 steps."""
    train_only("pix2pix", out=folder, sets=[*TINY, *sets], **options)
    return load_file(sorted((folder / "checkpoints").glob("step-*"))[-1] / "networks.safetensors")


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_a_trial_leaves_no_trace_and_its_choice_is_kept(tmp_path, monkeypatch, capsys):
    """Weights are those of a run that was told to use what the trial chose; resuming asks nothing anew."""
    monkeypatch.setattr(tuning, "MIN_STEPS", 1)
    monkeypatch.setattr(tuning, "_measure", preferring_channels_last(tuning._measure))
    weights = trained(tmp_path / "tuned", steps=3)
    assert "engine.tune=auto: channels last weights, eager" in capsys.readouterr().err
    engine = yaml.safe_load((tmp_path / "tuned" / "config.yaml").read_text())["engine"]
    assert (engine["memory_format"], engine["compile"]) == ("channels_last", False)
    monkeypatch.undo()
    told = trained(tmp_path / "told", "engine.memory_format=channels_last", "engine.compile=false", steps=3)
    assert same(weights, told)
    monkeypatch.setattr(tuning, "_measure", None)
    trained(tmp_path / "tuned", steps=4, resume=True)
    engine = yaml.safe_load((tmp_path / "tuned" / "config.yaml").read_text())["engine"]
    assert engine["memory_format"] == "channels_last"


def preferring_channels_last(measure):
    """Measures, and says that channels last took no time: no test depends on how busy the machine is."""

    def wrapped(config, *rest):
        first, later = measure(config, *rest)
        assert later < float("inf")
        return (first, 0.0) if config.engine.memory_format == "channels_last" else (first, later)

    return wrapped


def test_short_runs_are_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "_measure", None)
    trained(tmp_path / "run", steps=2)
    engine = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["engine"]
    assert (engine["memory_format"], engine["compile"], engine["tune"]) == ("contiguous", False, "auto")


@pytest.mark.parametrize(
    "setting",
    [
        "engine.tune=off",
        "engine.memory_format=channels_last",
        "engine.precision=bf16",
        pytest.param("engine.compile=true", marks=[pytest.mark.slow, of_compiler]),
    ],
)
def test_resume_is_bit_exact_with_each_setting(tmp_path, setting):
    common = (setting, "train.schedule.name=constant", "train.checkpoint_every=2")
    straight = trained(tmp_path / "straight", *common, steps=4)
    trained(tmp_path / "resumed", *common, steps=2)
    assert same(straight, trained(tmp_path / "resumed", steps=4, resume=True))


def engine_of(run) -> dict[str, object]:
    """The section ``engine`` of a run's configuration."""
    return yaml.safe_load((run / "config.yaml").read_text())["engine"]


@pytest.fixture
def cpu(monkeypatch):
    """Sets what torch says that this CPU can do."""

    def can(*units: str) -> None:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(units, True), raising=False)

    return can


def test_a_run_keeps_its_precision_on_a_machine_with_another_rule(tmp_path, cpu, capsys):
    constant = "train.schedule.name=constant"
    straight = trained(tmp_path / "straight", constant, "engine.precision=fp32", steps=4)
    cpu()
    trained(tmp_path / "run", constant, steps=2)
    assert engine_of(tmp_path / "run")["precision"] == "fp32"
    cpu("avx512_bf16")
    i2i.train(out=tmp_path / "run", resume=True, dry_run=True)
    assert same(straight, trained(tmp_path / "run", steps=4, resume=True, precision="auto"))
    assert engine_of(tmp_path / "run")["precision"] == "fp32"
    assert "precision bf16" not in capsys.readouterr().err
    trained(tmp_path / "tuned", constant, start_from=tmp_path / "run", steps=1)  # a new run: the rule holds
    assert engine_of(tmp_path / "tuned")["precision"] == "bf16"
    cpu()
    trained(tmp_path / "tuned", steps=2, resume=True)
    assert engine_of(tmp_path / "tuned")["precision"] == "bf16"


@pytest.mark.parametrize(("unit", "precision"), [("avx512_bf16", "fp32"), ("amx_bf16", "bf16")])
def test_a_run_from_before_precisions_were_written_down_goes_on_as_then(tmp_path, cpu, unit, precision):
    cpu(unit)
    trained(tmp_path / "run", f"engine.precision={precision}", steps=1)
    file = tmp_path / "run" / "config.yaml"
    file.write_text(file.read_text().replace(f"precision: {precision}", "precision: auto"))
    assert engine_of(tmp_path / "run")["precision"] == "auto"
    trained(tmp_path / "run", steps=2, resume=True)
    assert engine_of(tmp_path / "run")["precision"] == precision


def test_each_launch_on_a_gpu_says_whether_tf32_is_allowed(monkeypatch):
    """The setting is one of the process: a training after another one must not inherit it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda index: None)
    before = torch.get_float32_matmul_precision()
    try:
        for tune, expected in (("auto", "high"), ("off", "highest"), ("auto", "high")):
            launch(EngineConfig(device="cuda", tune=tune))
            assert torch.get_float32_matmul_precision() == expected
    finally:
        torch.set_float32_matmul_precision(before)


class SeveralProcesses(SingleProcess):
    """Stands for one of two processes."""

    @property
    def world_size(self) -> int:
        return 2


def chosen_with(monkeypatch, *sets: str, step_s: dict[str, float], processes: type = SingleProcess) -> EngineConfig:
    """What a trial chooses for pix2pix if a step took so many seconds in each memory format, or ``compiled``."""

    def measure(config, *rest):
        engine = config.engine
        seconds = step_s["compiled" if engine.compile else engine.memory_format]
        return (600.0 if engine.compile else seconds), seconds

    monkeypatch.setattr(tuning, "_measure", measure)
    plugins = Plugins()
    config = resolve(plugins, "pix2pix", sets=[*TINY, *sets])
    fabric = processes(CPU)
    data = open_training(config, plugins, SingleProcess(CPU))[1]
    return tuning.tune(config, data, plugins, fabric)[0].engine


def test_several_processes_go_by_the_rule(monkeypatch):
    """One whose trial fails would leave the others waiting."""
    times = {"contiguous": 1.0, "channels_last": 0.1}
    assert chosen_with(monkeypatch, "train.steps=6000", step_s=times).memory_format == "channels_last"
    several = chosen_with(monkeypatch, "train.steps=6000", step_s=times, processes=SeveralProcesses)
    assert several.memory_format == "contiguous"


@pytest.mark.parametrize(("hours", "compiled"), [("null", True), ("1.5", False), ("0.5", False)])
def test_compiling_pays_only_within_the_hours_that_a_run_has(monkeypatch, hours, compiled):
    """Ten minutes of compiling save a tenth: of 100 hours, but not of 1.5; half an hour is not even tried."""
    times = {"contiguous": 1.0, "channels_last": 1.0, "compiled": 0.9}
    if hours == "0.5":
        del times["compiled"]
    chosen = chosen_with(monkeypatch, "train.steps=360000", f"train.max_hours={hours}", step_s=times)
    assert chosen.compile is compiled


def test_a_trial_on_the_cpu_asks_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 8)
    times = {"contiguous": 1.0, "channels_last": 0.1}
    assert chosen_with(monkeypatch, "train.steps=6000", step_s=times).memory_format == "channels_last"


def no_compiler(graph, inputs):
    """Stands for torch's compiler on a machine that has none of C++."""
    raise RuntimeError("no compiler")


def lacking(how: str):
    """What stands for ``torch.compile`` where it cannot: at once, in a forward, or in a backward pass."""
    from functorch.compile import nop
    from torch._dynamo.backends.common import aot_autograd

    def at_once(module):
        raise RuntimeError("no compiler")

    backends = {"forward": no_compiler, "backward": aot_autograd(fw_compiler=nop, bw_compiler=no_compiler)}
    return at_once if how == "at once" else partial(torch.compile, backend=backends[how])


@pytest.mark.parametrize("how", ["at once", "forward", "backward"])
def test_networks_that_cannot_be_compiled_end_in_one_line_before_anything_is_written(tmp_path, monkeypatch, how):
    monkeypatch.setattr(torch, "compile", lacking(how))
    with pytest.raises(i2i.UserError, match=r"--set engine.compile=false.*no compiler") as error:
        trained(tmp_path / "run", "engine.compile=true", steps=1)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_machine_without_a_compiler_of_c_says_how_to_go_on(tmp_path):
    words = [sys.executable, "-m", "i2i", "train", "pix2pix", "--steps", "1", "--out", "run"]
    words += [word for one in [*TINY, "engine.compile=true"] for word in ("--set", one)]
    environment = os.environ | {"CXX": "/nonexistent", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert "use --set engine.compile=false" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
