"""Alpha's models to and from other toolkits. Names are imported on first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alpha_interchange.alpha_safetensors import read_alpha_safetensors as read_alpha_safetensors
    from alpha_interchange.alpha_safetensors import write_alpha_safetensors as write_alpha_safetensors
    from alpha_interchange.foreign import ImportedModel as ImportedModel
    from alpha_interchange.foreign import write_run as write_run
    from alpha_interchange.gguf_export import write_gguf as write_gguf
    from alpha_interchange.hf_folder import read_hf as read_hf
    from alpha_interchange.hf_folder import write_hf as write_hf

_MODULE_OF = {
    "ImportedModel": "foreign",
    "read_alpha_safetensors": "alpha_safetensors",
    "read_hf": "hf_folder",
    "write_alpha_safetensors": "alpha_safetensors",
    "write_gguf": "gguf_export",
    "write_hf": "hf_folder",
    "write_run": "foreign",
}

__all__ = list(_MODULE_OF)
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module `alpha_interchange` has no attribute `{name}`")
    return getattr(import_module(f"alpha_interchange.{_MODULE_OF[name]}"), name)
