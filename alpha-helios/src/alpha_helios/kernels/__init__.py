"""Builders of kernels, by family: each generates one kernel for the parameters that it is given."""
