"""The test module of `alpha plugins check`: one class for each part of the plugin that the environment names."""

import os

from alpha_core.plugins import load_plugins
from alpha_testkit.plugin_check import PLUGIN_VARIABLE
from alpha_testkit.plugin_kits import kits_of

globals().update(kits_of(load_plugins(), os.environ.get(PLUGIN_VARIABLE, "")))
