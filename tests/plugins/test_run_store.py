"""The choice of a run store: the first plugin that has one, and errors that name who is wrong."""

from pathlib import Path

import pytest

from alpha_core.errors import DatabaseError, PluginError
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins
from alpha_core.run_store import RunStore


class Empty(RunStore):
    def __init__(self, name: str = "empty") -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def runs(self):
        return []

    def run(self, run_id):
        return None

    def config(self, run_id):
        return {}

    def metrics(self, run_id, *, after=0):
        return []

    def events(self, run_id):
        return []

    def checkpoints(self, run_id):
        return []

    def close(self) -> None:
        pass


class Brings:
    def __init__(self, store: object) -> None:
        self.store, self.asked = store, []

    @hookimpl
    def choose_run_store(self, runs: Path):
        self.asked.append(runs)
        if isinstance(self.store, Exception):
            raise self.store
        return self.store


def chosen(*plugins: Brings) -> RunStore | None:
    found = Plugins()
    for index, plugin in enumerate(plugins):
        found.register(plugin, name=f"plugin{index}")
    return found.choose_run_store(Path("runs"))


def test_without_a_plugin_that_has_one_there_is_none():
    assert chosen() is None
    assert chosen(Brings(None), Brings(None)) is None


def test_of_several_the_plugin_that_was_loaded_last_is_asked_first():
    early, late, without = Brings(Empty("early")), Brings(Empty("late")), Brings(None)
    assert chosen(early, late, without) is late.store
    assert (early.asked, late.asked, without.asked) == ([], [Path("runs")], [Path("runs")])


def test_what_is_no_store_is_the_fault_of_its_plugin():
    with pytest.raises(PluginError, match=r"`choose_run_store` of plugin `plugin0` returned 7, no `RunStore`"):
        chosen(Brings(7))


def test_a_database_that_cannot_be_opened_is_reported():
    with pytest.raises(DatabaseError, match="away"):
        chosen(Brings(DatabaseError("away")))
