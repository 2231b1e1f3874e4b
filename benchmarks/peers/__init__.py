"""Workers, one for each toolkit that is measured. Each runs as a process of its own, with its toolkit's environment."""
