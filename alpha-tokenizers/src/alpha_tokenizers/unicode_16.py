"""Text as Unicode 16 sees it, so that splitting does not depend on the tables of whichever `regex` is installed.

`tiktoken` 0.14 and `tokenizers` 0.23 have the tables of Unicode 16, and so has the oldest `regex` that this package
takes. Newer ones know more letters, numbers and marks; without this module, an upgrade would change token ids.
"""

import re

__all__ = ["as_unicode_16"]

# Letters, numbers and marks of Unicode 17 and 18; in Unicode 16 their code points are not assigned. Two tables, since
# `re` looks up a class of code points below U+10000 in one step, and goes through all ranges of one above.
_NEWER_BELOW_10000 = """
    558 58B-58C 5C8-5C9 88F B53-B54 C5C CDC 1ACF-1AF0 208F 209D-209F A7CE-A7CF A7D2 A7D4 A7DD A7E2 A7F1 AB6C-AB6D
"""
_NEWER_FROM_10000 = """
    107BB-107BF 10940-10959 10EC5-10EC7 10ECB-10ECF 10ED9-10EEE 10EF0-10EFB 11B0A 11B60-11B67 11DB0-11DDB
    11DE0-11DE9 11DF0-11DF1 1246F 12475-1247F 12550-12686 16EA0-16EB8 16EBB-16ED3 16FF2-16FF6 187F8-187FF
    18CD6-18CDA 18D09-18D20 18D80-18DF2 18E00-19191 191A0-191D2 1B123-1B128 1B168 1D127-1D128 1D250-1D252
    1D25B-1D25C 1D25F 1D280-1D281 1D6A6 1DF1F-1DF24 1DF2B-1DF81 1DF90-1DF96 1DFCD-1DFFF 1E6C0-1E6DE 1E6E0-1E6F5
    1E6FE-1E6FF 2B73A-2B73F 2B81E 2CEA2-2CEAD 323B0-33479 3D000-3FC3F
"""
_UNASSIGNED = "\ufdd0"  # a noncharacter, which no version ever assigns
# Unicode 17 made U+0295 a letter without case; it was a lowercase one, and U+0250 stays so.
_RECASED, _LOWERCASE = "\u0295", "\u0250"


def _character_class(ranges: str) -> str:
    ends = (item.partition("-") for item in ranges.split())
    return "[" + "".join(f"\\U{int(a, 16):08x}-\\U{int(b or a, 16):08x}" for a, _, b in ends) + "]"


_BELOW_10000 = re.compile(_character_class(_NEWER_BELOW_10000))
_FROM_10000 = re.compile(_character_class(_NEWER_FROM_10000))
_RUN_FROM_10000 = re.compile("[\\U00010000-\\U0010FFFF]+")


def as_unicode_16(text: str) -> str:
    r"""Returns `text` with every character of another class in Unicode 16 replaced by one of that class.

    The result has the same length: what a pattern of classes finds in it, it finds at those places of `text`.

    >>> as_unicode_16("the Tolong Siki letter \U00011DB0") == "the Tolong Siki letter \uFDD0"
    True
    """
    if text.isascii():
        return text
    text = _BELOW_10000.sub(_UNASSIGNED, text.replace(_RECASED, _LOWERCASE))
    return _RUN_FROM_10000.sub(lambda run: _FROM_10000.sub(_UNASSIGNED, run[0]), text)
