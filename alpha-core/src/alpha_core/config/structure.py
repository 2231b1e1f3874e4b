"""Values from outside into values of settings: strictly, so that a mistake is reported and never guessed at."""

from typing import Any

import cattrs

from alpha_core.config.setting import Setting, texts_of

__all__ = ["structure_data", "structure_text"]

_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def structure_text(setting: Setting, text: str) -> Any:
    """Returns the value that a flag or an environment variable means. Raises `ValueError` if it means none."""
    return texts_of(text) if setting.texts else _text_converter.structure(text, setting.type)


def structure_data(setting: Setting, value: Any) -> Any:
    """Returns the value that a TOML or JSON value means. Raises `ValueError` if it is of another type.

    An integer may stand for a float, and a list or text with commas for a tuple (for a tuple of texts, one text).
    """
    if setting.texts and type(value) is str:
        return (value,)
    return _data_converter.structure(value, setting.type)


def _bool_of_text(text: str, _: Any) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError("not a boolean")
    return _BOOLEANS[text.lower()]


def _names_of_text(text: str, _: Any) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text.strip() else ()


def _exactly(value: Any, expected: type) -> Any:
    if type(value) is not expected:  # not isinstance: a bool is no integer
        raise ValueError(f"not of type {expected.__name__}")
    return value


def _float_of_data(value: Any, _: Any) -> float:
    if type(value) not in (int, float):
        raise ValueError("not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("too large for a float") from error


def _names_of_data(value: Any, _: Any) -> tuple[str, ...]:
    if type(value) is str:
        return _names_of_text(value, _)
    if type(value) not in (list, tuple):
        raise ValueError("not a list")
    return tuple(_exactly(name, str) for name in value)


def _is_names(type_: Any) -> bool:
    return bool(type_ == tuple[str, ...])


_text_converter = cattrs.Converter()
_text_converter.register_structure_hook(int, lambda text, _: int(text))
_text_converter.register_structure_hook(float, lambda text, _: float(text))
_text_converter.register_structure_hook(bool, _bool_of_text)
_text_converter.register_structure_hook(str, lambda text, _: text)
_text_converter.register_structure_hook_func(_is_names, _names_of_text)

_data_converter = cattrs.Converter()
for _type in (int, bool, str):
    _data_converter.register_structure_hook(_type, _exactly)
_data_converter.register_structure_hook(float, _float_of_data)
_data_converter.register_structure_hook_func(_is_names, _names_of_data)
