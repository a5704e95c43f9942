"""Evaluation: models and folders of images, measured by metrics."""
