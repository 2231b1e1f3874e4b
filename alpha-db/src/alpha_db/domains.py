"""The domains that are installed, as rows."""

import json

from alpha_core.errors import AlphaError
from alpha_core.json_value import json_value
from alpha_core.plugins import Plugins
from alpha_db.row import Row

__all__ = ["domain_rows"]


def domain_rows(plugins: Plugins) -> list[Row]:
    """Returns a row for each domain that can be loaded."""
    rows = []
    for info in plugins.domains.available():
        try:
            domain = info.load()
        except AlphaError:  # of a plugin that is broken; it is reported where it is used
            continue
        values = {
            "id": info.name,
            "summary": info.summary,
            "tokenizer": domain.tokenizer,
            "settings": json.dumps(json_value(domain.overrides)),
            "prompts": json.dumps(json_value(domain.prompts)),
        }
        rows.append(Row("domains", values))
    return rows
