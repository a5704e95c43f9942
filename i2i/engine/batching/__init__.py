"""The batches of each step: their size, in stages or as memory allows, and where they come from."""
