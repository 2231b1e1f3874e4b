"""Alpha beside its peers: `python -m benchmarks` measures, `python -m benchmarks render` writes the page of results."""
