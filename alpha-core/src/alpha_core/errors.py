"""The one error tree: every error that a person can cause is an `AlphaError`.

A message says what was asked, what exists and what to do. The optional `hint` stands apart, so that the command line
can print it on a line of its own; the exit status of the command is a property of the class of the error.
"""

__all__ = [
    "AlphaError",
    "BackendError",
    "CheckpointError",
    "ConfigError",
    "DTypeError",
    "DataError",
    "DatabaseError",
    "DatabaseUnavailableError",
    "GradientError",
    "NotInstalledError",
    "OpError",
    "PluginError",
    "ShapeError",
    "TokenizerError",
    "UnknownNameError",
    "UsageError",
]


class AlphaError(Exception):
    """A mistake that a person can mend; shown as one line and a hint, without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class UsageError(AlphaError):
    """A command was called with arguments that do not fit together."""

    exit_code = 2


class ConfigError(AlphaError):
    """Settings are unknown, of the wrong type, or contradict each other. `problems` lists every one of them."""

    exit_code = 2

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class UnknownNameError(AlphaError):
    """A name (of a plugin, a domain, a preset, ...) that nothing registered."""

    exit_code = 2


class PluginError(AlphaError):
    """A plugin is broken, or two plugins claim one name."""

    exit_code = 3


class NotInstalledError(AlphaError):
    """The thing asked for exists, in a package that is not installed."""

    exit_code = 3


class DataError(AlphaError):
    """Training or evaluation data is missing, empty or malformed."""

    exit_code = 4


class TokenizerError(AlphaError):
    """Text or token ids that a tokenizer cannot process, or a broken tokenizer artifact."""

    exit_code = 4


class CheckpointError(AlphaError):
    """A checkpoint is damaged, or does not fit the model that should load it."""

    exit_code = 5


class DatabaseError(AlphaError):
    """A database of runs that cannot be opened, read or written."""

    exit_code = 7


class DatabaseUnavailableError(DatabaseError):
    """A database that cannot be reached at the moment, or that another process keeps locked: try again later."""


class OpError(AlphaError):
    """An op was called with arguments that its docstring excludes."""


class ShapeError(OpError):
    """Shapes that do not fit the op."""


class DTypeError(OpError):
    """A dtype that the op does not take."""


class GradientError(AlphaError):
    """A gradient was asked for that does not exist."""


class BackendError(AlphaError):
    """A backend cannot run here, or its device failed."""

    exit_code = 6
