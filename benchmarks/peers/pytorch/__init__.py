"""The work in PyTorch."""
