"""The suite `tokenizer`: learning a byte-level BPE from text, encoding and decoding."""

from typing import Any

from alpha_bench.case import Case, Suite, Work
from alpha_bench.session import Session
from alpha_bench.suites.text import text_facts, text_of
from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import AlphaError
from alpha_core.tokenizer import Tokenizer

__all__ = ["SUITE"]

_NAMES = ("bpe", "bpe-4k", "bpe-16k")
_SIZE = 5_000_000
"""Characters of text."""


def cases(session: Session) -> list[Case]:
    names = _NAMES[:1] if session.quick else _NAMES
    return [case for name in names for case in (_train(session, name), _encode(session, name), _decode(session, name))]


def _train(session: Session, name: str) -> Case:
    def prepare(session: Session) -> Work:
        info, text = session.plugins.tokenizers.get(name), text_of(session, _SIZE)

        def run(times: int) -> None:
            for _ in range(times):
                _learned(info, text)

        return Work(run=run, work={"text_bytes": len(text.encode())})

    return _case(session, name, "train", prepare, heavy=True)


def _encode(session: Session, name: str) -> Case:
    def prepare(session: Session) -> Work:
        text = text_of(session, _SIZE)
        tokenizer = _learned(session.plugins.tokenizers.get(name), text)
        ids: list[int] = []

        def run(times: int) -> None:
            for _ in range(times):
                ids[:] = tokenizer.encode(text)

        def extra() -> dict[str, Any]:
            if tokenizer.decode(ids) != text:
                raise AlphaError("decoding what was encoded does not give the text again")
            return {"tokens": len(ids), "bytes_per_token": len(text.encode()) / len(ids)}

        return Work(run=run, work={"text_bytes": len(text.encode())}, extra=extra)

    return _case(session, name, "encode", prepare, heavy=True)


def _decode(session: Session, name: str) -> Case:
    def prepare(session: Session) -> Work:
        text = text_of(session, _SIZE)
        tokenizer = _learned(session.plugins.tokenizers.get(name), text)
        ids = tokenizer.encode(text)

        def run(times: int) -> None:
            for _ in range(times):
                tokenizer.decode(ids)

        return Work(run=run, work={"text_bytes": len(text.encode())})

    return _case(session, name, "decode", prepare)


def _learned(info: TokenizerInfo, text: str) -> Tokenizer:
    return info.load().train([text], vocab_size=info.vocab_size, specials=info.specials)


def _case(session: Session, name: str, what: str, prepare: Any, *, heavy: bool = False) -> Case:
    return Case(
        suite="tokenizer",
        id=f"{name}-{what}",
        parameters={"tokenizer": name, **text_facts(session, _SIZE)},
        prepare=prepare,
        alone=True,
        heavy=heavy,
    )


SUITE = Suite(
    name="tokenizer",
    summary="learning a BPE, encoding and decoding",
    cases=cases,
    needs_backend=False,
    needs_ceilings=False,
)
