"""From text to batches: sources, token files, splits and windows.

```python
dataset = prepare("books/", tokenizer_info)
windows = RandomWindows(dataset.train.tokens, block_size=128, batch_size=12, seed=42)
batch = windows.batch(step=0)  # tokens and targets (12, 128)
```
"""

from alpha_train.data.dataset import Dataset, open_dataset, prepare
from alpha_train.data.progress import Progress
from alpha_train.data.source import TextSource, open_source, text_source
from alpha_train.data.token_store import TokenSplit
from alpha_train.data.windows import IGNORED, Batch, PackedWindows, RandomWindows, Windows, evaluation_batches

__all__ = [
    "IGNORED",
    "Batch",
    "Dataset",
    "PackedWindows",
    "Progress",
    "RandomWindows",
    "TextSource",
    "TokenSplit",
    "Windows",
    "evaluation_batches",
    "open_dataset",
    "open_source",
    "prepare",
    "text_source",
]
