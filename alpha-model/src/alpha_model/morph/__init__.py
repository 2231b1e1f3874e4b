"""Parameters of one model made from those of another: copied, projected, or grown without changing the function."""

from alpha_model.morph.report import RestoreReport
from alpha_model.morph.restore import RESTORE_MODES, Restored, check_restore, child_config, restore

__all__ = ["RESTORE_MODES", "RestoreReport", "Restored", "check_restore", "child_config", "restore"]
