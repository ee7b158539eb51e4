"""Check the names in a protocol: data sets, subsets, methods, crop profiles, metrics, published numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from dfbench.datasets.registry import get_adapter
from dfbench.errors import DataError, DfbenchError, unknown_name
from dfbench.faces.profiles import get_profile
from dfbench.metrics import parse_metric
from dfbench.protocols.protocol import Protocol
from dfbench.resources import facts_folder
from dfbench.schema.published import load_published, rows_where


def check_protocol(protocol: Protocol) -> None:
    """Check every name that loading does not look up.

    Raises:
        DataError: some names are unknown; the message lists all of them.
    """
    found = [problem for name, check in _checks(protocol) if (problem := _problem(name, check))]
    if found:
        raise DataError(
            f"protocol {protocol.name!r}: {'; '.join(dict.fromkeys(found))}", "see docs/protocols.md for the fields"
        )


def _checks(protocol: Protocol) -> Iterator[tuple[str, Callable[[], object]]]:
    for part in protocol.data:
        yield (
            f"data of {part.dataset}",
            lambda p=part: get_adapter(p.dataset).filters(p.subsets, (p.split,), p.manipulations),  # type: ignore[misc]
        )
    yield "real_classes", lambda: protocol.reals
    yield "crops.profile", lambda: get_profile(protocol.crops.profile)
    for name in protocol.metrics.names:
        yield "metrics.names", lambda n=name: _metric(n, protocol)  # type: ignore[misc]
    if protocol.selection.split != "none":
        yield "selection.metric", lambda: parse_metric(protocol.selection.metric)
    if protocol.published.where:
        yield "published.where", lambda: _published(protocol)


def _metric(name: str, protocol: Protocol) -> None:
    wanted = parse_metric(name).definition.of_class
    classes = protocol.classes or ("real", "fake")
    if wanted and wanted not in classes:
        raise unknown_name("class", wanted, classes)


def _problem(name: str, check: Callable[[], object]) -> str:
    try:
        check()
    except DfbenchError as error:
        return f"{name}: {error.message}" + (f" ({error.hint})" if error.hint else "")
    return ""


def _published(protocol: Protocol) -> None:
    where = protocol.published.where
    if not rows_where(load_published(facts_folder() / "published_results.csv"), where):
        raise DataError(f"no published number has {', '.join(f'{k} = {v!r}' for k, v in where.items())}")
