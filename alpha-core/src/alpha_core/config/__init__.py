"""Configuration: what can be set, and how defaults, domains, files, the environment and flags combine.

The classes are light, for the command line lists every setting; what loads and stores them is imported on use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from alpha_core.config.domain import DomainConfig
from alpha_core.config.model import ModelConfig
from alpha_core.config.run import SECTIONS, RunConfig
from alpha_core.config.sample import SampleConfig
from alpha_core.config.section import Constraint, Section
from alpha_core.config.setting import Setting, setting, settings_of, text_of
from alpha_core.config.train import DEFAULT_RUNS_DIR, TrainConfig

if TYPE_CHECKING:
    from alpha_core.config.load import LoadedConfig, load_config
    from alpha_core.config.profile import Profile, read_profile, write_profile
    from alpha_core.config.serialize import config_hash, from_dict, to_dict
    from alpha_core.config.toml import format_template, format_toml

__all__ = [
    "DEFAULT_RUNS_DIR",
    "SECTIONS",
    "Constraint",
    "DomainConfig",
    "LoadedConfig",
    "ModelConfig",
    "Profile",
    "RunConfig",
    "SampleConfig",
    "Section",
    "Setting",
    "TrainConfig",
    "config_hash",
    "format_template",
    "format_toml",
    "from_dict",
    "load_config",
    "read_profile",
    "setting",
    "settings_of",
    "text_of",
    "to_dict",
    "write_profile",
]

_MODULE_OF = {
    "LoadedConfig": "load",
    "Profile": "profile",
    "config_hash": "serialize",
    "format_template": "toml",
    "format_toml": "toml",
    "from_dict": "serialize",
    "load_config": "load",
    "read_profile": "profile",
    "to_dict": "serialize",
    "write_profile": "profile",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_core.config` has no attribute `{name}`")
    return getattr(import_module(f"alpha_core.config.{_MODULE_OF[name]}"), name)
