"""Metrics of sets of images: features taken once, distances of sets of features, and the metrics that view them."""
