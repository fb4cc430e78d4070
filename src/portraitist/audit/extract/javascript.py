"""JavaScript, TypeScript and TSX syntax to `ir`: statements, declarations and modules.

Expressions are in `javascript_expressions`. Types are dropped but for the names in annotations.
"""

from __future__ import annotations

import functools
from typing import ClassVar

import tree_sitter_javascript
import tree_sitter_typescript
from tree_sitter import Language
from tree_sitter import Node as Syntax

from portraitist.audit import ir
from portraitist.audit.extract.base import Converter, Grammar, Table, error_spans
from portraitist.audit.extract.javascript_expressions import Expressions


@functools.cache
def _grammar(name: str) -> Grammar:
    languages = {
        "typescript": tree_sitter_typescript.language_typescript,
        "tsx": tree_sitter_typescript.language_tsx,
        "javascript": tree_sitter_javascript.language,
    }
    return Grammar(Language(languages[name]()), Statements.TABLE)


_GRAMMAR_OF = {".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx"}


def parse(source: bytes, suffix: str) -> tuple[ir.Other, list[tuple[int, int]]]:
    """The program and the line spans that could not be parsed. `source` is UTF-8. Raises `TooDamagedError`."""
    grammar = _grammar(_GRAMMAR_OF.get(suffix, "javascript"))
    root = grammar.parse(source)
    converter = Statements(source, grammar.methods)
    body = converter.block(root)
    spans = error_spans(root)
    return ir.Other(1, root.end_point[0] + 1, body, "program"), spans


class Statements(Expressions):
    """Adds statements to the expression converter."""

    def block(self, node: Syntax | None) -> list[ir.Node]:
        """The statements of a block, or the single statement that stands in place of one."""
        if node is None:
            return []
        if node.type not in {"statement_block", "program", "class_static_block"}:
            return [self.convert(node)]
        out: list[ir.Node] = []
        for child in self.named(node):
            if child.type in {"lexical_declaration", "variable_declaration"}:
                out.extend(self.declarators(child))
            else:
                out.append(self.convert(child))
        return self.reached(out)

    def import_(self, node: Syntax) -> ir.Node:
        source = node.child_by_field_name("source")
        names: list[tuple[str, str]] = []
        type_only = any(each.type == "type" for each in node.children)
        for clause in node.named_children:
            if clause.type == "import_clause":
                names.extend(self._clause(clause))
        module = self.string_value(source) if source is not None else ""
        return ir.Import(*self.span(node), module, names, type_only=type_only)

    def _clause(self, clause: Syntax) -> list[tuple[str, str]]:
        names: list[tuple[str, str]] = []
        for part in clause.named_children:
            if part.type == "identifier":
                names.append(("default", self.text(part)))
            elif part.type == "namespace_import":
                names.append(("*", self.text(part.named_children[-1])))
            elif part.type == "named_imports":
                names.extend(
                    self._pair(each) for each in part.named_children if each.type == "import_specifier"
                )
        return names

    def _pair(self, node: Syntax) -> tuple[str, str]:
        name = node.child_by_field_name("name")
        alias = node.child_by_field_name("alias") or name
        return (self.text(name) if name else "", self.text(alias) if alias else "")

    def export(self, node: Syntax) -> ir.Node:
        source = node.child_by_field_name("source")
        names = [
            self._pair(each)
            for clause in node.named_children
            if clause.type == "export_clause"
            for each in clause.named_children
            if each.type == "export_specifier"
        ]
        if source is not None:
            return ir.Import(
                *self.span(node), self.string_value(source), names or [("*", "*")], reexport=True
            )
        return self._export_declaration(node, names)

    def _export_declaration(self, node: Syntax, names: list[tuple[str, str]]) -> ir.Node:
        inner = node.child_by_field_name("declaration") or node.child_by_field_name("value")
        default = any(each.type == "default" for each in node.children)
        body: list[ir.Node] = []
        if inner is not None:
            in_list = inner.type in {"lexical_declaration", "variable_declaration"}
            body = self.declarators(inner) if in_list else [self.convert(inner)]
        decorators = [self.convert(each) for each in node.named_children if each.type == "decorator"]
        for made in body:
            local = _declared_name(made)
            if isinstance(made, ir.Class):
                made.decorators.extend(decorators)
            if default and not local:
                names.append(("default", "default"))
                if isinstance(made, ir.Func | ir.Class):
                    made.name = "default"
            elif local:
                names.append((local, "default" if default else local))
            elif isinstance(made, ir.Assign) and isinstance(made.target, ir.Obj | ir.Arr):
                names.extend((each.id, each.id) for each in ir.find(made.target, ir.Name))
        return ir.Export(*self.span(node), names, body)

    def class_(self, node: Syntax) -> ir.Node:
        name = node.child_by_field_name("name")
        made = ir.Class(*self.span(node), self.text(name) if name else "", [], [])
        pending: list[ir.Node] = []
        for child in node.named_children:
            if child.type == "class_heritage":
                made.bases.extend(self._heritage(child))
            elif child.type == "decorator":
                made.decorators.append(self.convert(child))
        body = node.child_by_field_name("body")
        for child in body.named_children if body else []:
            if child.type == "decorator":
                pending.append(self.convert(child))
            elif child.type != "comment":
                made.body.append(self._member(child, made.name, pending))
                pending = []
        return made

    def _heritage(self, node: Syntax) -> list[ir.Node]:
        parts = [part for each in node.named_children for part in (each.named_children or [each])]
        direct = [each for each in node.named_children if each.type in {"identifier", "member_expression"}]
        return [
            self.convert(each)
            for each in direct or parts
            if each.type in {"identifier", "member_expression", "type_identifier"}
        ]

    def _member(self, node: Syntax, owner: str, decorators: list[ir.Node]) -> ir.Node:
        decorators = decorators + [
            self.convert(each) for each in node.named_children if each.type == "decorator"
        ]
        if node.type == "method_definition":
            made = self.function(node)
            if isinstance(made, ir.Func):
                made.owner = owner
                made.decorators.extend(decorators)
                made.static = any(each.type == "static" for each in node.children)
            return made
        if node.type in {"public_field_definition", "field_definition"}:
            return self._field(node, owner, decorators)
        return ir.Other(*self.span(node), self.block(node.child_by_field_name("body")), node.type)

    def _field(self, node: Syntax, owner: str, decorators: list[ir.Node]) -> ir.Node:
        name = node.child_by_field_name("name") or node.child_by_field_name("property")
        value = node.child_by_field_name("value")
        converted = self.convert(value) if value is not None else None
        if isinstance(converted, ir.Func):
            converted.name, converted.owner = (self.text(name) if name else ""), owner
            return converted
        target = ir.Name(*self.span(node), self.text(name).lstrip("#") if name else "")
        annotation = self.annotation(node.child_by_field_name("type"))
        if decorators:
            annotation = ir.Other(
                *self.span(node), [*decorators, *([annotation] if annotation else [])], "decorated"
            )
        return ir.Assign(*self.span(node), target, converted, decl="field", annotation=annotation)

    def enum(self, node: Syntax) -> ir.Node:
        name = node.child_by_field_name("name")
        body = node.child_by_field_name("body")
        props: list[ir.Prop] = []
        for child in body.named_children if body else []:
            key = child.child_by_field_name("name") if child.type == "enum_assignment" else child
            value = child.child_by_field_name("value")
            if key is not None and key.type != "comment":
                props.append(ir.Prop(*self.span(child), self.text(key).strip("'\""), self.convert(value)))
        target = ir.Name(*self.span(node), self.text(name) if name else "")
        return ir.Assign(*self.span(node), target, ir.Obj(*self.span(node), props), decl="const")

    def if_(self, node: Syntax) -> ir.Node:
        alternative = node.child_by_field_name("alternative")
        other = (
            alternative.named_children[-1] if alternative is not None and alternative.named_children else None
        )
        return ir.If(
            *self.span(node),
            self.convert(node.child_by_field_name("condition")),
            self.block(node.child_by_field_name("consequence")),
            self.block(other),
        )

    def for_(self, node: Syntax) -> ir.Node:
        head = [self.convert(node.child_by_field_name(each)) for each in ("initializer", "increment")]
        test = self.convert(node.child_by_field_name("condition"))
        body = [*head, *self.block(node.child_by_field_name("body"))]
        return ir.Loop(*self.span(node), test, None, None, body)

    def for_in(self, node: Syntax) -> ir.Node:
        target = self.pattern(node.child_by_field_name("left"))
        source = self.convert(node.child_by_field_name("right"))
        return ir.Loop(*self.span(node), None, target, source, self.block(node.child_by_field_name("body")))

    def while_(self, node: Syntax) -> ir.Node:
        test = self.convert(node.child_by_field_name("condition"))
        return ir.Loop(*self.span(node), test, None, None, self.block(node.child_by_field_name("body")))

    def switch(self, node: Syntax) -> ir.Node:
        value = self.convert(node.child_by_field_name("value"))
        body = node.child_by_field_name("body")
        branches: list[ir.Node] = []
        for case in (each for each in (body.named_children if body else []) if each.type != "comment"):
            label = case.child_by_field_name("value")
            statements = [each for each in case.named_children if each != label and each.type != "comment"]
            test = (
                ir.Bin(*self.span(case), "===", value, self.convert(label))
                if label
                else ir.Lit(*self.span(case), True)
            )
            inner: list[ir.Node] = []
            for each in statements:
                in_list = each.type in {"lexical_declaration", "variable_declaration"}
                inner.extend(self.declarators(each) if in_list else self.block(each))
            branches.append(ir.If(*self.span(case), test, inner, []))
        return ir.Other(*self.span(node), [value, *branches], "switch")

    def try_(self, node: Syntax) -> ir.Node:
        handler = node.child_by_field_name("handler")
        final = node.child_by_field_name("finalizer")
        handlers = []
        if handler is not None:
            caught = handler.child_by_field_name("parameter")
            names = self.pattern(caught) if caught is not None else None
            handlers = [
                ir.Handler(*self.span(handler), self.block(handler.child_by_field_name("body")), names)
            ]
        final_body = self.block(final.child_by_field_name("body")) if final is not None else []
        return ir.Try(*self.span(node), self.block(node.child_by_field_name("body")), handlers, final_body)

    def return_(self, node: Syntax) -> ir.Node:
        values = self.named(node)
        return ir.Return(*self.span(node), self.convert(values[0]) if values else None)

    def throw(self, node: Syntax) -> ir.Node:
        return ir.Return(*self.span(node), self.inner(node), throws=True)

    TABLE: ClassVar[Table] = {
        **Expressions.TABLE,
        "import_statement": import_,
        "export_statement": export,
        "class_declaration": class_,
        "abstract_class_declaration": class_,
        "class": class_,
        "enum_declaration": enum,
        "expression_statement": Converter.inner,
        "if_statement": if_,
        "for_statement": for_,
        "for_in_statement": for_in,
        "while_statement": while_,
        "do_statement": while_,
        "switch_statement": switch,
        "try_statement": try_,
        "return_statement": return_,
        "throw_statement": throw,
        "interface_declaration": Converter.skip,
        "type_alias_declaration": Converter.skip,
        "ambient_declaration": Converter.skip,
    }


def _declared_name(node: ir.Node) -> str:
    if isinstance(node, ir.Func | ir.Class):
        return node.name
    if isinstance(node, ir.Assign) and isinstance(node.target, ir.Name) and node.decl:
        return node.target.id
    return node.id if isinstance(node, ir.Name) else ""
