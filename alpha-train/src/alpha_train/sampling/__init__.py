"""Sampling text from a model: what a token is drawn from, when a text ends, draws and beam search.

```python
run = load_run(find_run(Path("runs"), "last"), load_plugins())
for completion in run.sampler().complete(["def ", "class "], SampleConfig(steps=50)):
    print(completion.prompt + completion.text)
```
"""

from alpha_train.sampling.completion import Completion, Piece, ScoredToken
from alpha_train.sampling.sampler import Sampler

__all__ = ["Completion", "Piece", "Sampler", "ScoredToken"]
