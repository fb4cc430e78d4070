"""JavaScript, TypeScript and TSX expressions, functions and patterns to `ir`.

`await`, parentheses, casts and non-null marks disappear; a JSX component becomes a call of it.
"""

from __future__ import annotations

import re
from sys import intern
from typing import ClassVar

from tree_sitter import Node as Syntax

from portraitist.audit import ir
from portraitist.audit.extract.base import Converter, Table

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v", "\n": ""}
_WRAPPERS = (
    "await_expression parenthesized_expression as_expression satisfies_expression non_null_expression "
    "jsx_expression decorator template_substitution"
)
_NAMES = "identifier this super property_identifier import type_identifier"
_FUNCTIONS = (
    "arrow_function function_expression function function_declaration generator_function "
    "generator_function_declaration method_definition"
)
_LOGICAL = {"||": "or", "??": "or", "&&": "and"}
_CONSTANTS = {"true": True, "false": False}
_JSX_CONTENT = {"jsx_element", "jsx_self_closing_element", "jsx_expression"}
_TYPE_NAME = re.compile(r"[A-Za-z_$][\w$.]*")


class Expressions(Converter):
    """The expression half of the JavaScript converter.

    Names are kept once each (`intern`): most stand in many places, and equal ones are then the same object.
    """

    def _last(self, node: Syntax) -> ir.Node:
        return self.convert(node.named_children[-1]) if node.named_children else self.skip(node)

    def block(self, node: Syntax | None) -> list[ir.Node]:
        """Statements of a block; the statement converter overrides this."""
        return [self.convert(node)] if node is not None else []

    def name(self, node: Syntax) -> ir.Node:
        line = node.start_point.row + 1
        found = self.chars[
            node.start_byte : node.end_byte
        ]  # `cut`, without a call for the most frequent node
        return ir.Name(line, line, intern(found) if found.isascii() else self.text(node))

    def member(self, node: Syntax) -> ir.Node:
        parts = node.children
        if len(parts) == 3:  # object, dot, property
            obj, prop = self.convert(parts[0]), parts[2]
            last = prop.end_point.row + 1
            name = intern(self.cut(prop.start_byte, prop.end_byte).lstrip("#"))
            maybe = parts[1].type == "optional_chain"
            return ir.Attr(node.start_point.row + 1, last, obj, name, prop.start_point.row + 1, maybe)
        written = node.child_by_field_name("property")
        obj = self.convert(node.child_by_field_name("object"))
        if written is None:
            return ir.Attr(*self.span(node), obj, "", 0)
        return ir.Attr(*self.span(node), obj, self.text(written).lstrip("#"), written.start_point.row + 1)

    def subscript(self, node: Syntax) -> ir.Node:
        obj, key = node.child_by_field_name("object"), node.child_by_field_name("index")
        maybe = node.children[1].type == "optional_chain"
        return ir.Index(*self.span(node), self.convert(obj), self.convert(key), maybe)

    def call(self, node: Syntax) -> ir.Node:
        parts = node.children
        plain = len(parts) == 2  # function, arguments
        func = self.convert(parts[0] if plain else node.child_by_field_name("function"))
        arguments = parts[1] if plain else node.child_by_field_name("arguments")
        if arguments is not None and arguments.type == "template_string":
            return ir.Call(*self.span(node), func, [self.template(arguments)], tagged=True)
        args = self.many(arguments.children) if arguments is not None else []
        return ir.Call(node.start_point.row + 1, node.end_point.row + 1, func, args)

    def new(self, node: Syntax) -> ir.Node:
        func = self.convert(node.child_by_field_name("constructor"))
        arguments = node.child_by_field_name("arguments")
        args = self.many(arguments.children) if arguments else []
        return ir.Call(*self.span(node), func, args, is_new=True)

    def object_(self, node: Syntax) -> ir.Node:
        return ir.Obj(*self.span(node), [self._entry(each) for each in self.named(node)])

    def _entry(self, node: Syntax) -> ir.Prop:
        span, kind = self.span(node), node.type
        if kind == "pair":
            parts = node.children
            plain = len(parts) == 3  # key, colon, value
            key = parts[0] if plain else node.child_by_field_name("key")
            value = self.convert(parts[2] if plain else node.child_by_field_name("value"))
            if key is not None and key.type == "computed_property_name":
                return ir.Prop(*span, None, value, computed=self.inner(key))
            name = self._key(key) if key is not None else None
            if isinstance(value, ir.Func) and not value.name:
                value.name = name or ""
            return ir.Prop(*span, name, value)
        if kind == "spread_element":
            return ir.Prop(*span, None, self.inner(node), spread=True)
        if kind == "method_definition":
            made = self.function(node)
            return ir.Prop(*span, made.name if isinstance(made, ir.Func) else "", made)
        name = self.text(node)
        return ir.Prop(*span, name, ir.Name(*span, name))

    def _key(self, node: Syntax) -> str:
        return intern(self.string_value(node) if node.type == "string" else self.text(node))

    def array(self, node: Syntax) -> ir.Node:
        return ir.Arr(*self.span(node), self.many(node.children))

    def spread(self, node: Syntax) -> ir.Node:
        return ir.Other(*self.span(node), [self.inner(node)], "spread")

    def string_value(self, node: Syntax) -> str:
        """The text between the quotes, common escapes decoded."""
        return _unescape(self.text(node)[1:-1])

    def string(self, node: Syntax) -> ir.Node:
        text = self.cut(node.start_byte, node.end_byte)[1:-1]
        value = _unescape(text) if "\\" in text else text
        return ir.Lit(node.start_point.row + 1, node.end_point.row + 1, value)

    def template(self, node: Syntax) -> ir.Node:
        parts: list[ir.Node] = []
        at, line = node.start_byte + 1, node.start_point[0] + 1
        for hole in node.named_children:
            if hole.type != "template_substitution":
                continue
            self._fragment(parts, at, hole.start_byte, line)
            parts.append(self.inner(hole))
            at, line = hole.end_byte, hole.end_point[0] + 1
        self._fragment(parts, at, node.end_byte - 1, line)
        if len(parts) == 1 and isinstance(parts[0], ir.Lit):
            return ir.Lit(*self.span(node), parts[0].value)
        return ir.Tmpl(*self.span(node), parts)

    def _fragment(self, parts: list[ir.Node], start: int, end: int, line: int) -> None:
        if start < end:
            text = self.cut(start, end)
            parts.append(ir.Lit(line, line + text.count("\n"), _unescape(text)))

    def meta(self, node: Syntax) -> ir.Node:
        """`import.meta`."""
        span = self.span(node)
        return ir.Attr(*span, ir.Name(*span, "import"), "meta", span[0])

    def regex(self, node: Syntax) -> ir.Node:
        return ir.Lit(*self.span(node), self.text(node), "regex")

    def number(self, node: Syntax) -> ir.Node:
        return ir.Lit(*self.span(node), parse_number(self.text(node)))

    def constant(self, node: Syntax) -> ir.Node:
        kind, line = node.type, node.start_point[0] + 1
        return ir.Lit(line, line, _CONSTANTS.get(kind), "undefined" if kind == "undefined" else "")

    def binary(self, node: Syntax) -> ir.Node:
        first, operator, second = self._operands(node)
        op = operator.type if operator else ""
        left, right = self.convert(first), self.convert(second)
        if op == "+":
            return self.concat(node, left, right)
        return ir.Bin(node.start_point.row + 1, node.end_point.row + 1, _LOGICAL.get(op, op), left, right)

    def _operands(self, node: Syntax) -> tuple[Syntax | None, Syntax | None, Syntax | None]:
        """The left side, the operator and the right side."""
        parts = node.children
        if len(parts) == 3:
            return parts[0], parts[1], parts[2]
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        return left, node.child_by_field_name("operator"), right

    def unary(self, node: Syntax) -> ir.Node:
        operator = node.child_by_field_name("operator")
        op = operator.type if operator else ""
        value = self.convert(node.child_by_field_name("argument"))
        if op == "-" and isinstance(value, ir.Lit) and isinstance(value.value, int | float):
            return ir.Lit(*self.span(node), -value.value)
        return ir.Bin(*self.span(node), "not" if op == "!" else op, value)

    def ternary(self, node: Syntax) -> ir.Node:
        test = self.convert(node.child_by_field_name("condition"))
        then = self.convert(node.child_by_field_name("consequence"))
        return ir.Cond(*self.span(node), test, then, self.convert(node.child_by_field_name("alternative")))

    def assignment(self, node: Syntax) -> ir.Node:
        operator = node.child_by_field_name("operator")
        target = self.pattern(node.child_by_field_name("left"))
        value = self.convert(node.child_by_field_name("right"))
        return ir.Assign(*self.span(node), target, value, operator.type if operator else "=")

    def declarators(self, node: Syntax) -> list[ir.Node]:
        """One `Assign` for each declared variable; functions get the name they are bound to."""
        first = node.child(0) if node.child_count else None
        kind = self.text(first) if first is not None else "var"
        made: list[ir.Node] = []
        for each in node.children:
            if each.type != "variable_declarator":
                continue
            name, kept, value_node = self._declared(each)
            target = self.pattern(name)
            value = self.convert(value_node) if value_node is not None else None
            if isinstance(value, ir.Func) and isinstance(target, ir.Name) and not value.name:
                value.name = target.id
            annotation = self.annotation(kept) if kept is not None else None
            made.append(ir.Assign(*self.span(each), target, value, decl=kind, annotation=annotation))
        return made

    @staticmethod
    def _declared(node: Syntax) -> tuple[Syntax | None, Syntax | None, Syntax | None]:
        """The name or pattern, the type and the value of a declarator."""
        parts = node.children
        if len(parts) == 3 and parts[1].type == "=":
            return parts[0], None, parts[2]
        name, kept = node.child_by_field_name("name"), node.child_by_field_name("type")
        return name, kept, node.child_by_field_name("value")

    def declaration(self, node: Syntax) -> ir.Node:
        made = self.declarators(node)
        return made[0] if len(made) == 1 else ir.Other(*self.span(node), made, "declarations")

    def annotation(self, node: Syntax | None) -> ir.Node | None:
        """The first type name in an annotation; `A<B>` becomes an index of A by B."""
        if node is None:
            return None
        text, line, end = self.text(node)[:200], *self.span(node)
        first = _TYPE_NAME.search(text)
        if first is None:
            return None
        head = ir.Name(line, end, first.group())
        second = _TYPE_NAME.search(text, first.end())
        return head if second is None else ir.Index(line, end, head, ir.Name(line, end, second.group()))

    def function(self, node: Syntax) -> ir.Node:
        name = node.child_by_field_name("name")
        body_node = node.child_by_field_name("body")
        if body_node is not None and body_node.type == "statement_block":
            body = self.block(body_node)
        elif body_node is not None:
            value = self.convert(body_node)
            body = [ir.Return(value.line, value.end, value)]
        else:
            body = []
        made = ir.Func(
            *self.span(node), self.text(name).strip("'\"#") if name else "", self._params(node), body
        )
        made.annotation = self.annotation(node.child_by_field_name("return_type"))
        return made

    def _params(self, node: Syntax) -> list[ir.Param]:
        single = node.child_by_field_name("parameter")
        if single is not None:
            return [ir.Param(*self.span(single), self.text(single))]
        listed = node.child_by_field_name("parameters")
        children = listed.named_children if listed else []
        return [self._param(each) for each in children if each.type != "comment"]

    def _param(self, node: Syntax) -> ir.Param:
        inner = node.child_by_field_name("pattern") or node.child_by_field_name("left") or node
        default = node.child_by_field_name("value") or node.child_by_field_name("right")
        rest = inner.type == "rest_pattern"
        pattern = self.pattern(inner.named_children[0] if rest and inner.named_children else inner)
        return ir.Param(
            *self.span(node),
            pattern.id if isinstance(pattern, ir.Name) else "",
            None if isinstance(pattern, ir.Name) else pattern,
            self.convert(default) if default is not None else None,
            self.annotation(node.child_by_field_name("type")),
            rest,
            self._decorators(node) if self.chars[node.start_byte] == "@" else (),
        )

    def _decorators(self, node: Syntax) -> tuple[str, ...]:
        """The names of a parameter's decorators."""
        made = [self.convert(each) for each in node.named_children if each.type == "decorator"]
        return tuple(ir.dotted(each).rpartition(".")[2] for each in made)

    def pattern(self, node: Syntax | None) -> ir.Node:
        """A binding target: a name, a member, or an object or array of targets."""
        if node is None:
            return ir.Other(0, 0, [])
        kind = node.type
        if kind == "identifier":
            return self.name(node)
        if kind == "object_pattern":
            return ir.Obj(*self.span(node), [self._slot(each) for each in self.named(node)])
        if kind == "array_pattern":
            return ir.Arr(*self.span(node), [self.pattern(each) for each in node.named_children])
        if kind in {"assignment_pattern", "object_assignment_pattern"}:
            return self.pattern(node.child_by_field_name("left"))
        if kind in {"lexical_declaration", "variable_declaration"}:
            return self.pattern(node.named_children[0].child_by_field_name("name"))
        if kind in {"shorthand_property_identifier_pattern", "rest_pattern"}:
            return ir.Name(*self.span(node), self.text(node).removeprefix("..."))
        return self.convert(node)

    def _slot(self, node: Syntax) -> ir.Prop:
        span = self.span(node)
        if node.type == "pair_pattern":
            key = node.child_by_field_name("key")
            return ir.Prop(
                *span, self._key(key) if key else None, self.pattern(node.child_by_field_name("value"))
            )
        if node.type == "rest_pattern":
            return ir.Prop(*span, None, self.pattern(node), spread=True)
        if node.type == "object_assignment_pattern":
            left = self.pattern(node.child_by_field_name("left"))
            default = self.convert(node.child_by_field_name("right"))
            return ir.Prop(*span, left.id if isinstance(left, ir.Name) else None, left, computed=default)
        return ir.Prop(*span, self.text(node), ir.Name(*span, self.text(node)))

    def jsx(self, node: Syntax) -> ir.Node:
        head = node.child_by_field_name("open_tag") or node
        tag = head.child_by_field_name("name")
        attributes = (each for each in head.children if each.type == "jsx_attribute")
        props = [made for each in attributes if (made := self._attribute(each)) is not None]
        children = [self.convert(each) for each in node.children if each.type in _JSX_CONTENT]
        given: list[ir.Node] = [ir.Obj(*self.span(head), props)] if props else []
        if tag is None or not self.text(tag)[:1].isupper():  # an element of the page itself calls nothing
            return ir.Other(*self.span(node), [*given, *children], "element")
        given = given or [ir.Obj(*self.span(head), [])]
        return ir.Call(*self.span(node), self.convert(tag), [*given, *children])

    def _attribute(self, node: Syntax) -> ir.Prop | None:
        parts = node.named_children if node.child_count != 3 else node.children[::2]  # name, equals, value
        if len(parts) < 2 or parts[1].type == "string":
            return None
        return ir.Prop(*self.span(node), intern(self.text(parts[0])), self.convert(parts[1]))

    TABLE: ClassVar[Table] = {
        **dict.fromkeys(_WRAPPERS.split(), Converter.inner),
        **dict.fromkeys(_NAMES.split(), name),
        **dict.fromkeys(_FUNCTIONS.split(), function),
        "member_expression": member,
        "subscript_expression": subscript,
        "call_expression": call,
        "new_expression": new,
        "object": object_,
        "array": array,
        "string": string,
        "template_string": template,
        "meta_property": meta,
        "number": number,
        "regex": regex,
        "true": constant,
        "false": constant,
        "null": constant,
        "undefined": constant,
        "binary_expression": binary,
        "unary_expression": unary,
        "ternary_expression": ternary,
        "assignment_expression": assignment,
        "augmented_assignment_expression": assignment,
        "spread_element": spread,
        "jsx_self_closing_element": jsx,
        "jsx_element": jsx,
        "jsx_text": Converter.skip,
        "type_arguments": Converter.skip,
        "type_annotation": Converter.skip,
        "object_pattern": pattern,
        "array_pattern": pattern,
        "lexical_declaration": declaration,
        "variable_declaration": declaration,
        "type_assertion": _last,
    }


def _unescape(text: str) -> str:
    if "\\" not in text:
        return text
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found.group(1), found.group(1)), text, flags=re.S)


def parse_number(text: str) -> int | float | None:
    """A numeric literal of JavaScript or Python, or None when it is neither."""
    cleaned = text.replace("_", "").rstrip("nLl")
    try:
        return int(cleaned, 0)
    except ValueError:
        pass
    try:
        return float(cleaned)
    except ValueError:
        return None
