"""The work of tokenizers in `tokenizers` (Hugging Face) and `tiktoken` (OpenAI)."""
