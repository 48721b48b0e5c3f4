"""`exs server`: the embedded Redis of this user."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace

import click

from exs import server
from exs import settings as config
from exs.errors import ExsError, InputError
from exs.model import HELD


@click.group(name="server")
def command() -> None:
    """The Redis that commands share when no URL is set: start it, stop it, offer it to other machines."""


@command.command()
@click.option("--listen", "address", metavar="HOST[:PORT]", help="Also listen for other machines, with a password.")
@click.option("--share", is_flag=True, help="The same on every address, and print the line that joins a node.")
@click.option("--tls", is_flag=True, help="With --share or --listen: encrypted, with a certificate made by openssl.")
@click.option("--no-password", is_flag=True, help="With --listen on a loopback address: ask for no password.")
@click.option("--local", is_flag=True, help="Listen for other machines no more.")
def start(address: str | None, share: bool, tls: bool, no_password: bool, local: bool) -> None:
    """Start the server. It remembers --listen and --share until --local."""
    if local and (address or share):
        raise InputError(
            f"--local and --{'share' if share else 'listen'} contradict each other.", "Leave one of them out."
        )
    if no_password and not address:
        raise InputError("--no-password goes with --listen.", "Add --listen 127.0.0.1, or leave it out.")
    if no_password and share:
        raise InputError("--share is with a password: who can write there can run commands.", "Leave one of them out.")
    if tls and not (address or share):
        raise InputError("--tls goes with --share or --listen.", "Add --share, or leave it out.")
    settings = config.load()
    wanted = None
    if address:
        from exs.server.listen import parse

        wanted = parse(address, password=not no_password, tls=tls)
    elif share:
        wanted = server.shared(settings, tls)
    done = server.start(settings, wanted, local)
    _print(_lines(server.status(settings), {"running": "already running"}.get(done, done)))
    _mention_configured(settings)
    if share:
        import shlex

        click.echo("\nOn each node (the URL holds the password: who has it can run commands on all of them):\n")
        click.echo(f"EXS_REDIS_URL={shlex.quote(server.url(settings))} exs worker")
    elif wanted:
        click.echo("For EXS_REDIS_URL on other machines, print its URL with the password here: exs server url")


@command.command()
def stop() -> None:
    """Stop the server. What is queued stays on disk, and the next command starts it again.

    Running jobs go on without it, and deliver what they did when it is back.
    """
    settings = config.load()
    for warning in _warnings(settings):
        click.echo(warning, err=True)
    click.echo("stopped" if server.stop(settings) else "not running")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Say how the server is. Exit code 0 if it runs, 1 if not."""
    settings = config.load()
    found = server.status(settings)
    if as_json:
        click.echo(json.dumps({"running": found is not None, **(asdict(found) if found else {})}))
    else:
        _print(_lines(found, "running"))
        _mention_configured(settings)
    context.exit(0 if found else 1)


@command.command()
def url() -> None:
    """Print the server's URL, with its password, and nothing else. Starts it if need be."""
    click.echo(server.url(config.load()))


def _warnings(settings: config.Settings) -> Iterator[str]:
    """What a stop now means for those who use the server; nothing if it does not run or does not tell."""
    try:
        found = server.status(settings)
        if found is None or found.aof == "loading":
            return
        if found.aof.endswith("failed"):
            yield f"Warning: its last write to disk failed, what came since may be lost. Its log: {found.log}"
        yield from _interrupted(server.ensure(replace(settings, redis_url="")), settings)
    except ExsError:
        return


def _interrupted(url: str, settings: config.Settings) -> Iterator[str]:
    """Who has to do without the server."""
    from exs.store.store import open_store

    store = open_store(url, settings)
    jobs = sum(row.counts.get(state, 0) for row in store.experiments() for state in HELD)
    slots = sum(row.state != "gone" for row in store.workers())
    if jobs:
        what = "1 job runs: it goes on, and delivers" if jobs == 1 else f"{jobs} jobs run: they go on, and deliver"
        yield f"Warning: {what} when the server is back."
    elif slots:
        yield f"Warning: workers are connected ({slots}): they wait until the server is back."


def _lines(found: server.Status | None, state: str) -> dict[str, str]:
    if found is None:
        return {"state": "not running; the next command that needs it starts it"}
    from exs.view.when import duration

    return {
        "state": f"{state} (process {found.pid}, up {duration(found.uptime)})",
        "server": f"{found.version}{' (bundled)' if found.bundled else ''}  {found.binary}",
        "socket": found.socket,
        "listening": found.listening or "no: this machine only (--listen HOST[:PORT] for others)",
        "data": found.data,
        "log": found.log,
        "append-only": found.aof,
        "memory": f"{found.memory / (1 << 20):.1f} MiB",
        "clients": str(found.clients),
    }


def _print(lines: dict[str, str]) -> None:
    from exs.view.text import safe

    width = max(map(len, lines))
    for name, value in lines.items():
        click.echo(f"{name:<{width}}  {safe(value)}")


def _mention_configured(settings: config.Settings) -> None:
    if settings.redis_url:
        where = config.masked_url(settings.redis_url)
        click.echo(f"Note: commands here use the configured {where} instead.", err=True)
