"""The work in tinygrad."""
