"""The commands that export, use and measure models."""
