"""The ops of the backend `helios`, one file for each family of the contract in `alpha_core.ops`."""
