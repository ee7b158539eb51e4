"""One lazy, typed registry for every kind of plug-in: built-in names, installed packages, and names given at run time.

A built-in entry is written ``"module:attribute"`` and imported on first use. An installed package adds entries by an
entry-point group:

    [project.entry-points."dfbench.face_detectors"]
    my-detector = "my_package.detector:build"

Listing names imports nothing. What a broken package does is seen only by those who request its entry, as an error that
names the package, the entry point and the group.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from threading import Lock
from typing import Any, Generic, TypeVar

from dfbench.errors import DfbenchError, SetupError, UsageError, unknown_name

__all__ = ["Entry", "Registry", "any_callable", "forget_installed_plugins", "instance_of", "with_attributes"]

DISTRIBUTION = "deepfake-dfbench"

T = TypeVar("T")
Installed = Mapping[str, tuple[EntryPoint, ...]]
"""Group -> entry points of the installed packages."""

_logger = logging.getLogger("dfbench")


@dataclass(frozen=True, eq=False)
class Entry(Generic[T]):
    """One name of a registry.

    Attributes:
        name: the name.
        target: where it is found, ``module:attribute``; empty where ``value`` is given.
        value: the object itself, where nothing has to be imported.
        summary: one line; may be empty.
        package: the installed package that provides it, with its version; empty for dfbench's own.
        group: the entry-point group, for those of a package.
        point: the entry point, for those of a package.
    """

    name: str
    target: str = ""
    value: T | None = None
    summary: str = ""
    package: str = ""
    group: str = ""
    point: EntryPoint | None = None

    @property
    def origin(self) -> str:
        """Where it comes from, for tables and messages."""
        return f"package {self.package}" if self.package else "dfbench"


class Registry(Generic[T]):
    """Named objects of one kind.

    Args:
        kind: what a name stands for, for messages: ``"face detector"``.
        group: the entry-point group that packages add to.
        builtin: dfbench's own names in the order of listings, each with ``"module:attribute"`` or the object itself.
        check: given a name and what was loaded for it; returns the object that :meth:`get` hands out, or raises
            ``TypeError`` or ``ValueError`` that says what it is not. See :func:`instance_of`, :func:`with_attributes`.
        summaries: one line of help for built-in names.
        aliases: old name -> name. An alias is accepted with a ``FutureWarning`` and never listed.
        listing: the command that lists the names, for hints.
        error: raised where an entry is broken.
        other_groups: former names of the group, which are read as well.
        describer: one line of help for a loaded object; used where nothing else is known.

    >>> shapes = Registry("shape", "example.shapes", {"circle": "math:pi"}, check=instance_of(float))
    >>> shapes.names(), round(shapes.get("circle"), 2)
    (('circle',), 3.14)
    """

    def __init__(
        self,
        kind: str,
        group: str,
        builtin: Mapping[str, str | T],
        *,
        check: Callable[[str, object], T],
        summaries: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        listing: str = "",
        error: type[DfbenchError] = SetupError,
        other_groups: Sequence[str] = (),
        describer: Callable[[T], str] | None = None,
    ) -> None:
        self.kind = kind
        self.group = group
        self._check = check
        self._aliases = dict(aliases or {})
        self._listing = listing
        self._error = error
        self._groups = (group, *other_groups)
        self._describer = describer
        self._builtin: dict[str, Entry[T]] = {
            name: Entry(name, target=value, summary=(summaries or {}).get(name, ""))
            if isinstance(value, str)
            else Entry(name, value=value, summary=(summaries or {}).get(name, ""))
            for name, value in builtin.items()
        }
        self._added: dict[str, Entry[T]] = {}
        self._installed: tuple[Installed, dict[str, Entry[T]]] | None = None
        self._loaded: dict[str, tuple[Entry[T], T]] = {}
        self._lock = Lock()

    def register(self, name: str, value: T, *, summary: str = "") -> None:
        """Add an object for the rest of this process.

        Args:
            name: a name that is free.
            value: the object.
            summary: one line of help.

        Raises:
            UsageError: the name is taken, or the object is not of this kind.
        """
        with self._lock:
            if name in self._entries():
                raise UsageError(f"the {self.kind} {name!r} exists already", "choose another name")
            try:
                self._check(name, value)
            except (TypeError, ValueError) as error:
                raise UsageError(f"cannot register the {self.kind} {name!r}: {error}", "") from error
            self._added[name] = Entry(name, value=value, summary=summary)

    def names(self) -> tuple[str, ...]:
        """All names: built-in ones in their order, then those of packages, then those added at run time."""
        with self._lock:
            return tuple(self._entries())

    def __iter__(self) -> Iterator[str]:
        """Iterate over :meth:`names`."""
        return iter(self.names())

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self.names())

    def __contains__(self, name: object) -> bool:
        """Whether :meth:`get` knows the name; aliases included."""
        with self._lock:
            return name in self._aliases or name in self._entries()

    def get(self, name: str) -> T:
        """Return the object of a name, importing it on first use.

        Raises:
            UsageError: nothing has that name; the hint gives the nearest ones.
            DfbenchError: of the class given to the constructor; the entry cannot be imported or is not of this kind.
        """
        entry = self.entry(name)
        loaded = self._loaded.get(entry.name)
        if loaded is not None and loaded[0] is entry:
            return loaded[1]
        # Without the lock: an import may come back here, in this thread or another one.
        value = self._load(entry)
        self._loaded[entry.name] = (entry, value)
        return value

    def entry(self, name: str) -> Entry[T]:
        """Return what is known of a name without importing it.

        Raises:
            UsageError: nothing has that name.
        """
        if name in self._aliases:
            new = self._aliases[name]
            warnings.warn(f"the {self.kind} {name!r} is now called {new!r}", FutureWarning, stacklevel=3)
            name = new
        with self._lock:
            entries = self._entries()
        if name not in entries:
            raise self.unknown(name)
        return entries[name]

    def unknown(self, name: str, further: Iterable[str] = ()) -> UsageError:
        """Return the error for a name that is not known; ``further`` are names that are valid beyond the registry."""
        return unknown_name(self.kind, name, (*self.names(), *further), self._listing)

    def describe(self, name: str) -> str:
        """Return one line of help; imports the entry only where nothing else gives one.

        An entry that cannot be loaded is described by its error.

        Raises:
            UsageError: nothing has that name.
        """
        entry = self.entry(name)
        text = entry.summary
        if not text:
            try:
                value = self.get(name)
            except DfbenchError as error:
                text = f"broken: {error.message}"
            else:
                text = self._describer(value) if self._describer is not None else _first_line(value)
        return f"{text} ({entry.origin})".lstrip() if entry.package else text

    @contextmanager
    def blame(self, name: str) -> Iterator[None]:
        """Run code of an entry; an exception that is not dfbench's own becomes an error that names its package.

        Exceptions of dfbench's own entries pass unchanged.
        """
        entry = self.entry(name)
        try:
            yield
        except DfbenchError:
            raise
        except Exception as error:
            if entry.name in self._builtin:
                raise
            raise self._broken(entry, error) from error

    def _entries(self) -> dict[str, Entry[T]]:
        return {**self._builtin, **self._plugins(), **self._added}

    def _plugins(self) -> dict[str, Entry[T]]:
        found = _installed_plugins()
        if self._installed is None or self._installed[0] is not found:
            self._installed = (found, self._read(found))
        return self._installed[1]

    def _read(self, found: Installed) -> dict[str, Entry[T]]:
        """Entries of all packages. dfbench's own come first, and the first of a name wins."""
        points = [point for group in self._groups for point in found.get(group, ())]
        made: dict[str, Entry[T]] = {}
        for point in sorted(points, key=lambda p: (not _is_own(p), p.name, _package(p), p.value)):
            entry: Entry[T] = Entry(
                point.name,
                target=point.value,
                package="" if _is_own(point) else _package(point),
                group=point.group,
                point=point,
            )
            other = self._builtin.get(point.name) or made.get(point.name)
            if other is None:
                made[point.name] = entry
            elif (other.package, other.target) != (entry.package, entry.target):
                _logger.warning(
                    "the %s %r of package %s is ignored: the name belongs to %s",
                    self.kind,
                    point.name,
                    _package(point),
                    other.origin,
                )
        return made

    def _load(self, entry: Entry[T]) -> T:
        found: object
        try:
            if entry.value is not None:
                found = entry.value
            elif entry.point is not None:
                found = entry.point.load()
            else:
                module, _, attribute = entry.target.partition(":")
                found = getattr(import_module(module), attribute)
            return self._check(entry.name, found)
        except DfbenchError:
            raise
        except (Exception, SystemExit) as error:  # the code of a package can raise anything when imported
            raise self._broken(entry, error) from error

    def _broken(self, entry: Entry[T], error: BaseException) -> DfbenchError:
        reason = str(error) if isinstance(error, TypeError | ValueError) else f"{type(error).__name__}: {error}"
        if entry.point is None and entry.name not in self._builtin:
            return self._error(f"the {self.kind} {entry.name!r} of this process cannot be used: {reason}", "")
        if entry.point is None or not entry.package:
            return self._error(
                f"the {self.kind} {entry.name!r} cannot be loaded from {entry.target}: {reason}",
                f'install dfbench again: pip install --force-reinstall "{DISTRIBUTION}"',
            )
        return self._error(
            f"the {self.kind} {entry.name!r} of package {entry.package} cannot be used: {reason} "
            f"(entry point {entry.name} = {entry.target!r} in group {entry.group!r})",
            f"update or uninstall that package: pip uninstall {entry.package.partition(' ')[0]}",
        )


def instance_of(kind: type[T]) -> Callable[[str, object], T]:
    """Return a check for :class:`Registry`: an instance of a class that has the registered name, if it has any."""

    def check(name: str, value: object) -> T:
        if not isinstance(value, kind):
            raise TypeError(f"it is {_article(type(value).__name__)}, not {_article(kind.__name__)}")
        if getattr(value, "name", name) != name:
            raise ValueError(f"its name is {value.name!r}, not {name!r}")  # type: ignore[attr-defined]
        return value

    return check


def with_attributes(contract: str, *attributes: str) -> Callable[[str, object], Any]:
    """Return a check for :class:`Registry`: the object has the attributes of a protocol and the registered name.

    Args:
        contract: full name of the protocol, for the message.
        attributes: names of its attributes and methods.
    """

    def check(name: str, value: object) -> object:
        lacks = [attribute for attribute in attributes if not hasattr(value, attribute)]
        if lacks:
            raise TypeError(f"{_article(type(value).__name__)} lacks {', '.join(lacks)} of {contract}")
        if getattr(value, "name", name) != name:
            raise ValueError(f"its name is {value.name!r}, not {name!r}")  # type: ignore[attr-defined]
        return value

    return check


def any_callable(contract: str) -> Callable[[str, object], Any]:
    """Return a check for :class:`Registry`: the object can be called as ``contract`` says."""

    def check(name: str, value: object) -> object:
        if not callable(value):
            raise TypeError(f"{_article(type(value).__name__)} cannot be called as {contract}")
        return value

    return check


def forget_installed_plugins() -> None:
    """Read the installed packages again on next use, after one was installed or removed in this process."""
    _installed_plugins.cache_clear()


@cache
def _installed_plugins() -> Installed:
    """The entry points of all installed packages by group, read once per process: it takes some 30 ms."""
    installed = entry_points()
    return {group: tuple(installed.select(group=group)) for group in installed.groups}


def _is_own(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name == DISTRIBUTION


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "of unknown name"


def _first_line(value: object) -> str:
    text = getattr(value, "summary", None) or (getattr(value, "__doc__", None) or "")
    lines = str(text).strip().splitlines()
    return lines[0].rstrip(".") if lines else ""


def _article(noun: str) -> str:
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
