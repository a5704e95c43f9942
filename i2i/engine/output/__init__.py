"""What a training writes: figures, sample grids, validation, checkpoints."""
