"""One small syntax tree for every language the auditor reads.

Converters in `extract` build it, all else reads only this. A node knows nothing of files, scopes or meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from portraitist.audit.order import Order

Scalar = str | int | float | bool | None
N = TypeVar("N", bound="Node")


@dataclass(slots=True, eq=False)
class Node:
    """A piece of source: `line` to `end`, both 1-based and inclusive.

    In an indexed module `order` holds its nodes, this one at `first`; `within` is the function around it.
    """

    line: int
    end: int
    parent: Node | None = field(default=None, init=False, repr=False)
    within: Func | None = field(default=None, init=False, repr=False)
    order: Order | None = field(default=None, init=False, repr=False)
    first: int = field(init=False, repr=False)

    def children(self) -> Sequence[Node]:
        """The direct children, in source order."""
        return ()


@dataclass(slots=True, eq=False)
class Other(Node):
    """Syntax without a meaning of its own here; only its parts matter."""

    parts: list[Node]
    kind: str = ""

    def children(self) -> Sequence[Node]:
        return self.parts


@dataclass(slots=True, eq=False)
class Lit(Node):
    """A literal. `None` stands for null, undefined and None alike; `kind` is "undefined" for undefined."""

    value: Scalar
    kind: str = ""


@dataclass(slots=True, eq=False)
class Tmpl(Node):
    """Text with holes: template strings, f-strings and concatenations, flattened."""

    parts: list[Node]

    def children(self) -> Sequence[Node]:
        return self.parts


@dataclass(slots=True, eq=False)
class Name(Node):
    """A bare identifier; `this` and `self` are names too."""

    id: str


@dataclass(slots=True, eq=False)
class Attr(Node):
    """`obj.name`; `name_line` is where the attribute itself stands in a chain over several lines.

    `maybe` marks `obj?.name`, which is nothing where `obj` is nothing.
    """

    obj: Node
    name: str
    name_line: int
    maybe: bool = False
    plain: str | None = field(default=None, init=False, repr=False)

    def children(self) -> Sequence[Node]:
        return (self.obj,)


@dataclass(slots=True, eq=False)
class Index(Node):
    """`obj[key]`; `maybe` marks `obj?.[key]`."""

    obj: Node
    key: Node
    maybe: bool = False

    def children(self) -> Sequence[Node]:
        return (self.obj, self.key)


@dataclass(slots=True, eq=False)
class Prop(Node):
    """One entry of an object: a key (None when spread or computed) and its value."""

    key: str | None
    value: Node
    spread: bool = False
    computed: Node | None = None

    def children(self) -> Sequence[Node]:
        return (self.value,) if self.computed is None else (self.computed, self.value)


@dataclass(slots=True, eq=False)
class Obj(Node):
    """An object or dict literal, an object pattern, or the keyword arguments of a call."""

    props: list[Prop]

    def children(self) -> Sequence[Node]:
        return self.props

    def get(self, *keys: str) -> Node | None:
        """The value of the first of `keys` that is written in this literal."""
        return next((prop.value for key in keys for prop in self.props if prop.key == key), None)


@dataclass(slots=True, eq=False)
class Arr(Node):
    """A list, tuple, set or array pattern."""

    items: list[Node]

    def children(self) -> Sequence[Node]:
        return self.items


@dataclass(slots=True, eq=False)
class Call(Node):
    """A call or `new`; keyword arguments are in `kw`. `tagged` marks a tagged template."""

    func: Node
    args: list[Node]
    kw: Obj | None = None
    is_new: bool = False
    tagged: bool = False

    def children(self) -> Sequence[Node]:
        return [self.func, *self.args] if self.kw is None else [self.func, *self.args, self.kw]


@dataclass(slots=True, eq=False)
class Bin(Node):
    """A binary or unary operation; unary ones have `left` only."""

    op: str
    left: Node
    right: Node | None = None

    def children(self) -> Sequence[Node]:
        return (self.left,) if self.right is None else (self.left, self.right)


@dataclass(slots=True, eq=False)
class Cond(Node):
    """`test ? then : other`."""

    test: Node
    then: Node
    other: Node

    def children(self) -> Sequence[Node]:
        return (self.test, self.then, self.other)


@dataclass(slots=True, eq=False)
class Param(Node):
    """A parameter: a name or a pattern, with its default and its annotation."""

    name: str
    pattern: Node | None = None
    default: Node | None = None
    annotation: Node | None = None
    rest: bool = False
    decorators: tuple[str, ...] = ()
    """The names of what decorates it, in a class of TypeScript: `Body` of `@Body() order`."""

    def children(self) -> Sequence[Node]:
        return _present(self.pattern, self.default, self.annotation)


@dataclass(slots=True, eq=False)
class Func(Node):
    """A function, method, arrow or lambda. `owner` is its class, if any; `annotation` what it says it returns."""

    name: str
    params: list[Param]
    body: list[Node]
    decorators: list[Node] = field(default_factory=list)
    owner: str = ""
    static: bool = False
    annotation: Node | None = None
    returned: list[Node] | None = field(default=None, init=False, repr=False)

    def children(self) -> Sequence[Node]:
        return _present(*self.decorators, *self.params, self.annotation, *self.body)


@dataclass(slots=True, eq=False)
class Class(Node):
    """A class: its fields are `Assign` nodes to plain names, its methods are `Func` nodes."""

    name: str
    bases: list[Node]
    body: list[Node]
    decorators: list[Node] = field(default_factory=list)

    def children(self) -> Sequence[Node]:
        return [*self.decorators, *self.bases, *self.body]


@dataclass(slots=True, eq=False)
class Assign(Node):
    """An assignment or declaration; `decl` is const, let, var, field or "" (plain assignment)."""

    target: Node
    value: Node | None
    op: str = "="
    decl: str = ""
    annotation: Node | None = None

    def children(self) -> Sequence[Node]:
        return _present(self.target, self.annotation, self.value)


@dataclass(slots=True, eq=False)
class If(Node):
    """A branch; a `switch` becomes a chain of these."""

    test: Node
    then: list[Node]
    other: list[Node]

    def children(self) -> Sequence[Node]:
        return [self.test, *self.then, *self.other]


@dataclass(slots=True, eq=False)
class Loop(Node):
    """A loop; `target` and `source` are set for loops over a collection."""

    test: Node | None
    target: Node | None
    source: Node | None
    body: list[Node]

    def children(self) -> Sequence[Node]:
        return _present(self.test, self.target, self.source, *self.body)


@dataclass(slots=True, eq=False)
class Handler(Node):
    """A catch or except block."""

    body: list[Node]
    catches: Node | None = None

    def children(self) -> Sequence[Node]:
        return _present(self.catches, *self.body)


@dataclass(slots=True, eq=False)
class Try(Node):
    """A try block with its handlers and its final block."""

    body: list[Node]
    handlers: list[Handler]
    final: list[Node]

    def children(self) -> Sequence[Node]:
        return [*self.body, *self.handlers, *self.final]


@dataclass(slots=True, eq=False)
class Return(Node):
    """`return value`, or the body of an expression arrow; `throws` marks throw and raise."""

    value: Node | None
    throws: bool = False

    def children(self) -> Sequence[Node]:
        return () if self.value is None else (self.value,)


@dataclass(slots=True, eq=False)
class Import(Node):
    """An import: (imported name, local name) pairs; "*" is the namespace, "default" the default export."""

    module: str
    names: list[tuple[str, str]]
    reexport: bool = False
    type_only: bool = False


@dataclass(slots=True, eq=False)
class Export(Node):
    """Names exported from here: (local name, exported name); a declaration inside stands in `body`."""

    names: list[tuple[str, str]]
    body: list[Node]

    def children(self) -> Sequence[Node]:
        return self.body


def _present(*parts: Node | None) -> Sequence[Node]:
    """The parts that are there."""
    return [each for each in parts if each is not None]


def walk(node: Node) -> Iterator[Node]:
    """`node` and everything below it, in source order, without recursion."""
    return _walk(node) if node.order is None else iter(node.order.below(node))


def _walk(node: Node) -> Iterator[Node]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(reversed(current.children()))


def find(node: Node, kind: type[N]) -> Iterator[N]:
    """Every node of `kind` at or below `node`."""
    if node.order is None:
        return (each for each in _walk(node) if isinstance(each, kind))
    return iter(node.order.kind_below(node, kind))  # type: ignore[arg-type]


def ancestors(node: Node) -> Iterator[Node]:
    """The parents of `node`, nearest first."""
    current = node.parent
    while current is not None:
        yield current
        current = current.parent


def enclosing(node: Node, kind: type[N]) -> N | None:
    """The nearest ancestor of `kind`."""
    if kind is Func and node.order is not None:
        return node.within  # type: ignore[return-value]
    return next((each for each in ancestors(node) if isinstance(each, kind)), None)


def bodies_of(block: Node) -> list[list[Node]]:
    """The lists of statements of a branch, a loop, a function, an attempt or its handler."""
    if isinstance(block, If):
        return [block.then, block.other]
    if isinstance(block, Func | Loop | Handler):
        return [block.body]
    return [block.body, block.final] if isinstance(block, Try) else []


def dotted(node: Node) -> str:
    """`a.b.c` for a chain of names (calls and indexes inside are skipped over), or ""."""
    if plain := plain_dotted(node):
        return plain
    parts: list[str] = []
    current = node
    while True:  # asked as often as `plain_dotted`
        if type(current) is Attr:
            parts.append(current.name)
            current = current.obj
        elif type(current) is Call:
            current = current.func
        elif type(current) is Index:
            if (key := text_of(current.key)) is not None:
                parts.append(key)
            current = current.obj
        else:
            break
    if type(current) is Name:
        parts.append(current.id)
    return ".".join(reversed(parts))


def plain_dotted(node: Node) -> str:
    """`a.b.c` for a pure chain of names and attributes, or "" when anything else is in it."""
    if type(node) is Name:  # asked so often that `isinstance` would be felt
        return node.id
    if type(node) is not Attr:
        return ""
    if node.plain is None:
        head = plain_dotted(node.obj)
        node.plain = f"{head}.{node.name}" if head else ""
    return node.plain


def root_of(node: Node) -> Node:
    """The leftmost object of a chain of attributes, calls and indexes."""
    while isinstance(node, (Attr, Index, Call)):
        node = node.func if isinstance(node, Call) else node.obj
    return node


def text_of(node: Node | None) -> str | None:
    """The string of a string literal, else None."""
    return node.value if isinstance(node, Lit) and isinstance(node.value, str) else None


def keyword(call: Call, *names: str) -> Node | None:
    """A keyword argument of a Python call, or an option in an object argument of a JavaScript one."""
    given = [each for each in (call.kw, *call.args) if isinstance(each, Obj)]
    return next((found for each in given if (found := each.get(*names)) is not None), None)
