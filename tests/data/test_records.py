"""JSON Lines and Parquet: what a record holds, and what is said of one that cannot be used."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from alpha_core.descriptors import TokenizerInfo
from alpha_core.errors import DataError, NotInstalledError
from alpha_core.tokenizer import CHAT_SPECIALS
from alpha_tokenizers import BpeTokenizer, CharTokenizer
from alpha_train.data import Dataset, open_source, prepare
from alpha_train.data.record import pieces_of_record
from alpha_train.data.survey import pieces_of, survey

USER, ASSISTANT, END = CHAT_SPECIALS
CHAT = TokenizerInfo(name="bpe-chat", summary="", load=lambda: BpeTokenizer, vocab_size=400, specials=CHAT_SPECIALS)
CHAR = TokenizerInfo(name="char", summary="", load=lambda: CharTokenizer, specials=(END,))
HELLO = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hi."}]


def write_lines(path: Path, records: list[Any]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(path)


def texts_of(spec: str, **settings: str) -> list[str]:
    with open_source(spec, **settings) as source:
        return [piece.text for piece in pieces_of(survey(source).texts)]


def message_of(spec: str, **settings: str) -> str:
    with pytest.raises(DataError) as caught:
        texts_of(spec, **settings)
    return str(caught.value)


def test_each_line_is_a_document_and_blank_ones_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one\\ntwo", "id": 1}\r\n\n{"text": " "}\n{"text": "gr\xc3\xbcn"}')
    assert texts_of(str(path)) == ["one\ntwo", "grün"]


def test_the_text_may_have_another_key(tmp_path: Path) -> None:
    spec = write_lines(tmp_path / "x.ndjson", [{"body": "here", "text": "not here"}])
    assert texts_of(spec, text_key="body") == ["here"]


def test_lines_and_files_stand_side_by_side_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    write_lines(tmp_path / "texts" / "a.jsonl", [{"text": "one"}, {"text": f"two{END}three"}])
    (tmp_path / "texts" / "b.txt").write_text("four")
    assert texts_of(str(tmp_path / "texts")) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "cut', "it is not JSON: Unterminated string"),
        (b"[1]", 'it is no JSON object\nhint: a line reads {"text": "..."} or {"messages": [...]}'),
        (b"{}", "there is no `text`; it is empty"),
        (b'{"content": "a", "id": 1}', "there is no `text`; there are `content`, `id`\nhint: name the key"),
        (b'{"Text": "a"}', "there is no `text`; there are `Text`\nhint: did you mean `Text`?"),
        (b'{"text": 5}', "`text` is neither text nor a list of messages"),
        (b'{"text": null}', "`text` is neither text nor a list of messages"),
        (b'{"text": "\\ud800"}', "the text holds half of a surrogate pair"),
        (b'{"text": "gr\xfcn"}', "it is not UTF-8"),
        (b'{"text": "a\x00b"}', "it is not JSON"),
        (b'{"a": ' + b"[" * 100_000, "it is not JSON: maximum recursion depth"),
        (b'{"messages": "Hello"}', "`messages` is neither text nor a list of messages"),
        (b'{"messages": [3]}', "message 1 is no object with `role` and `content`"),
        (b'{"messages": []}', "the conversation has no message of the assistant"),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "the conversation has no message of the assistant"),
        (b'{"messages": [{"role": "user"}]}', "message 1 has no text under `content`"),
        (b'{"messages": [{"role": "tool", "content": "a"}]}', "the `role` of message 1 is not `user`, `assistant` or"),
        (b'{"user": "a <|assistant|> b", "assistant": "c"}', "message 1 holds the text `<|assistant|>`"),
    ],
)
def test_a_line_that_cannot_be_used_is_refused_with_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"text": "fine"}\n\n' + line + b"\n")
    assert f"`{path}`, line 3: {reason}" in message_of(str(path))


def test_a_line_that_never_ends_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpha_train.data.jsonl._LONGEST_LINE", 1 << 20)
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"text": "' + b"a" * (2 << 20))
    assert message_of(str(path)) == f"`{path}`, line 1: it is longer than 1 MiB"


def rendered(record: dict[str, Any]) -> str:
    """The text of a record; what counts in the loss is in brackets."""
    shown, inside = "", False
    for piece in pieces_of_record(record):
        if piece.counts != inside:
            shown += "[" if piece.counts else "]"
            inside = piece.counts
        shown += piece.text
    return shown + ("]" if inside else "")


def test_a_conversation_counts_where_the_assistant_speaks_and_ends_its_turn() -> None:
    more = [*HELLO, {"role": "user", "content": " And? "}, {"role": "assistant", "content": "That is\nall. "}]
    one = f"{USER} Hello! {ASSISTANT}[ Hi.]"
    assert rendered({"messages": HELLO}) == one
    assert rendered({"text": HELLO}) == one
    assert rendered({"user": "Hello!", "assistant": "Hi."}) == one
    assert rendered({"messages": more}) == f"{USER} Hello! {ASSISTANT}[ Hi. {USER}] And? {ASSISTANT}[ That is\nall.]"


def test_a_system_message_goes_before_what_the_user_says() -> None:
    system = {"role": "system", "content": "Be kind."}
    assert rendered({"messages": [system, *HELLO]}) == f"{USER} Be kind.\n\nHello! {ASSISTANT}[ Hi.]"
    assert rendered({"messages": [system, HELLO[1]]}) == f"{USER} Be kind. {ASSISTANT}[ Hi.]"


def test_what_follows_the_last_answer_does_not_count() -> None:
    assert rendered({"messages": [*HELLO, HELLO[0]]}).endswith(f"[ Hi. {USER}] Hello!")


words = st.text("ab \n\t", max_size=30)


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant"]), words), min_size=1, max_size=6), st.integers(1, 9))
def test_long_messages_are_cut_without_a_trace(turns: list[tuple[str, str]], size: int) -> None:
    from alpha_train.data.document import cut_text

    turns.append(("assistant", "c"))
    pieces = list(pieces_of_record({"messages": [{"role": role, "content": text} for role, text in turns]}))
    assert "".join(piece.text for piece in pieces) == " ".join(f"<|{role}|> {text.strip()}" for role, text in turns)
    assert [piece.is_last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    for _, text in turns:
        parts = list(cut_text(text, size))
        assert "".join(parts) == text
        assert all(len(part) <= size for part in parts)


def chats(count: int) -> list[dict[str, Any]]:
    return [{"user": f"What is {i} plus {i}?", "assistant": f"It is {2 * i}."} for i in range(count)]


def prepared(tmp_path: Path, records: list[Any], fraction: float = 0.2) -> Dataset:
    return prepare(write_lines(tmp_path / "x.jsonl", records), CHAT, validation_fraction=fraction)


def test_the_tokens_that_count_are_stored_and_found_again(tmp_path: Path) -> None:
    for dataset in (prepared(tmp_path, chats(20)), prepared(tmp_path, chats(20))):
        for split in (dataset.train, dataset.validation):
            assert split.mask is not None
            assert len(split.mask) == len(split.tokens)
            said = dataset.tokenizer.decode(split.tokens[split.mask == 1].tolist())
            asked = dataset.tokenizer.decode(split.tokens[split.mask == 0].tolist())
            answers = said.split(END)
            assert answers.pop() == ""
            assert all(answer.startswith(" It is ") for answer in answers)
            assert len(answers) == len(split.document_starts if split.document_starts is not None else ())
            assert asked.count(f"{USER} What is") == len(answers)
            assert split.loss_tokens == split.mask.sum()
            assert split.loss_bytes == len("".join(answers))
            assert split.bytes_per_token == split.loss_bytes / split.loss_tokens


def test_a_text_that_reads_like_a_conversation_has_other_tokens(tmp_path: Path) -> None:
    chat = prepared(tmp_path, chats(20))
    texts = [{"text": "".join(piece.text for piece in pieces_of_record(record))} for record in chats(20)]
    plain = prepared(tmp_path, texts)
    assert plain.train.mask is None
    assert plain.content != chat.content


def test_texts_and_conversations_may_be_mixed(tmp_path: Path) -> None:
    dataset = prepared(tmp_path, [{"text": "all of this counts"}, *chats(1)], fraction=0.0)
    assert dataset.train.mask is not None
    counted = dataset.tokenizer.decode(dataset.train.tokens[dataset.train.mask == 1].tolist())
    assert counted == f"all of this counts{END} It is 0.{END}"


def test_one_conversation_cannot_be_split_but_can_be_learned(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="one conversation cannot be split"):
        prepared(tmp_path, chats(1))
    dataset = prepared(tmp_path, chats(1), fraction=0.0)
    assert dataset.tokenizer.decode(dataset.train.tokens.tolist()).endswith(END)


def test_conversations_need_a_tokenizer_with_chat_specials(tmp_path: Path) -> None:
    spec = write_lines(tmp_path / "x.jsonl", chats(3))
    with pytest.raises(DataError, match=r"tokenizer `char` has no `<\|user\|>`, `<\|assistant\|>`") as caught:
        prepare(spec, CHAR)
    assert "--tokenizer=bpe-chat" in str(caught.value)
    with pytest.raises(DataError, match=r"tokenizer `char` has no `<\|user\|>`"):
        prepare(spec, CharTokenizer.train(["abc"]))


def write_table(path: Path, columns: dict[str, list[Any]], **options: Any) -> str:
    parquet.write_table(pyarrow.table(columns), path, **options)
    return str(path)


def test_each_row_of_parquet_is_a_document(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(1000)]
    spec = write_table(tmp_path / "x.parquet", {"id": list(range(1000)), "text": texts}, row_group_size=300)
    assert texts_of(spec) == texts


def test_parquet_may_hold_conversations(tmp_path: Path) -> None:
    spec = write_table(tmp_path / "x.parquet", {"messages": [HELLO, HELLO]})
    assert "".join(texts_of(spec)) == f"{USER} Hello! {ASSISTANT} Hi." * 2


def test_a_table_that_cannot_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    spec = write_table(tmp_path / "x.parquet", {"body": ["a"], "number": [1]})
    assert message_of(spec) == (
        f"`{spec}`: there is no `text`; there are `body`, `number`\n"
        "hint: name the key that holds the text: `--text-key=...`"
    )
    assert message_of(spec, text_key="number") == f"`{spec}`, row 1: `number` is neither text nor a list of messages"
    damaged = tmp_path / "damaged.parquet"
    damaged.write_bytes(b"PAR1 and nothing more")
    assert message_of(str(damaged)).startswith(f"`{damaged}` is no Parquet file, or a damaged one: ")


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = write_table(tmp_path / "x.parquet", {"text": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(NotInstalledError, match=r"is not installed: `pip install alpha-train\[parquet\]`"):
        texts_of(spec)
