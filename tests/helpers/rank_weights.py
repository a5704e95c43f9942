"""Run by every process of the tests of distributed training: trains and writes this process's weights and buffers."""

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from i2i.config import resolve
from i2i.engine import launch
from i2i.engine.batching.step_batches import step_batches
from i2i.engine.setup import open_training
from i2i.plugins import Plugins


def final_state(recipe: str, plugin: str, sets: list[str]) -> tuple[int, dict[str, Tensor]]:
    """This process's rank, and its weights and buffers after training."""
    plugins = Plugins([plugin] if plugin else [])
    config = resolve(plugins, recipe, sets=sets)
    fabric = launch(config.engine)
    training, data = open_training(config, plugins, fabric)
    steps = step_batches(training, data, fabric)
    while training.step < training.steps:
        training.train_step(next(steps))
    state = {f"{name}/{key}": t for name, m in training.modules.items() for key, t in m.state_dict().items()}
    return fabric.global_rank, {key: tensor.clone().contiguous() for key, tensor in state.items()}


def write_final_states(out: Path, runs: dict[str, tuple[str, str, list[str]]]) -> None:
    """A file a run for this process; `runs` has recipe, plugin file and settings by name."""
    for name, words in runs.items():
        rank, state = final_state(*words)
        save_file(state, out / f"{name}-{rank}.safetensors")
