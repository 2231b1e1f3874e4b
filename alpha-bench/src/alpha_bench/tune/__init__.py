"""Tuning: a sweep over the knobs of a backend, batch and accumulation, in which only ok candidates count."""
