"""The benchmark of the training loop: attempts in processes of their own, the best of them, and its history."""
