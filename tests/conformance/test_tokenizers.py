"""The built-in tokenizers pass the kit."""

from alpha_testkit.tokenizer import TokenizerConformance
from alpha_tokenizers.bpe import BpeTokenizer
from alpha_tokenizers.char import CharTokenizer
from alpha_tokenizers.word import WordTokenizer


class TestChar(TokenizerConformance):
    tokenizer_class = CharTokenizer


class TestWord(TokenizerConformance):
    tokenizer_class = WordTokenizer
    vocab_size = 100


class TestBpe(TokenizerConformance):
    tokenizer_class = BpeTokenizer
    vocab_size = 320
    lossless = True
