"""View classes of Django and its REST framework that give members everybody's rows. Of `idor` and `missing-auth`.

A class is read as a whole: what its bases do with the rows of its queryset, who is let in, and whether anything in it
asks for the owner. Classes with permissions or filters of the repository's own are left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from portraitist.audit import ir
from portraitist.audit.facts.base import Context
from portraitist.audit.facts.database import snake
from portraitist.audit.link.calls import returns
from portraitist.audit.link.module import Module
from portraitist.audit.model import LIVE_ROLES, Finding
from portraitist.audit.rules.base import finding, last_name, refusing_names
from portraitist.audit.rules.gravity import BARELY
from portraitist.audit.rules.open_ways.open_data import PEOPLE
from portraitist.audit.rules.others.checks import tests_owner
from portraitist.audit.rules.others.model_owners import owner_of

_READ, _CHANGE = {"list", "retrieve"}, {"update", "partial_update", "destroy"}
_BASES = {
    "ModelViewSet": _READ | _CHANGE,
    "ReadOnlyModelViewSet": _READ,
    "ListModelMixin": {"list"},
    "RetrieveModelMixin": {"retrieve"},
    "UpdateModelMixin": {"update", "partial_update"},
    "DestroyModelMixin": {"destroy"},
    "ListAPIView": {"list"},
    "ListCreateAPIView": {"list"},
    "RetrieveAPIView": {"retrieve"},
    "DestroyAPIView": {"destroy"},
    "UpdateAPIView": {"update", "partial_update"},
    "RetrieveUpdateAPIView": {"retrieve", "update", "partial_update"},
    "RetrieveDestroyAPIView": {"retrieve", "destroy"},
    "RetrieveUpdateDestroyAPIView": {"retrieve"} | _CHANGE,
    "ListView": {"list"},
    "DetailView": {"retrieve"},
    "UpdateView": {"update"},
    "DeleteView": {"destroy"},
}
_VERBS = {"get": _READ, "put": {"update"}, "patch": {"partial_update"}, "delete": {"destroy"}}
_FOR_ALL = {"dispatch", "initial", "get_object", "check_permissions", "check_object_permissions", "get_permissions",
            "filter_queryset", "test_func"}  # fmt: skip
"""Methods that every request goes by: one that asks for the owner asks for all actions."""
_OF = {"update": {"perform_update", "put", "form_valid"}, "partial_update": {"update", "perform_update", "patch"},
       "destroy": {"perform_destroy", "delete"}, "list": {"get"}, "retrieve": {"get"}}  # fmt: skip
_WHOLE = {
    "all",
    "order_by",
    "select_related",
    "prefetch_related",
    "distinct",
    "reverse",
    "defer",
    "only",
    "annotate",
}
_MEMBERS = {"IsAuthenticated", "IsAuthenticatedOrReadOnly", "LoginRequiredMixin"}
_SHOWN = re.compile(
    r"post|article|product|templat|style|preset|categor|tag|plan|comment|review|theme|blog|page|news", re.I
)
"""Models whose rows are there to be read by all."""
_FEW = re.compile(r"staff|admin|superuser|role|member|permission|own", re.I)


@dataclass(frozen=True, slots=True)
class _View:
    """A view class and the model of its rows; `asks` says whether it asks for a login, `reads` whether to read, too."""

    module: Module
    cls: ir.Class
    model: ir.Class
    asks: bool
    reads: bool
    line: int


def for_members(ctx: Context) -> Iterator[Finding]:
    """Views that ask for a login and no more, and let everybody read, change or delete rows of others."""
    for view in ctx.once(_views):
        if view.asks:
            yield from _told(ctx, view, "idor", "any member")


def for_anybody(ctx: Context) -> Iterator[Finding]:
    """Views that ask nobody at all, over rows that have an owner."""
    for view in ctx.once(_views):
        if not view.asks:
            yield from _told(ctx, view, "missing-auth", "anybody")


def _told(ctx: Context, view: _View, rule: str, who: str) -> Iterator[Finding]:
    """One finding for what is changed, one for what is read: at the method that does it, else at the class's head."""
    owner = owner_of(ctx, view.model)
    if owner is None:
        return
    open_ = _actions(view.cls)
    reads = view.reads and (rule == "idor" or not view.asks) and not _SHOWN.search(view.model.name)
    for wanted, does in ((_CHANGE, "change or delete"), (_READ, "read") if reads else ((), "")):
        found = [each for each in sorted(open_ & set(wanted)) if not _asks_owner(ctx, view, each)]
        if not found:
            continue
        deed = (
            does if does == "read" or {*found} > {"destroy"} else "delete" if "destroy" in found else "change"
        )
        rows = f"any {view.model.name}: its rows are all there are"
        message = f"{view.cls.name} lets {who} {deed} {rows}, and nothing asks for {owner[0]}"
        methods = [each for each in view.cls.body if isinstance(each, ir.Func) and each.name in {*found}]
        spots: list[tuple[ir.Node, int, int]] = [(each, each.line, each.line) for each in methods] or [
            (view.cls, view.cls.line, view.line)
        ]
        for node, first, last in spots[:2]:
            yield finding(rule, view.module, node, message, key=f"view {view.cls.name} {does}", weight=BARELY,
                          line=first, end=last, evidence=[owner[1]])  # fmt: skip


def _views(ctx: Context) -> list[_View]:
    found = []
    for module in ctx.live:
        if module.language != "python" or "View" not in module.file.text:
            continue
        for cls in module.all(ir.Class):
            if _actions(cls) and ctx.role_at(module, cls) in LIVE_ROLES and cls.name in ctx.once(_registered):
                view = _view(ctx, module, cls)
                found += [view] if view is not None else []
    return found


def _view(ctx: Context, module: Module, cls: ir.Class) -> _View | None:
    """A class as a view of all rows of a model, None where it may be of fewer, or for fewer than all members."""
    names = {
        each.target.id: each
        for each in cls.body
        if isinstance(each, ir.Assign) and isinstance(each.target, ir.Name)
    }
    methods = {each.name: each for each in cls.body if isinstance(each, ir.Func)}
    source = (
        names["queryset"].value if "queryset" in names else names["model"].value if "model" in names else None
    )
    last = max((names[each].line for each in ("queryset", "model") if each in names), default=cls.line)
    if "get_queryset" in methods:
        given = returns(methods["get_queryset"])
        if len(given) != 1 or _names_user(methods["get_queryset"]):
            return None
        source, last = given[0], max(last, given[0].line)
    model = _all_of(ctx, module, source)
    let_in = _let_in(ctx, module, cls, names)
    if model is None or let_in is None or PEOPLE.search(snake(model.name)) or "filter_backends" in names:
        return None
    return _View(module, cls, model, bool(let_in & _MEMBERS), "IsAuthenticatedOrReadOnly" not in let_in, last)


def _let_in(ctx: Context, module: Module, cls: ir.Class, names: dict[str, ir.Assign]) -> set[str] | None:
    """The permissions of a class; None where they may be of another kind than a login."""
    listed = names["permission_classes"].value if "permission_classes" in names else None
    if listed is not None and not isinstance(listed, ir.Arr):
        return None
    mixins = {last_name(each) for each in cls.bases} - _BASES.keys()
    known = {each for each in mixins if each in _MEMBERS}
    if mixins - _MEMBERS - {"GenericViewSet", "GenericAPIView", "CreateModelMixin", "APIView", "viewsets"}:
        return None
    asked = (
        {last_name(each) for each in listed.items} if isinstance(listed, ir.Arr) else ctx.once(_by_default)
    )
    rest = any(last_name(each).endswith(("ViewSet", "APIView", "ModelMixin")) for each in cls.bases)
    if any(each not in _MEMBERS | {"AllowAny"} for each in asked) or (not rest and not known):
        return None  # a plain view of Django may be wrapped where its address is given
    return (asked if rest else set()) | known


def _by_default(ctx: Context) -> set[str]:
    """The permissions that the settings of the REST framework give every view."""
    for module in ctx.live:
        if module.language == "python" and "DEFAULT_PERMISSION_CLASSES" in module.file.text:
            for prop in module.all(ir.Prop):
                if prop.key == "DEFAULT_PERMISSION_CLASSES" and isinstance(prop.value, ir.Arr):
                    return {str(ir.text_of(each)).rpartition(".")[2] for each in prop.value.items}
    return set()


def _registered(ctx: Context) -> set[str]:
    """The classes that an address is given to."""
    found: set[str] = set()
    for module in ctx.live:
        if module.language == "python" and ("register(" in module.file.text or "as_view" in module.file.text):
            found |= {last_name(arg) for call in module.calls({"register"}) for arg in call.args[1:2]}
            found |= {
                last_name(each.func.obj)
                for each in module.calls({"as_view"})
                if isinstance(each.func, ir.Attr)
            }
    return found


def _actions(cls: ir.Class) -> set[str]:
    """What the bases of a view class do, less what its list of methods leaves out."""
    found = {one for base in cls.bases for one in _BASES.get(last_name(base), ())}
    for each in cls.body if found else ():
        if (
            isinstance(each, ir.Assign)
            and last_name(each.target) == "http_method_names"
            and isinstance(each.value, ir.Arr)
        ):
            verbs = {ir.text_of(one) for one in each.value.items}
            found &= {one for verb, own in _VERBS.items() if verb in verbs for one in own}
    return found


def _all_of(ctx: Context, module: Module, source: ir.Node | None) -> ir.Class | None:
    """The model of `X.objects.all()` and the like, or of the class itself; None where rows are chosen."""
    node = source
    while isinstance(node, ir.Call) and isinstance(node.func, ir.Attr):
        if node.func.name not in _WHOLE:
            return None
        node = node.func.obj
    if isinstance(node, ir.Attr) and node.name == "objects":
        node = node.obj
    for target in ctx.program.resolve(module, node) if node is not None else ():
        if isinstance(target.node, ir.Class):
            return target.node
    return None


def _names_user(func: ir.Func) -> bool:
    return any(each.name == "user" for each in ir.find(func, ir.Attr))


def _asks_owner(ctx: Context, view: _View, action: str) -> bool:
    """Whether a method on the way of an action compares an owner, asks for more, or selects rows by whoever asks."""
    by = {action, *_OF[action], *_FOR_ALL}
    for func in (each for each in view.cls.body if isinstance(each, ir.Func) and each.name in by):
        if func.name in _FOR_ALL and func.name != "dispatch" and _names_user(func):
            return True
        if any(_FEW.search(each) for each in ctx.once(refusing_names, func)) or any(
            tests_owner(ctx, each) for each in ir.find(func, ir.Bin)
        ):
            return True
        if any(each.throws for each in ir.find(func, ir.Return)) and _names_user(func):
            return True
        made = ctx.statements_under.get(func, ())
        if any(
            each.table == view.model.name and {snake(one) for one in each.where} & ctx.words.owner_columns
            for each in made
        ):
            return True
        if func.name == action and action in _READ and made and not any(_is_all(each, view) for each in made):
            return True  # reads other rows than those of its queryset
    return False


def _is_all(statement: object, view: _View) -> bool:
    table, where = getattr(statement, "table", ""), getattr(statement, "where", ())
    return table == view.model.name and not where
