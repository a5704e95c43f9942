"""What the server of `helpers.command` imports before its first fork: all that training, export and report need.

Nothing is computed here: threads that a computation starts would be missing in the forks.
"""
# ruff: noqa: F401

import albumentations
import networkx
import onnxscript.optimizer
import onnxscript.rewriter
import torch.export._trace
import torch.onnx._internal.exporter._core
import torch.utils.tensorboard

import i2i.cli
import i2i.engine
import i2i.engine.batching.batch_size
import i2i.export.run
import i2i.report
import i2i.testing.processes
import i2i.training
import i2i.translate.folders.folder
from i2i.plugins import KINDS, Plugins

plugins = Plugins()
for kind in KINDS:
    plugins.table(kind)
