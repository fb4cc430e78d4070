"""Python syntax to `ir`. Annotations are kept, type parameters and docstrings are not used."""

from __future__ import annotations

import functools
import re
from typing import ClassVar

import tree_sitter_python
from tree_sitter import Language
from tree_sitter import Node as Syntax

from portraitist.audit import ir
from portraitist.audit.extract.base import Converter, Grammar, Table, error_spans
from portraitist.audit.extract.javascript_expressions import parse_number

_PREFIX = re.compile(r"^[rRbBuUfFtT]*('''|\"\"\"|'|\")")
_WRAPPERS = "await parenthesized_expression type interpolation expression_statement"
_LISTS = "list tuple set expression_list pattern_list tuple_pattern"


@functools.cache
def _grammar() -> Grammar:
    return Grammar(Language(tree_sitter_python.language()), Statements.TABLE)


def parse(source: bytes) -> tuple[ir.Other, list[tuple[int, int]]]:
    """The module and the line spans that could not be parsed. `source` is UTF-8. Raises `TooDamagedError`."""
    grammar = _grammar()
    root = grammar.parse(source)
    converter = Statements(source, grammar.methods)
    return ir.Other(1, root.end_point[0] + 1, converter.block(root), "program"), error_spans(root)


class Expressions(Converter):
    """Python expressions."""

    def name(self, node: Syntax) -> ir.Node:
        return ir.Name(*self.span(node), self.text(node))

    def attribute(self, node: Syntax) -> ir.Node:
        prop = node.child_by_field_name("attribute")
        line = prop.start_point[0] + 1 if prop else 0
        obj = self.convert(node.child_by_field_name("object"))
        return ir.Attr(*self.span(node), obj, self.text(prop) if prop else "", line)

    def subscript(self, node: Syntax) -> ir.Node:
        keys = node.children_by_field_name("subscript")
        key = self.convert(keys[0]) if len(keys) == 1 else ir.Arr(*self.span(node), self.many(keys))
        return ir.Index(*self.span(node), self.convert(node.child_by_field_name("value")), key)

    def call(self, node: Syntax) -> ir.Node:
        arguments = node.child_by_field_name("arguments")
        args: list[ir.Node] = []
        props: list[ir.Prop] = []
        for each in arguments.named_children if arguments else []:
            if each.type == "keyword_argument":
                key, value = each.child_by_field_name("name"), each.child_by_field_name("value")
                props.append(ir.Prop(*self.span(each), self.text(key) if key else None, self.convert(value)))
            elif each.type == "dictionary_splat":
                props.append(ir.Prop(*self.span(each), None, self.inner(each), spread=True))
            elif each.type != "comment":
                args.append(self.convert(each))
        kw = ir.Obj(props[0].line, props[-1].end, props) if props else None
        return ir.Call(*self.span(node), self.convert(node.child_by_field_name("function")), args, kw)

    def dictionary(self, node: Syntax) -> ir.Node:
        props: list[ir.Prop] = []
        for each in node.named_children:
            if each.type == "pair":
                key = self.convert(each.child_by_field_name("key"))
                name = ir.text_of(key)
                value = self.convert(each.child_by_field_name("value"))
                props.append(
                    ir.Prop(*self.span(each), name, value, computed=None if name is not None else key)
                )
            elif each.type == "dictionary_splat":
                props.append(ir.Prop(*self.span(each), None, self.inner(each), spread=True))
        return ir.Obj(*self.span(node), props)

    def array(self, node: Syntax) -> ir.Node:
        return ir.Arr(*self.span(node), self.many(node.children))

    def splat(self, node: Syntax) -> ir.Node:
        return ir.Other(*self.span(node), [self.inner(node)], "spread")

    def string(self, node: Syntax) -> ir.Node:
        text = self.text(node)
        opening = _PREFIX.match(text)
        head = opening.end() if opening else 1
        quote = len(opening.group(1)) if opening else 1
        parts: list[ir.Node] = []
        at, line = node.start_byte + head, node.start_point[0] + 1
        raw = "r" in text[:head].lower()
        for hole in node.named_children:
            if hole.type == "interpolation":
                self._fragment(parts, at, hole.start_byte, line, raw)
                parts.append(self.inner(hole))
                at, line = hole.end_byte, hole.end_point[0] + 1
        self._fragment(parts, at, node.end_byte - quote, line, raw)
        if not parts:
            return ir.Lit(*self.span(node), "")
        if len(parts) == 1 and isinstance(parts[0], ir.Lit):
            return ir.Lit(*self.span(node), parts[0].value)
        return ir.Tmpl(*self.span(node), parts)

    def _fragment(self, parts: list[ir.Node], start: int, end: int, line: int, raw: bool) -> None:
        if start < end:
            text = self.cut(start, end)
            shown = (
                text if raw or "\\" not in text else re.sub(r"\\(['\"\\])", r"\1", text).replace("\\n", " ")
            )
            parts.append(ir.Lit(line, line + text.count("\n"), shown))

    def concatenated(self, node: Syntax) -> ir.Node:
        pieces = [self.convert(each) for each in node.named_children if each.type == "string"]
        parts = [
            part for piece in pieces for part in (piece.parts if isinstance(piece, ir.Tmpl) else [piece])
        ]
        literals = [each.value for each in parts if isinstance(each, ir.Lit)]
        if len(literals) == len(parts) and "\n" not in "".join(map(str, literals)):
            return ir.Lit(*self.span(node), "".join(map(str, literals)))
        return ir.Tmpl(*self.span(node), parts)

    def number(self, node: Syntax) -> ir.Node:
        return ir.Lit(*self.span(node), parse_number(self.text(node)))

    def constant(self, node: Syntax) -> ir.Node:
        return ir.Lit(*self.span(node), {"true": True, "false": False}.get(node.type))

    def binary(self, node: Syntax) -> ir.Node:
        operator = node.child_by_field_name("operator")
        op = operator.type if operator else ""
        left = self.convert(node.child_by_field_name("left"))
        right = self.convert(node.child_by_field_name("right"))
        return self.concat(node, left, right) if op == "+" else ir.Bin(*self.span(node), op, left, right)

    def comparison(self, node: Syntax) -> ir.Node:
        operands = self.many(node.children)
        op = " ".join(each.type for each in node.children if not each.is_named) or "=="
        right = operands[1] if len(operands) > 1 else None
        return ir.Bin(*self.span(node), op, operands[0], right)

    def not_(self, node: Syntax) -> ir.Node:
        return ir.Bin(*self.span(node), "not", self.convert(node.child_by_field_name("argument")))

    def unary(self, node: Syntax) -> ir.Node:
        value = self.convert(node.child_by_field_name("argument"))
        if (
            isinstance(value, ir.Lit)
            and isinstance(value.value, int | float)
            and self.text(node).startswith("-")
        ):
            return ir.Lit(*self.span(node), -value.value)
        return ir.Bin(*self.span(node), "-", value)

    def conditional(self, node: Syntax) -> ir.Node:
        parts = [*self.many(node.children), *([ir.Other(*self.span(node), [])] * 3)]
        return ir.Cond(*self.span(node), parts[1], parts[0], parts[2])

    def lambda_(self, node: Syntax) -> ir.Node:
        body = self.convert(node.child_by_field_name("body"))
        return ir.Func(*self.span(node), "", self.params(node), [ir.Return(body.line, body.end, body)])

    def walrus(self, node: Syntax) -> ir.Node:
        target = self.convert(node.child_by_field_name("name"))
        return ir.Assign(*self.span(node), target, self.convert(node.child_by_field_name("value")))

    def params(self, node: Syntax) -> list[ir.Param]:
        """The parameters of a function; `self` and `cls` are left out."""
        listed = node.child_by_field_name("parameters")
        made = [
            self._param(each) for each in (listed.named_children if listed else []) if each.type != "comment"
        ]
        return [each for each in made if each.name not in {"self", "cls", ""}]

    def _param(self, node: Syntax) -> ir.Param:
        name = node.child_by_field_name("name")
        if name is None:
            name = node if node.type == "identifier" else next(iter(node.named_children), None)
        rest = node.type in {"list_splat_pattern", "dictionary_splat_pattern"}
        if name is not None and name.type in {"list_splat_pattern", "dictionary_splat_pattern"}:
            rest, name = True, next(iter(name.named_children), None)
        default, kind = node.child_by_field_name("value"), node.child_by_field_name("type")
        return ir.Param(
            *self.span(node),
            self.text(name) if name is not None else "",
            None,
            self.convert(default) if default is not None else None,
            self.convert(kind) if kind is not None else None,
            rest,
        )

    TABLE: ClassVar[Table] = {
        **dict.fromkeys(_WRAPPERS.split(), Converter.inner),
        **dict.fromkeys(_LISTS.split(), array),
        "identifier": name,
        "attribute": attribute,
        "subscript": subscript,
        "call": call,
        "dictionary": dictionary,
        "string": string,
        "concatenated_string": concatenated,
        "integer": number,
        "float": number,
        "true": constant,
        "false": constant,
        "none": constant,
        "binary_operator": binary,
        "boolean_operator": binary,
        "comparison_operator": comparison,
        "not_operator": not_,
        "unary_operator": unary,
        "conditional_expression": conditional,
        "lambda": lambda_,
        "named_expression": walrus,
        "list_splat": splat,
    }


class Statements(Expressions):
    """Python statements."""

    def block(self, node: Syntax | None) -> list[ir.Node]:
        """The statements of a block or module."""
        return self.reached(self.many(node.children)) if node is not None else []

    def nested(self, node: Syntax) -> ir.Node:
        return ir.Other(*self.span(node), self.block(node), "block")

    def import_(self, node: Syntax) -> ir.Node:
        made: list[ir.Node] = []
        for each in node.named_children:
            module, alias = self._aliased(each)
            local = alias or module.split(".")[0]
            made.append(ir.Import(*self.span(node), module, [("*", local)]))
        return made[0] if len(made) == 1 else ir.Other(*self.span(node), made, "imports")

    def _aliased(self, node: Syntax) -> tuple[str, str]:
        if node.type != "aliased_import":
            return self.text(node), ""
        name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
        return (self.text(name) if name else "", self.text(alias) if alias else "")

    def import_from(self, node: Syntax) -> ir.Node:
        module = node.child_by_field_name("module_name")
        names: list[tuple[str, str]] = []
        for each in node.named_children:
            if each.type == "wildcard_import":
                names.append(("*", "*"))
            elif each != module and each.type in {"dotted_name", "aliased_import", "identifier"}:
                name, alias = self._aliased(each)
                names.append((name, alias or name))
        return ir.Import(*self.span(node), self.text(module) if module else "", names)

    def function(self, node: Syntax) -> ir.Node:
        name = node.child_by_field_name("name")
        body = self.block(node.child_by_field_name("body"))
        made = ir.Func(*self.span(node), self.text(name) if name else "", self.params(node), body)
        kind = node.child_by_field_name("return_type")
        made.annotation = self.convert(kind) if kind is not None else None
        return made

    def class_(self, node: Syntax) -> ir.Node:
        name, bases = node.child_by_field_name("name"), node.child_by_field_name("superclasses")
        made = ir.Class(
            *self.span(node),
            self.text(name) if name else "",
            self.many(bases.named_children) if bases else [],
            [],
        )
        for each in self.block(node.child_by_field_name("body")):
            if isinstance(each, ir.Func):
                each.owner = made.name
            elif isinstance(each, ir.Assign) and isinstance(each.target, ir.Name):
                each.decl = "field"
            made.body.append(each)
        return made

    def decorated(self, node: Syntax) -> ir.Node:
        made = self.convert(node.child_by_field_name("definition"))
        if isinstance(made, ir.Func | ir.Class):
            made.decorators = [self.inner(each) for each in node.named_children if each.type == "decorator"]
        return made

    def assignment(self, node: Syntax) -> ir.Node:
        operator, kind = node.child_by_field_name("operator"), node.child_by_field_name("type")
        right = node.child_by_field_name("right")
        return ir.Assign(
            *self.span(node),
            self.convert(node.child_by_field_name("left")),
            self.convert(right) if right is not None else None,
            operator.type if operator else "=",
            annotation=self.convert(kind) if kind is not None else None,
        )

    def if_(self, node: Syntax) -> ir.Node:
        other: list[ir.Node] = []
        for clause in reversed(node.children_by_field_name("alternative")):
            if clause.type == "elif_clause":
                test = self.convert(clause.child_by_field_name("condition"))
                then = self.block(clause.child_by_field_name("consequence"))
                other = [ir.If(*self.span(clause), test, then, other)]
            else:
                other = self.block(clause.child_by_field_name("body"))
        test = self.convert(node.child_by_field_name("condition"))
        return ir.If(*self.span(node), test, self.block(node.child_by_field_name("consequence")), other)

    def for_(self, node: Syntax) -> ir.Node:
        target = self.convert(node.child_by_field_name("left"))
        source = self.convert(node.child_by_field_name("right"))
        return ir.Loop(*self.span(node), None, target, source, self.block(node.child_by_field_name("body")))

    def while_(self, node: Syntax) -> ir.Node:
        test = self.convert(node.child_by_field_name("condition"))
        return ir.Loop(*self.span(node), test, None, None, self.block(node.child_by_field_name("body")))

    def try_(self, node: Syntax) -> ir.Node:
        handlers: list[ir.Handler] = []
        final: list[ir.Node] = []
        for clause in node.named_children:
            if clause.type in {"except_clause", "except_group_clause"}:
                handlers.append(self._handler(clause))
            elif clause.type in {"finally_clause", "else_clause"}:
                final.extend(
                    self.block(next((each for each in clause.named_children if each.type == "block"), None))
                )
        return ir.Try(*self.span(node), self.block(node.child_by_field_name("body")), handlers, final)

    def _handler(self, clause: Syntax) -> ir.Handler:
        block = next((each for each in clause.named_children if each.type == "block"), None)
        caught = [each for each in clause.named_children if each.type not in {"block", "comment"}]
        return ir.Handler(*self.span(clause), self.block(block), self.convert(caught[0]) if caught else None)

    def with_(self, node: Syntax) -> ir.Node:
        made: list[ir.Node] = []
        for clause in node.named_children:
            if clause.type == "with_clause":
                made.extend(self._with_item(each) for each in clause.named_children)
        return ir.Other(*self.span(node), [*made, *self.block(node.child_by_field_name("body"))], "with")

    def _with_item(self, node: Syntax) -> ir.Node:
        value = node.child_by_field_name("value") or node
        if value.type != "as_pattern":
            return self.convert(value)
        alias = value.child_by_field_name("alias")
        target = self.convert(alias.named_children[0]) if alias and alias.named_children else self.skip(value)
        return ir.Assign(*self.span(node), target, self.convert(value.named_children[0]))

    def return_(self, node: Syntax) -> ir.Node:
        values = self.many(node.children)
        return ir.Return(*self.span(node), values[0] if values else None)

    def raise_(self, node: Syntax) -> ir.Node:
        values = self.many(node.children)
        return ir.Return(*self.span(node), values[0] if values else None, throws=True)

    TABLE: ClassVar[Table] = {
        **Expressions.TABLE,
        "import_statement": import_,
        "import_from_statement": import_from,
        "future_import_statement": Converter.skip,
        "function_definition": function,
        "class_definition": class_,
        "decorated_definition": decorated,
        "assignment": assignment,
        "augmented_assignment": assignment,
        "if_statement": if_,
        "for_statement": for_,
        "for_in_clause": for_,
        "while_statement": while_,
        "try_statement": try_,
        "with_statement": with_,
        "return_statement": return_,
        "raise_statement": raise_,
        "block": nested,
    }
