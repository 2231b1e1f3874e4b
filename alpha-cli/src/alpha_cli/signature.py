"""Turns the functions that plugins register into functions that typer reads, so that plugins need not know typer."""

import inspect
from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import ParameterInfo

from alpha_cli.commands import GIVEN_SETTINGS

__all__ = ["typer_function"]

_CONTEXT = "alpha_context"


def typer_function(function: Callable[..., Any], *, with_settings: bool = False) -> Callable[..., Any]:
    """Returns a function for typer with the parameters of `function`, described as `CommandApp` promises.

    `with_settings` leaves out the first parameter, which receives the settings that were given as flags.
    """
    parameters = list(inspect.signature(function, eval_str=True).parameters.values())
    if with_settings:
        parameters = parameters[1:]
    positional = [parameter.name for parameter in parameters if parameter.kind is Parameter.POSITIONAL_ONLY]

    def call(**values: Any) -> Any:
        context = values.pop(_CONTEXT)
        arguments = [context.meta[GIVEN_SETTINGS]] if with_settings else []
        arguments += [values.pop(name) for name in positional]
        values.update(dict.fromkeys(contexts, context))
        return function(*arguments, **values)

    contexts = [parameter.name for parameter in parameters if _is_context(parameter.annotation)]
    described = [_describe(parameter) for parameter in parameters if parameter.name not in contexts]
    described.append(Parameter(_CONTEXT, Parameter.KEYWORD_ONLY, annotation=typer.Context))
    call.__name__ = getattr(function, "__name__", "command")
    call.__signature__ = Signature(described)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in described}
    return call


def _describe(parameter: Parameter) -> Parameter:
    """Spells out for typer whether a parameter is an argument or an option, and its help."""
    if isinstance(parameter.default, ParameterInfo):
        return parameter.replace(kind=Parameter.KEYWORD_ONLY)
    kind, default = parameter.annotation, parameter.default
    metadata: tuple[Any, ...] = ()
    if get_origin(kind) is Annotated:
        kind, *extra = get_args(kind)
        metadata = tuple(extra)
    if kind is Parameter.empty:
        kind = str if default is Parameter.empty or default is None else type(default)
    if not any(isinstance(item, ParameterInfo) for item in metadata):
        help = next((item for item in metadata if isinstance(item, str)), None)
        is_argument = parameter.kind is Parameter.POSITIONAL_ONLY or (
            default is Parameter.empty and parameter.kind is not Parameter.KEYWORD_ONLY
        )
        if is_argument:
            metadata = (typer.Argument(help=help),)
        else:
            # An option that is off unless asked for needs no `--no-` twin; the name of one may be a Python keyword.
            is_spelled = (kind is bool and default is False) or parameter.name.endswith("_")
            names = ["--" + parameter.name.rstrip("_").replace("_", "-")] if is_spelled else []
            metadata = (typer.Option(*names, help=help),)
    return parameter.replace(kind=Parameter.KEYWORD_ONLY, annotation=Annotated[(kind, *metadata)])


def _is_context(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, typer.Context)
