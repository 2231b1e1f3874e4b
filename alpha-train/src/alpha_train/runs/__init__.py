"""Looking at runs: what there are, how they went, how they differ. Everything is read from their folders."""
