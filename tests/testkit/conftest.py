"""What the tests of the kits share."""

import pytest


@pytest.fixture(autouse=True)
def short_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """On CI pytest explains each failure in full, which takes most of a minute where many are wanted."""
    for name in ("CI", "BUILD_NUMBER"):
        monkeypatch.delenv(name, raising=False)
