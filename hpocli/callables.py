"""Whether a sweep file may name a Python callable: found and read, never imported."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from hpocli.wording import nearest

_FORM = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*\Z", re.ASCII)


class CallableError(ValueError):
    """A callable that a sweep may not use; the text follows the key's name."""

    def __init__(self, problem: str, *, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


def check_callable(name: str, folders: Sequence[Path], trust: Sequence[str]) -> None:
    """Accept `package.module:function` that lies in `folders` or in a package of `trust`.

    Raises CallableError where it does not, where the file is not Python, or where nothing in it
    has that name.
    """
    if not _FORM.match(name) or ".__" in name.replace(":", "."):
        raise CallableError(f"must be a trainer's name or package.module:function, not {name!r}")
    module, _, attribute = name.partition(":")
    root = module.partition(".")[0]
    if root in sys.stdlib_module_names:
        raise CallableError(
            f"names {name!r}, and {root!r} is a module of Python's own",
            hint=f"if {root}.py is yours, give the file another name",
        )
    for folder in folders:
        if source := _source(folder, module):
            _check_defined(source, module, attribute.partition(".")[0])
            return
    if root not in trust:
        where = " or ".join(str(folder) for folder in folders)
        raise CallableError(
            f"names {name!r}, and there is no module {module!r} in {where}",
            hint=f"put it there, or name its package: trust: [{root}]",
        )


def _source(folder: Path, module: str) -> Path | None:
    base = folder.joinpath(*module.split("."))
    for path in (base.with_name(base.name + ".py"), base / "__init__.py"):
        if _is_file(path) and path.resolve().is_relative_to(folder.resolve()):
            return path
    return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False


def _check_defined(source: Path, module: str, name: str) -> None:
    try:
        tree = ast.parse(source.read_bytes(), filename=source.name)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        place = f"{source.name} line {line}" if line else source.name
        raise CallableError(
            f"names {module!r}, and {place} is not Python that can be read"
        ) from None
    known = _names(tree)
    if known is not None and name not in known:
        raise CallableError(
            f"names {name!r}, which {source.name} does not define", hint=nearest(name, known)
        )
    if what := _no_function(tree, name):
        raise CallableError(f"names {name!r}, which is {what} in {source.name}, not a function")


_LITERALS = (
    ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Set, ast.Dict,
    ast.ListComp, ast.SetComp, ast.DictComp,
)  # fmt: skip


def _no_function(tree: ast.Module, name: str) -> str:
    """Say what `name` is where it is bound once and cannot be called, else nothing."""
    bound = [node for node in ast.walk(tree) if _binds(node, name)]
    if len(bound) != 1 or "*" in (_names(tree) or {"*"}):
        return ""
    for node in tree.body:
        if node is bound[0] and isinstance(node, ast.AsyncFunctionDef) and not node.decorator_list:
            return "an async function"
        if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(
            node.value, _LITERALS
        ):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if bound[0] in targets:
            return "a plain value"
    return ""


def _binds(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == name
    if isinstance(node, ast.Name):
        return node.id == name and isinstance(node.ctx, ast.Store | ast.Del)
    if isinstance(node, ast.alias):
        return (node.asname or node.name).partition(".")[0] == name
    return False


def _names(tree: ast.Module) -> set[str] | None:
    """Return every name the module could bind, or None where that cannot be known."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return None if "*" in found or "__getattr__" in found else found
