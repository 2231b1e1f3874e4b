"""Folk tunes in ABC notation (standard 2.1).

A tune has a header and two parts of eight bars, each repeated. A bar is made of rhythms that fill its meter exactly;
the melody walks over the scale, lands on a tone of the bar's chord on every first beat, and ends each part on the
tonic. Bars 5 and 6 repeat bars 1 and 2, as in most session tunes.
"""

import attrs

from alpha_train.datagen.draws import Draws

__all__ = ["document"]


@attrs.frozen(kw_only=True)
class _Dance:
    """A kind of tune. Rhythms are for half a bar, in units of L:1/8."""

    name: str
    meter: str
    rhythms: dict[tuple[int, ...], float]


_DANCES = (
    _Dance(
        name="Reel", meter="4/4", rhythms={(1, 1, 1, 1): 6.0, (2, 1, 1): 2.0, (1, 1, 2): 2.0, (2, 2): 1.0, (3, 1): 1.0}
    ),
    _Dance(name="Hornpipe", meter="4/4", rhythms={(3, 1): 4.0, (1, 1, 1, 1): 3.0, (2, 2): 2.0, (2, 1, 1): 2.0}),
    _Dance(name="Jig", meter="6/8", rhythms={(1, 1, 1): 6.0, (2, 1): 3.0, (3,): 1.0}),
    _Dance(name="Polka", meter="2/4", rhythms={(1, 1): 5.0, (2,): 2.0}),
    _Dance(name="Waltz", meter="3/4", rhythms={(3,): 2.0, (2, 1): 3.0, (1, 1, 1): 3.0}),
)
_KEYS = ("D", "G", "A", "C", "Em", "Am", "Ador", "Edor")
_LETTERS = "CDEFGAB"
_DEGREES_OF_CHORD = {1: (0, 2, 4), 4: (3, 5, 0), 5: (4, 6, 1)}
_HARMONY = (1, 1, 4, 5, 1, 1, 5, 1)  # the chord of each bar of a part
_LOWEST, _HIGHEST = 0, 12  # steps of the scale above C: from C to a'
_TITLES = {
    "title": ("The {adjective} {noun}", "{name}'s {noun}", "The {noun} of {place}", "{name}'s {adjective} {noun}"),
    "adjective": (
        "Morning",
        "Merry",
        "Silver",
        "Old",
        "Wandering",
        "Broken",
        "Lonesome",
        "Drunken",
        "Green",
        "Crooked",
    ),
    "noun": ("Fancy", "Piper", "Maid", "Ferry", "Fiddle", "Farewell", "Heather", "Harvest", "Sailor", "Lamb", "Bridge"),
    "name": ("Nora", "Tom", "Mary", "Paddy", "Kate", "Johnny", "Brigid", "Sean"),
    "place": ("Kerry", "Clare", "Sligo", "the Glen", "Galway", "the West", "Antrim"),
}


def document(draws: Draws) -> str:
    """Returns a tune, header first."""
    dance, key = draws.choice(_DANCES), draws.choice(_KEYS)
    title = f"{draws.expand(_TITLES, 'title')} {dance.name}"
    tonic = _LETTERS.index(key[0])
    parts = [_part(draws, dance, tonic, base=base) for base in (tonic, tonic + 4)]
    return f"X:1\nT:{title}\nM:{dance.meter}\nL:1/8\nK:{key}\n" + "\n".join(parts)


def _part(draws: Draws, dance: _Dance, tonic: int, base: int) -> str:
    bars: list[str] = []
    pitch = base
    for number, chord in enumerate(_HARMONY):
        if number in (4, 5):
            bars.append(bars[number - 4])
            continue
        is_last = number == len(_HARMONY) - 1
        bar, pitch = _bar(draws, dance, tonic, chord, pitch, is_last=is_last)
        bars.append(bar)
    return f"|: {' | '.join(bars[:4])} |\n{' | '.join(bars[4:])} :|"


def _bar(draws: Draws, dance: _Dance, tonic: int, chord: int, pitch: int, *, is_last: bool) -> tuple[str, int]:
    halves = []
    for half in (0, 1):
        rhythm = draws.weighted(dance.rhythms)
        notes = []
        for beat, length in enumerate(rhythm):
            pitch = _tone_of_chord(tonic, chord, pitch) if half == beat == 0 else _step(draws, pitch)
            if is_last and half == 1 and beat == len(rhythm) - 1:
                pitch = _tone(tonic, (0,), pitch)
            notes.append(_note(pitch, length))
        halves.append("".join(notes))
    return " ".join(halves), pitch


def _step(draws: Draws, pitch: int) -> int:
    moved = pitch + draws.weighted({1: 5.0, -1: 5.0, 2: 2.0, -2: 2.0, 0: 1.0, 4: 0.5, -4: 0.5})
    return moved if _LOWEST <= moved <= _HIGHEST else 2 * pitch - moved


def _tone_of_chord(tonic: int, chord: int, pitch: int) -> int:
    return _tone(tonic, _DEGREES_OF_CHORD[chord], pitch)


def _tone(tonic: int, degrees: tuple[int, ...], pitch: int) -> int:
    """Returns the nearest pitch that is one of these degrees of the scale."""
    wanted = {(tonic + degree) % 7 for degree in degrees}
    return min((p for p in range(_LOWEST, _HIGHEST + 1) if p % 7 in wanted), key=lambda p: (abs(p - pitch), p))


def _note(pitch: int, length: int) -> str:
    letter = _LETTERS[pitch % 7]
    name = letter if pitch < 7 else letter.lower()
    return name + (str(length) if length > 1 else "")
