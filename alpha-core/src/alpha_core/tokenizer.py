"""What a tokenizer is: text to token ids and back, with artifacts that are plain JSON."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self

__all__ = ["CHAT_SPECIALS", "END_OF_TEXT", "Tokenizer"]

END_OF_TEXT = "<|end_of_text|>"
CHAT_SPECIALS = ("<|user|>", "<|assistant|>", END_OF_TEXT)
_GPT2_END_OF_TEXT = "<|endoftext|>"


class Tokenizer(ABC):
    """Turns text into token ids `0 <= id < vocab_size` and back. Immutable and deterministic.

    A complete tokenizer plugin:

    ```python
    class AsciiTokenizer(Tokenizer):
        type = "ascii"

        @property
        def vocab_size(self): return 128
        @property
        def specials(self): return {}
        def encode(self, text): return [min(ord(c), 127) for c in text]
        def decode(self, ids):
            if not all(0 <= i < 128 for i in ids):
                raise TokenizerError("ids run from 0 to 127")
            return "".join(map(chr, ids))
        def to_artifacts(self): return {"type": self.type, "vocabSize": 128}
        @classmethod
        def from_artifacts(cls, artifacts):
            if artifacts.get("vocabSize") != 128:
                raise TokenizerError("an ASCII vocabulary has 128 tokens")
            return cls()
        @classmethod
        def train(cls, texts, *, vocab_size=None, specials=()): return cls()
    ```
    """

    type: ClassVar[str]
    """Names the class in artifacts, so that the right plugin loads them."""

    @property
    @abstractmethod
    def vocab_size(self) -> int:
        """Number of ids, specials included."""

    @property
    @abstractmethod
    def specials(self) -> dict[str, int]:
        """Special tokens and their ids; each is encoded as one id wherever its text occurs."""

    @property
    def end_of_text(self) -> int | None:
        """Id of the special token that ends a document, `<|end_of_text|>` or GPT-2's `<|endoftext|>`; None without."""
        specials = self.specials
        return specials.get(END_OF_TEXT, specials.get(_GPT2_END_OF_TEXT))

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Returns the ids of `text`; what happens to unknown symbols is the tokenizer's declared policy."""

    @abstractmethod
    def decode(self, ids: Sequence[int]) -> str:
        """Returns the text of `ids`. Raises `TokenizerError` for an id outside the vocabulary."""

    @abstractmethod
    def to_artifacts(self) -> dict[str, Any]:
        """Returns everything that `from_artifacts` needs, as JSON values: `type`, `vocabSize`, `vocab`, ..."""

    @classmethod
    @abstractmethod
    def from_artifacts(cls, artifacts: dict[str, Any]) -> Self:
        """Rebuilds a tokenizer. Raises `TokenizerError` for artifacts that are incomplete or contradictory."""

    @classmethod
    @abstractmethod
    def train(cls, texts: Iterable[str], *, vocab_size: int | None = None, specials: Sequence[str] = ()) -> Self:
        """Builds a tokenizer from text, read once, in order. `vocab_size` None means the tokenizer's own default."""
