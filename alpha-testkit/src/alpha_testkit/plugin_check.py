"""`alpha plugins check`: runs the kits on a plugin with pytest, in a process of its own, which a plugin may crash."""

import os
import subprocess
import sys
from pathlib import Path

from alpha_core.errors import PluginError, UnknownNameError
from alpha_core.plugins import PluginRecord, Plugins
from alpha_core.suggest import did_you_mean

__all__ = ["PLUGIN_VARIABLE", "check_plugin"]

PLUGIN_VARIABLE = "ALPHA_CHECKED_PLUGIN"
"""Tells `checked_plugin.py` the plugin."""


class ConformanceError(PluginError):
    """A plugin does not pass the kits."""

    exit_code = 1


def check_plugin(name: str, plugins: Plugins) -> None:
    """Checks every available part of the plugin `name` and prints a summary.

    Raises `UnknownNameError` or `PluginError` for a plugin that is missing or broken, and an error with exit code 1 for
    one that does not pass.
    """
    record = _record(name, plugins)
    print(f"plugin {record.title}")
    checked = False
    for registry in plugins.registries:
        for info in registry:
            if registry.owner(info.name) == name:
                reason = info.unavailable()
                checked |= reason is None
                if reason is not None:
                    print(f"  {registry.kind.label} `{info.name}`: not checked, it is unavailable here: {reason}")
    if not checked:
        print("  nothing to check: it brings no part that has a kit and is available here")
        return
    sys.stdout.flush()
    code = _run_pytest(name)
    if code == 1:
        raise ConformanceError(f"plugin `{name}` does not pass the conformance kit")
    if code != 0:
        how = f"died of signal {-code}" if code < 0 else f"ended with pytest's code {code}"
        raise ConformanceError(f"the check of plugin `{name}` {how}")


def _record(name: str, plugins: Plugins) -> PluginRecord:
    for record in plugins.records:
        if record.name == name:
            if record.broken is not None:
                raise PluginError(f"plugin {record.title} is broken: {record.broken}")
            return record
    known = [record.name for record in plugins.records]
    listed = ", ".join(f"`{plugin}`" for plugin in known)
    raise UnknownNameError(f"unknown plugin `{name}`; there are {listed}", hint=did_you_mean(name, known))


def _run_pytest(name: str) -> int:
    """Returns the exit code of pytest on `checked_plugin.py`, apart from the settings of the folder it runs in."""
    module = Path(__file__).with_name("checked_plugin.py")
    options = [
        *("-c", os.devnull, f"--rootdir={module.parent}", "--import-mode=importlib", "-o", "python_classes=*"),
        *("-p", "no:cacheprovider", "-p", "no:terminal", "-p", "alpha_testkit.check_report"),
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    environment |= {PLUGIN_VARIABLE: name, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run([sys.executable, "-P", "-m", "pytest", *options, str(module)], env=environment).returncode
