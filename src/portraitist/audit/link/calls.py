"""One call and one function: which argument a parameter gets, what a function returns."""

from __future__ import annotations

from portraitist.audit import ir


def returns(func: ir.Func) -> list[ir.Node]:
    """The returned expressions of `func` itself, not of functions inside it."""
    if func.returned is None:
        func.returned = _returns(func)
    return func.returned


def _returns(func: ir.Func) -> list[ir.Node]:
    own = [each for each in ir.find(func, ir.Return) if each.within is func and not each.throws]
    return [each.value for each in own if each.value is not None]


def arguments(call: ir.Call) -> list[ir.Node]:
    """All that a call is given, by position and by name."""
    return [*call.args, *(each.value for each in (call.kw.props if call.kw is not None else ()))]


def argument_for(call: ir.Call, func: ir.Func, param: ir.Param) -> ir.Node | None:
    """The expression that `call` passes for `param` of `func`, or None when it passes none."""
    if call.kw is not None and param.name and (named := call.kw.get(param.name)) is not None:
        return named
    position = func.params.index(param) if param in func.params else -1
    if 0 <= position < len(call.args) and not param.rest:
        argument = call.args[position]
        return None if isinstance(argument, ir.Other) and argument.kind == "spread" else argument
    return None
