"""JavaScript, TypeScript and TSX expressions, functions and patterns to `ir`.

`await`, parentheses, casts and non-null marks disappear; a JSX component becomes a call of it.
"""

from __future__ import annotations

import re

from tree_sitter import Node as Syntax

from portraitist.audit import ir
from portraitist.audit.extract.base import Converter

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v", "\n": ""}
_TYPE_NAME = re.compile(r"[A-Za-z_$][\w$.]*")


class Expressions(Converter):
    """The expression half of the JavaScript converter."""

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        wrappers = (
            "await_expression parenthesized_expression as_expression satisfies_expression non_null_expression "
            "jsx_expression decorator template_substitution"
        )
        self.table = dict.fromkeys(wrappers.split(), self.inner)
        self.table |= dict.fromkeys(
            ("identifier", "this", "super", "property_identifier", "import", "type_identifier"), self.name
        )
        self.table |= {
            "member_expression": self.member,
            "subscript_expression": self.subscript,
            "call_expression": self.call,
            "new_expression": self.new,
            "object": self.object,
            "array": self.array,
            "string": self.string,
            "template_string": self.template,
            "meta_property": self.meta,
            "number": self.number,
            "regex": self.regex,
            "true": self.constant,
            "false": self.constant,
            "null": self.constant,
            "undefined": self.constant,
            "binary_expression": self.binary,
            "unary_expression": self.unary,
            "ternary_expression": self.ternary,
            "assignment_expression": self.assignment,
            "augmented_assignment_expression": self.assignment,
            "spread_element": self.spread,
            "jsx_self_closing_element": self.jsx,
            "jsx_element": self.jsx,
            "jsx_text": self.skip,
            "type_arguments": self.skip,
            "type_annotation": self.skip,
            "object_pattern": self.pattern,
            "array_pattern": self.pattern,
            "lexical_declaration": self.declaration,
            "variable_declaration": self.declaration,
            "type_assertion": self._last,
        }
        functions = (
            "arrow_function function_expression function function_declaration generator_function "
            "generator_function_declaration method_definition"
        )
        self.table |= dict.fromkeys(functions.split(), self.function)

    def _last(self, node: Syntax) -> ir.Node:
        return self.convert(node.named_children[-1]) if node.named_children else self.skip(node)

    def block(self, node: Syntax | None) -> list[ir.Node]:
        """Statements of a block; the statement converter overrides this."""
        return [self.convert(node)] if node is not None else []

    def name(self, node: Syntax) -> ir.Node:
        return ir.Name(*self.span(node), self.text(node))

    def member(self, node: Syntax) -> ir.Node:
        prop = node.child_by_field_name("property")
        name = self.text(prop).lstrip("#") if prop else ""
        line = prop.start_point[0] + 1 if prop else 0
        return ir.Attr(*self.span(node), self.convert(node.child_by_field_name("object")), name, line)

    def subscript(self, node: Syntax) -> ir.Node:
        obj, key = node.child_by_field_name("object"), node.child_by_field_name("index")
        return ir.Index(*self.span(node), self.convert(obj), self.convert(key))

    def call(self, node: Syntax) -> ir.Node:
        func = self.convert(node.child_by_field_name("function"))
        arguments = node.child_by_field_name("arguments")
        if arguments is not None and arguments.type == "template_string":
            return ir.Call(*self.span(node), func, [self.template(arguments)], tagged=True)
        return ir.Call(*self.span(node), func, self.many(arguments.named_children) if arguments else [])

    def new(self, node: Syntax) -> ir.Node:
        func = self.convert(node.child_by_field_name("constructor"))
        arguments = node.child_by_field_name("arguments")
        args = self.many(arguments.named_children) if arguments else []
        return ir.Call(*self.span(node), func, args, is_new=True)

    def object(self, node: Syntax) -> ir.Node:
        props = [self._entry(each) for each in node.named_children if each.type != "comment"]
        return ir.Obj(*self.span(node), props)

    def _entry(self, node: Syntax) -> ir.Prop:
        span = self.span(node)
        if node.type == "pair":
            key = node.child_by_field_name("key")
            value = self.convert(node.child_by_field_name("value"))
            if key is not None and key.type == "computed_property_name":
                return ir.Prop(*span, None, value, computed=self.inner(key))
            name = self._key(key) if key is not None else None
            if isinstance(value, ir.Func) and not value.name:
                value.name = name or ""
            return ir.Prop(*span, name, value)
        if node.type == "spread_element":
            return ir.Prop(*span, None, self.inner(node), spread=True)
        if node.type == "method_definition":
            made = self.function(node)
            return ir.Prop(*span, made.name if isinstance(made, ir.Func) else "", made)
        return ir.Prop(*span, self.text(node), ir.Name(*span, self.text(node)))

    def _key(self, node: Syntax) -> str:
        return self.string_value(node) if node.type == "string" else self.text(node)

    def array(self, node: Syntax) -> ir.Node:
        return ir.Arr(*self.span(node), self.many(node.named_children))

    def spread(self, node: Syntax) -> ir.Node:
        return ir.Other(*self.span(node), [self.inner(node)], "spread")

    def string_value(self, node: Syntax) -> str:
        """The text between the quotes, common escapes decoded."""
        return _unescape(self.text(node)[1:-1])

    def string(self, node: Syntax) -> ir.Node:
        return ir.Lit(*self.span(node), self.string_value(node))

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
            text = self.source[start:end].decode("utf-8", "replace")
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
        value = {"true": True, "false": False}.get(node.type)
        return ir.Lit(*self.span(node), value, "undefined" if node.type == "undefined" else "")

    def binary(self, node: Syntax) -> ir.Node:
        operator = node.child_by_field_name("operator")
        op = operator.type if operator else ""
        left = self.convert(node.child_by_field_name("left"))
        right = self.convert(node.child_by_field_name("right"))
        if op == "+":
            return self.concat(node, left, right)
        return ir.Bin(*self.span(node), {"||": "or", "??": "or", "&&": "and"}.get(op, op), left, right)

    def unary(self, node: Syntax) -> ir.Node:
        operator = node.child_by_field_name("operator")
        op = operator.type if operator else ""
        value = self.convert(node.child_by_field_name("argument"))
        if op == "-" and isinstance(value, ir.Lit) and isinstance(value.value, int | float):
            return ir.Lit(*self.span(node), -value.value)
        return ir.Bin(*self.span(node), "not" if op == "!" else op, value)

    def ternary(self, node: Syntax) -> ir.Node:
        fields = ("condition", "consequence", "alternative")
        test, then, other = (self.convert(node.child_by_field_name(each)) for each in fields)
        return ir.Cond(*self.span(node), test, then, other)

    def assignment(self, node: Syntax) -> ir.Node:
        operator = node.child_by_field_name("operator")
        target = self.pattern(node.child_by_field_name("left"))
        value = self.convert(node.child_by_field_name("right"))
        return ir.Assign(*self.span(node), target, value, operator.type if operator else "=")

    def declarators(self, node: Syntax) -> list[ir.Node]:
        """One `Assign` for each declared variable; functions get the name they are bound to."""
        kind = self.text(node.children[0]) if node.children else "var"
        made: list[ir.Node] = []
        for each in node.named_children:
            if each.type != "variable_declarator":
                continue
            target = self.pattern(each.child_by_field_name("name"))
            value_node = each.child_by_field_name("value")
            value = self.convert(value_node) if value_node is not None else None
            if isinstance(value, ir.Func) and isinstance(target, ir.Name) and not value.name:
                value.name = target.id
            annotation = self.annotation(each.child_by_field_name("type"))
            made.append(ir.Assign(*self.span(each), target, value, decl=kind, annotation=annotation))
        return made

    def declaration(self, node: Syntax) -> ir.Node:
        made = self.declarators(node)
        return made[0] if len(made) == 1 else ir.Other(*self.span(node), made, "declarations")

    def annotation(self, node: Syntax | None) -> ir.Node | None:
        """The first type name in an annotation; `A<B>` becomes an index of A by B."""
        if node is None:
            return None
        found = _TYPE_NAME.findall(self.text(node)[:200])
        if not found:
            return None
        head = ir.Name(*self.span(node), found[0])
        if len(found) > 1:
            return ir.Index(*self.span(node), head, ir.Name(*self.span(node), found[1]))
        return head

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
        return ir.Func(
            *self.span(node), self.text(name).strip("'\"#") if name else "", self._params(node), body
        )

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
        )

    def pattern(self, node: Syntax | None) -> ir.Node:
        """A binding target: a name, a member, or an object or array of targets."""
        if node is None:
            return ir.Other(0, 0, [])
        if node.type == "object_pattern":
            return ir.Obj(
                *self.span(node), [self._slot(each) for each in node.named_children if each.type != "comment"]
            )
        if node.type == "array_pattern":
            return ir.Arr(*self.span(node), [self.pattern(each) for each in node.named_children])
        if node.type in {"assignment_pattern", "object_assignment_pattern"}:
            return self.pattern(node.child_by_field_name("left"))
        if node.type in {"lexical_declaration", "variable_declaration"}:
            return self.pattern(node.named_children[0].child_by_field_name("name"))
        if node.type in {"shorthand_property_identifier_pattern", "rest_pattern"}:
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
        props = [made for each in head.named_children if (made := self._attribute(each)) is not None]
        children = [
            self.convert(each)
            for each in node.named_children
            if each.type in {"jsx_element", "jsx_self_closing_element", "jsx_expression"}
        ]
        name = self.text(tag) if tag else ""
        func = self.convert(tag) if name[:1].isupper() else ir.Name(*self.span(node), f"<{name}>")
        return ir.Call(*self.span(node), func, [ir.Obj(*self.span(head), props), *children])

    def _attribute(self, node: Syntax) -> ir.Prop | None:
        if node.type != "jsx_attribute" or not node.named_children:
            return None
        key, *value = node.named_children
        if not value or value[0].type == "string":
            return None
        return ir.Prop(*self.span(node), self.text(key), self.convert(value[0]))


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
