"""``dfbench cache``: list, measure and empty the user's cache folder."""

from __future__ import annotations

import time

import click

from dfbench.cli.show import echo, print_table, size_text


@click.group(name="cache", epilog="Example: dfbench cache list")
def cache_group() -> None:
    """Show or empty the cache, which holds only what can be made again.

    It holds crops that were degraded before cropping, decoded crops, and files of face detectors. Do not remove entries
    that a running evaluation or training reads.
    """


@cache_group.command(name="list", epilog="Example: dfbench cache list")
def list_entries() -> None:
    """List the entries, those used last first."""
    from dfbench.manifest.crop_cache import cache_entries, other_sizes

    rows = []
    for entry in cache_entries():
        info, used = entry.info, time.strftime("%Y-%m-%d", time.localtime(entry.used))
        what = (info.condition, f"{info.size} px", info.storage, info.manifest) if info else ("?", "?", "?", "?")
        rows.append((entry.key, *what[:3], entry.crops, size_text(entry.bytes), used, what[3]))
    if rows:
        print_table(("entry", "condition", "size", "storage", "crops", "on disk", "last used", "manifest"), rows)
    else:
        echo("no crops are cached")
    for name, size in other_sizes().items():
        echo(f"other: {name}, {size_text(size)}")


@cache_group.command(epilog="Example: dfbench cache size")
def size() -> None:
    """Print the size of the cache and, on the last line, its folder."""
    from dfbench.config import cache_home
    from dfbench.manifest.crop_cache import cache_entries, other_sizes

    crops = sum(entry.bytes for entry in cache_entries())
    echo(f"crops: {size_text(crops)}")
    echo(f"other: {size_text(sum(other_sizes().values()))}")
    echo(str(cache_home()))


@cache_group.command(
    epilog="""\b
Examples:
  dfbench cache clear
  dfbench cache clear --unused-days 30
  dfbench cache clear 0f3a52c1d8e94b67"""
)
@click.argument("entries", nargs=-1)
@click.option("--unused-days", type=click.FloatRange(min=0), metavar="N", help="Only entries not used for N days.")
@click.option("--all", "everything", is_flag=True, help="Also everything else in the cache folder.")
def clear(entries: tuple[str, ...], unused_days: float | None, everything: bool) -> None:
    """Delete ENTRIES of the cache, by the names of dfbench cache list; without names, all crops."""
    from dfbench.errors import UsageError, unknown_name
    from dfbench.manifest.crop_cache import cache_entries, other_sizes, remove_entry, remove_other

    found = {entry.key: entry for entry in cache_entries()}
    for name in entries:
        if name not in found:
            raise unknown_name("cache entry", name, list(found), "dfbench cache list")
    if everything and (entries or unused_days is not None):
        raise UsageError("--all deletes every entry", "drop the names and --unused-days, or --all")
    chosen = [found[name] for name in entries] if entries else list(found.values())
    if unused_days is not None:
        chosen = [entry for entry in chosen if time.time() - entry.used > unused_days * 86400]
    freed = sum(entry.bytes for entry in chosen)
    for entry in chosen:
        remove_entry(entry)
    for name, other in other_sizes().items() if everything else ():
        remove_other(name)
        freed += other
    echo(f"{len(chosen)} entries deleted, {size_text(freed)} freed")
