"""Throw-away plugins, installed as real distributions."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

InstallPlugin = Callable[..., None]


@pytest.fixture
def install_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InstallPlugin]:
    """Returns a function that writes a module, and the metadata that makes it an installed distribution."""
    monkeypatch.delenv("ALPHA_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    modules: list[str] = []

    def install(name: str, source: str, *, package: str | None = None, version: str = "1.0") -> None:
        module = f"throwaway_{len(modules)}_{name}"
        package = package or f"{name}-package"
        (tmp_path / f"{module}.py").write_text(source)
        metadata = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        metadata.mkdir(exist_ok=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        with (metadata / "entry_points.txt").open("a") as file:
            file.write(f"[alpha]\n{name} = {module}\n")
        modules.append(module)
        importlib.invalidate_caches()

    yield install
    for module in modules:
        sys.modules.pop(module, None)
