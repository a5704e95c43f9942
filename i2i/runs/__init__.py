"""Run folders and the checkpoints in them: what training writes and export reads."""
