"""The certificate with which the embedded server speaks TLS: made once by the openssl tool, signed by itself.

It travels in the URL (`ssl_ca_data`), so that a node which has the URL trusts this server and no other one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from ipaddress import ip_address

from exs.errors import InputError
from exs.paths import ServerFiles

_DAYS = 3650
_PATIENCE = 60.0


def make(files: ServerFiles, names: list[str]) -> None:
    """Have a certificate for these names and addresses; one that is good for all of them is kept.

    Raises InputError where there is no openssl, or where it fails.
    """
    wanted = ",".join(_alternative(name) for name in dict.fromkeys(names))
    if files.tls_names.exists() and files.certificate.exists() and files.tls_key.exists():
        have = set(files.tls_names.read_text(encoding="utf-8").split(","))
        if have >= set(wanted.split(",")):
            return
    openssl = shutil.which("openssl")
    if openssl is None:
        raise InputError(
            "--tls needs a certificate, and there is no openssl on PATH to make one.",
            "Install openssl, or leave out --tls on a network that you trust.",
        )
    new = [path.with_name(f".{path.name}.new") for path in (files.tls_key, files.certificate)]
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"]
    words += ["-days", str(_DAYS), "-subj", "/CN=exs", "-addext", f"subjectAltName={wanted}"]
    words += ["-keyout", str(new[0]), "-out", str(new[1])]
    done = subprocess.run(
        [openssl, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PATIENCE,
        umask=0o077,
    )
    if done.returncode:
        said = " / ".join(done.stderr.split("\n")[-3:]).strip(" /")
        raise InputError(f"openssl made no certificate: {said[:300]}", "Leave out --tls on a network that you trust.")
    files.tls_names.unlink(missing_ok=True)  # it comes back when both are there
    os.replace(new[0], files.tls_key)
    os.replace(new[1], files.certificate)
    files.tls_names.write_text(wanted, encoding="utf-8")


def in_url(files: ServerFiles) -> str:
    """The query of a URL that makes redis-py trust it."""
    from urllib.parse import quote

    return f"?ssl_ca_data={quote(files.certificate.read_text(encoding='utf-8'), safe='')}"


def _alternative(name: str) -> str:
    try:
        return f"IP:{ip_address(name)}"
    except ValueError:
        return f"DNS:{name}"
