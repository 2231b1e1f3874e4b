"""Which backend `auto` means."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from alpha_core.descriptors import BackendInfo
from alpha_core.errors import BackendError, NotInstalledError, PluginError, UnknownNameError
from alpha_core.hookspecs import hookimpl
from alpha_core.plugins import Plugins, load_plugins


def backend(
    name: str, priority: int = 0, unavailable: str | None = None, unsuited: str | Exception | None = None
) -> BackendInfo:
    def check() -> str | None:
        if isinstance(unsuited, Exception):
            raise unsuited
        return unsuited

    return BackendInfo(
        name=name,
        summary="A test.",
        priority=priority,
        load=lambda: None,  # type: ignore[arg-type,return-value]
        unavailable=lambda: unavailable,
        unsuited=check,
    )


def bringing(*infos: BackendInfo) -> object:
    @hookimpl
    def register_backends() -> Sequence[BackendInfo]:
        return infos

    return SimpleNamespace(register_backends=register_backends)


def choosing(name: object) -> object:
    @hookimpl
    def choose_backend(available: Sequence[BackendInfo]) -> object:
        assert all(info.unavailable() is None for info in available)
        if isinstance(name, Exception):
            raise name
        return name

    return SimpleNamespace(choose_backend=choose_backend)


@pytest.fixture
def plugins() -> Plugins:
    """Only the default rule, and three backends of which the best cannot run."""
    plugins = load_plugins([])
    plugins.register(
        bringing(backend("slow", 1), backend("fast", 5), backend("gpu", 9, "there is no GPU")), name="machines"
    )
    return plugins


def test_auto_is_the_available_backend_of_highest_priority(plugins: Plugins) -> None:
    assert plugins.choose_backend().name == "fast"


def test_among_equals_auto_is_the_first_one(plugins: Plugins) -> None:
    plugins.register(bringing(backend("as_fast", 5)), name="later")
    assert plugins.choose_backend().name == "fast"


@pytest.mark.parametrize("unsuited", ["only a software device", OSError("no such file")])
def test_auto_passes_over_what_is_unsuited(plugins: Plugins, unsuited: str | Exception) -> None:
    plugins.register(bringing(backend("faster", 8, unsuited=unsuited)), name="later")
    assert plugins.choose_backend().name == "fast"
    assert plugins.choose_backend("faster").name == "faster"


def test_only_auto_asks_what_is_unsuited_and_no_further_than_its_choice() -> None:
    asked: list[str] = []

    def asking(name: str, priority: int) -> BackendInfo:
        def unsuited() -> None:
            asked.append(name)

        return attrs.evolve(backend(name, priority), unsuited=unsuited)

    plugins = load_plugins([])
    plugins.register(bringing(asking("slow", 1), asking("fast", 5)), name="machines")
    assert len(plugins.backends.available()) == 2
    assert plugins.choose_backend("slow").name == "slow"
    assert asked == []
    assert plugins.choose_backend().name == "fast"
    assert asked == ["fast"]


def test_unsuited_backends_alone_are_an_error_with_the_reasons() -> None:
    plugins = load_plugins([])
    plugins.register(bringing(backend("gpu", 9, unsuited="only a software device")), name="machines")
    with pytest.raises(
        BackendError, match=r"no backend suits this machine \(`gpu`: only a software device\)"
    ) as caught:
        plugins.choose_backend()
    assert caught.value.hint == "name one: there are `gpu`"


def test_a_name_goes_before_any_rule(plugins: Plugins) -> None:
    plugins.register(choosing("fast"), name="rule")
    assert plugins.choose_backend("slow").name == "slow"


def test_a_plugin_may_choose_and_may_leave_the_choice_to_others(plugins: Plugins) -> None:
    plugins.register(choosing("slow"), name="rule")
    plugins.register(choosing(None), name="no_opinion")
    assert plugins.choose_backend().name == "slow"


@pytest.mark.parametrize(
    ("choice", "reason"),
    [
        ("gpu", "`choose_backend` returned 'gpu', which is no available backend"),
        (7, "`choose_backend` returned 7, which is no available backend"),
        (ValueError("cannot decide"), "ValueError: cannot decide"),
    ],
)
def test_a_rule_that_fails_is_left_out_with_a_warning(plugins: Plugins, choice: object, reason: str) -> None:
    plugins.register(choosing(choice), name="rule")
    with pytest.warns(UserWarning, match="plugin `rule` is broken and left out: ") as caught:
        assert plugins.choose_backend().name == "fast"
    assert reason in str(caught[0].message)
    assert [record.broken for record in plugins.records if record.name == "rule"] == [reason]
    assert plugins.choose_backend().name == "fast"


def test_the_backends_of_a_failing_rule_go_with_it(plugins: Plugins) -> None:
    plugin = choosing(ValueError("cannot decide"))
    plugin.register_backends = bringing(backend("magic", 7)).register_backends  # type: ignore[attr-defined]
    plugins.register(plugin, name="rule")
    with pytest.warns(UserWarning, match="cannot decide"):
        assert plugins.choose_backend().name == "fast"
    assert "magic" not in plugins.backends


def test_no_available_backend_is_an_error_with_the_reasons() -> None:
    plugins = load_plugins([])
    plugins.register(bringing(backend("gpu", 9, "there is no GPU")), name="machines")
    with pytest.raises(BackendError, match=r"no backend is available here \(`gpu`: there is no GPU\)"):
        plugins.choose_backend()


def test_without_any_backend_it_says_what_to_install() -> None:
    with pytest.raises(BackendError, match="there is no backend") as caught:
        Plugins().choose_backend()
    assert caught.value.hint == "backend `cpu_ref` is not installed: `pip install alpha-tensor`"
    with pytest.raises(NotInstalledError, match="pip install alpha-tensor"):
        Plugins().choose_backend("cpu_ref")


def test_without_any_backend_it_says_which_plugin_was_not_loaded() -> None:
    with pytest.raises(BackendError, match="there is no backend") as caught:
        load_plugins([]).choose_backend()
    assert "which the list of plugins to load leaves out" in (caught.value.hint or "")


def test_without_the_default_rule_a_name_is_asked_for() -> None:
    plugins = Plugins()
    plugins.register(bringing(backend("slow")), name="machines")
    with pytest.raises(BackendError, match="no plugin chose a backend"):
        plugins.choose_backend()


def test_a_planner_is_there_although_its_backend_is_not() -> None:
    plugins = load_plugins([])
    opened: list[str] = []
    infos = [
        BackendInfo(
            name="gpu",
            summary="a GPU",
            load=lambda: opened.append("gpu"),  # type: ignore[arg-type,return-value]
            load_planner=lambda: opened.append("plan for gpu"),  # type: ignore[arg-type,return-value]
            unavailable=lambda: "there is none",
        ),
        BackendInfo(name="plain", summary="no planner", load=lambda: opened.append("plain")),  # type: ignore[arg-type,return-value]
    ]
    plugins.register(SimpleNamespace(register_backends=hookimpl(lambda: infos)), name="two")
    for name in ("gpu", "plain", "auto"):
        plugins.load_planner(name)
    assert opened == ["plan for gpu", "plain", "plain"]
    with pytest.raises(UnknownNameError, match="unknown backend `gpus`"):
        plugins.load_planner("gpus")


def test_a_planner_that_fails_names_its_plugin() -> None:
    def fails() -> Any:
        raise ValueError("no luck")

    plugins = Plugins()
    info = BackendInfo(name="gpu", summary="a GPU", load=fails, load_planner=fails)
    plugins.register(SimpleNamespace(register_backends=hookimpl(lambda: [info])), name="bad")
    with pytest.raises(PluginError, match="backend `gpu` of plugin `bad` cannot be loaded: ValueError: no luck"):
        plugins.load_planner("gpu")
