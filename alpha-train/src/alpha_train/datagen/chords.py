"""Songs as chord progressions.

A song has a key and a few sections; a section is a line of four or eight chords. Degrees follow each other as in
functional harmony (Piston, "Harmony", 1941): tonic goes anywhere, subdominant to dominant or tonic, dominant mostly to
tonic. Sections come back unchanged, so that looking far back pays for a model.
"""

from alpha_train.datagen.draws import Draws

__all__ = ["document"]

_MAJOR_SCALES = {
    "C": ("C", "D", "E", "F", "G", "A", "B"),
    "G": ("G", "A", "B", "C", "D", "E", "F#"),
    "D": ("D", "E", "F#", "G", "A", "B", "C#"),
    "A": ("A", "B", "C#", "D", "E", "F#", "G#"),
    "E": ("E", "F#", "G#", "A", "B", "C#", "D#"),
    "F": ("F", "G", "A", "Bb", "C", "D", "E"),
    "Bb": ("Bb", "C", "D", "Eb", "F", "G", "A"),
    "Eb": ("Eb", "F", "G", "Ab", "Bb", "C", "D"),
}
_KEYS = {"G": 5.0, "C": 5.0, "D": 4.0, "A": 3.0, "E": 2.0, "F": 2.0, "Bb": 1.0, "Eb": 1.0}
_NEXT = {  # degree: the degrees after it
    1: {4: 4.0, 5: 4.0, 6: 3.0, 2: 2.0, 3: 1.0},
    2: {5: 6.0, 4: 1.0, 1: 1.0},
    3: {6: 4.0, 4: 3.0, 2: 1.0},
    4: {5: 4.0, 1: 4.0, 2: 2.0, 6: 1.0},
    5: {1: 6.0, 6: 3.0, 4: 1.0},
    6: {4: 4.0, 2: 3.0, 5: 2.0, 3: 1.0},
}
_QUALITIES = {  # degree: the endings of its chord
    1: {"": 10.0, "maj7": 2.0, "add9": 1.0, "sus4": 0.5},
    2: {"m": 8.0, "m7": 4.0},
    3: {"m": 8.0, "m7": 2.0},
    4: {"": 10.0, "maj7": 2.0, "add9": 1.0},
    5: {"": 8.0, "7": 5.0, "sus4": 2.0},
    6: {"m": 9.0, "m7": 4.0},
}
_FORMS = ("VVCVCC", "VCVCBC", "VVBV", "VCVC", "VVCVCBCC")


def document(draws: Draws) -> str:
    """Returns a song: a line for each section, a chord a word."""
    scale = _MAJOR_SCALES[draws.weighted(_KEYS)]
    form = draws.choice(_FORMS)
    length = draws.weighted({4: 3.0, 8: 2.0})
    sections: dict[str, str] = {}
    for name in form:
        if name not in sections:
            sections[name] = _section(draws, scale, length, first=1 if name == "V" else draws.choice((4, 6, 1)))
    return "\n".join(sections[name] for name in form)


def _section(draws: Draws, scale: tuple[str, ...], length: int, first: int) -> str:
    degrees = [first]
    while len(degrees) < length:
        degrees.append(draws.weighted(_NEXT[degrees[-1]]))
    return " ".join(scale[degree - 1] + draws.weighted(_QUALITIES[degree]) for degree in degrees)
