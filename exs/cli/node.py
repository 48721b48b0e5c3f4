"""`exs node`: this machine as one that works for a queue, for good."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from exs.cli import session
from exs.errors import InputError


@click.group(name="node")
def command() -> None:
    """Make this machine's worker a service that is there after every start."""


@command.command(
    short_help="Write a systemd unit that runs exs worker.", context_settings={"ignore_unknown_options": True}
)
@click.option("--user", "for_user", is_flag=True, help="A service of yours, without root. [default unless root]")
@click.option("--system", "for_system", is_flag=True, help="A service of the machine; as root. [default for root]")
@click.option("--run-as", metavar="USER", help="With --system: who runs the jobs. [default: who called sudo]")
@click.option("--root", default="/", metavar="DIR", help="Write below DIR, as for an image of another machine.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def install(for_user: bool, for_system: bool, run_as: str | None, root: str, options: tuple[str, ...]) -> None:
    """Write a systemd unit that runs `exs worker OPTIONS`, for example: exs node install -- --gpus all.

    Its Redis is what EXS_REDIS_URL or the config file names, kept in a file that only the service reads. Said again it
    changes what has changed, and nothing else. Ends with what to type to start it.
    """
    from exs.tools import systemd

    if for_user and for_system:
        raise InputError("--user and --system contradict each other.", "Leave one of them out.")
    system = for_system or (os.geteuid() == 0 and not for_user)
    if run_as and not system:
        raise InputError("--run-as goes with --system.", "A service of yours runs as you.")
    if not root:
        raise InputError("--root names no directory.", "Leave it out for this machine.")
    url = session.settings().redis_url
    if not url:
        raise InputError(
            "a service needs a Redis that outlives it, and none is configured.",
            'On the machine that has the queue: exs server start --share. Here: EXS_REDIS_URL="..." exs node install',
        )
    _check(options)
    if run_as and root == "/":
        _check_user(run_as)
    base = Path(root).absolute()
    user = (run_as or os.environ.get("SUDO_USER") or _me()) if system else ""
    if system:
        unit, environment = Path("/etc/systemd/system", systemd.NAME), Path("/etc/exs/worker.env")
    else:
        home = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config"))
        unit, environment = home / "systemd" / "user" / systemd.NAME, home / "exs" / "worker.env"
    text = systemd.unit([*_program(), "worker", *options], environment, user)
    values = {"EXS_REDIS_URL": url, "PATH": os.environ.get("PATH", os.defpath)}
    told = systemd.environment_text(values)
    for path, content, mode in ((environment, told, 0o600), (unit, text, 0o644)):
        place = base / path.relative_to("/") if root != "/" else path
        done = "written" if systemd.write(place, content, mode) else "unchanged"
        click.echo(f"{done}  {place}")
    control = "systemctl" if system else "systemctl --user"
    click.echo(f"start it:  {control} daemon-reload && {control} enable --now {systemd.NAME}")
    click.echo(f"see it:    {'journalctl -u' if system else 'journalctl --user -u'} {systemd.NAME}")
    if not system:
        click.echo("keep it when you log out:  loginctl enable-linger")


def _check(options: tuple[str, ...]) -> None:
    """Refuse what `exs worker` would refuse: the service would say so to nobody."""
    from exs.cli.worker import command as worker

    with worker.make_context("exs worker", list(options), resilient_parsing=False) as context:
        if context.protected_args:
            raise InputError(f"exs worker {' '.join(options)} is no worker.", "Give options alone: -- --gpus all")


def _check_user(name: str) -> None:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        raise InputError(f"--run-as {name}: this machine has no such user.", "Make one: useradd -m NAME") from None


def _program() -> list[str]:
    """This exs. `python -m` would look for modules in the directory where the service starts, too."""
    script = Path(sys.executable).with_name("exs")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-m", "exs"]


def _me() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name
