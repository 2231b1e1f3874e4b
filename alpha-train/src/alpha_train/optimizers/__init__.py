"""Optimizers, one file each. Those of hidden matrices alone leave the rest to AdamW."""
