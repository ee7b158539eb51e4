"""MkDocs hooks: the pages of the site that are not files in ``docs/``, and links to files outside ``docs/``.

* ``README.md``, ``CONTRIBUTING.md`` and ``CHANGELOG.md`` become pages of the site.
* Every public package gets a page with all names in its ``__all__``, rendered by mkdocstrings.
* A link from a page to any other file of the repository leads to a copy of that file in the site. The same links work
  in a checkout and on the code host.
"""

from __future__ import annotations

import ast
import inspect
import os
import pkgutil
import posixpath
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

TOP = Path(__file__).resolve().parents[1]

ROOT_PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""File in the repository root -> page of the site."""

PACKAGES = ("dfbench", "reference_models")
_LINK = re.compile(r"(\]\()([^()\s]+)(\))")


def public_modules() -> Iterator[ModuleType]:
    """The documented modules: every package that declares ``__all__``, and the modules at the top that do."""
    for name in PACKAGES:
        top = import_module(name)
        if hasattr(top, "__all__"):
            yield top
        for found in pkgutil.walk_packages(top.__path__, f"{name}."):
            if (found.ispkg or found.name.count(".") == 1) and not found.name.endswith(".__main__"):
                module = import_module(found.name)
                if hasattr(module, "__all__"):
                    yield module


def api_path(module: str) -> str:
    """The API page of a module, relative to ``docs/``."""
    return f"api/{module}.md"


def api_pages(modules: Sequence[ModuleType]) -> dict[str, str]:
    """Path -> Markdown of the API page of each module, with one mkdocstrings directive for every public name.

    An object that several modules offer is described on the first of their pages; the others lead there.
    """
    documented = {module.__name__ for module in modules}
    described: dict[str, str] = {}
    pages = {}
    for module in modules:
        lines = [f"# {module.__name__}", "", inspect.getdoc(module) or "", ""]
        for name in sorted(set(module.__all__) - {"__version__"}, key=str.lower):
            path = f"{module.__name__}.{name}"
            # A submodule that nothing imported yet is no attribute of its package.
            value = getattr(module, name) if hasattr(module, name) else import_module(path)
            lines += [f"[](){{ #{path} }}", ""]
            if inspect.ismodule(value):
                link = f"[`{path}`]({path}.md)" if value.__name__ in documented else f"`{path}`"
                lines += [f"## {path}", "", f"{link}: {(inspect.getdoc(value) or '').partition(chr(10))[0]}", ""]
                continue
            definition = _definition(module, name, value)
            if definition is None:
                lines += [f"## {path}", "", f"`{name} = {value!r}`", ""]
            elif definition in described:
                first = described[definition]
                lines += [f"## {path}", "", f"The same as [`{first}`]({first.rpartition('.')[0]}.md#{first}).", ""]
            else:
                described[definition] = path
                lines += [f"::: {definition}", "    options:", f"      heading: {path}", ""]
        pages[api_path(module.__name__)] = "\n".join(lines)
    return pages


def _definition(module: ModuleType, name: str, value: Any) -> str | None:
    """The path at which a public object is defined; None where no single statement defines it.

    A name of a package may hide a submodule of the same name (``dfbench.degrade.apply``), so the documentation is
    looked up where the object is defined.
    """
    if (inspect.isclass(value) or inspect.isroutine(value)) and value.__module__.split(".")[0] in PACKAGES:
        return f"{value.__module__}.{value.__qualname__}"
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _definition(import_module(node.module), alias.name, value)
        targets = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return f"{module.__name__}.{name}"
    return None


def repository_links(text: str, page: str) -> Iterator[tuple[str, str]]:
    """(link as written, path in the repository) for every relative link of a page.

    Args:
        text: Markdown.
        page: the page's path in the repository, for example ``docs/prepare.md``.
    """
    for _, target, _ in _LINK.findall(text):
        path = target.partition("#")[0]
        if path and not re.match(r"[a-z]+:|/", target):
            yield target, posixpath.normpath(posixpath.join(posixpath.dirname(page), path))


def site_path(path: str) -> str:
    """Where a file of the repository lies in the site: a page, a file of ``docs/``, or a copy under ``source/``."""
    if path in ROOT_PAGES:
        return ROOT_PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}"


def rewrite(text: str, page: str) -> str:
    """Point the relative links of a page at their targets in the site."""
    here = posixpath.dirname(site_path(page))
    known = dict(repository_links(text, page))

    def replace(match: re.Match[str]) -> str:
        target = match[2]
        if target not in known:
            return match[0]
        anchor = target.partition("#")[2]
        to = posixpath.relpath(site_path(known[target]), here or ".")
        return f"{match[1]}{to}{'#' + anchor if anchor else ''}{match[3]}"

    return _LINK.sub(replace, text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API pages to the navigation."""
    names = [module.__name__ for module in public_modules()]
    config.nav.append({"API reference": [{name: api_path(name)} for name in names]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages, and copies of the files outside ``docs/`` that a page links to."""
    from mkdocs.structure.files import File

    for source, page in ROOT_PAGES.items():
        text = (TOP / source).read_text("utf-8")
        files.append(File.generated(config, page, content=rewrite(text, source)))
    for path, text in api_pages(list(public_modules())).items():
        files.append(File.generated(config, path, content=text))
    for path in sorted(_linked_files()):
        if not files.get_file_from_path(site_path(path)) and (TOP / path).is_file():
            files.append(File.generated(config, site_path(path), abs_src_path=os.fspath(TOP / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of the pages in ``docs/``."""
    if page.file.generated_by is not None:
        return markdown
    return rewrite(markdown, f"docs/{page.file.src_uri}")


def _linked_files() -> set[str]:
    pages = [*(TOP / name for name in ROOT_PAGES), *(TOP / "docs").rglob("*.md")]
    found = set()
    for page in pages:
        name = page.relative_to(TOP).as_posix()
        found |= {path for _, path in repository_links(page.read_text("utf-8"), name)}
    return {path for path in found if path not in ROOT_PAGES and not path.startswith("docs/")}
