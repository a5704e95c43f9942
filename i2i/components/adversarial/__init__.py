"""The adversarial game: losses, penalties, augmentation, and the `Adversary` that puts them together."""
