"""The job of the tests. `job.py WITNESS VERB [ARGUMENT] ...` does the verbs in turn and writes down what it sees.

until FILE · pause SECONDS · daemons (a child, and a daemon in a session of its own, both ignoring SIGTERM) · stubborn
(ignore SIGTERM and SIGINT) · kill_worker · hoard BYTES (memory without end, or to a limit of its own) · breed (fork
until that is refused) · result JSON · square NUMBER · print TEXT · bytes HEX · flood SIZE END (of each MiB) ·
exit CODE · fail_unless FILE · alone (note who else lives on this node's device, or is this job) · sign (the attempt
is the result) · report JSON · keep NAME (make a directory in the run directory) · told NAME (note a variable) ·
obey HOW ANSWER CODE (run until the signal HOW, or with `file` until $EXS_CONTROL is there; ANSWER `ack` or `silent`).
"""

import json
import os
import resource
import signal
import sys
import time


def note(event: str, text: str = "") -> None:
    descriptor = os.open("/proc/self/stat", os.O_RDONLY)
    start = int(os.read(descriptor, 4096).rpartition(b")")[2].split()[19])
    os.close(descriptor)
    env = os.environ
    record = {
        "event": event,
        "job": env.get("EXS_JOB", ""),
        "attempt": env.get("EXS_ATTEMPT", ""),
        "pid": os.getpid(),
        "start": start,
        "node": env.get("EXS_WORKER", "").split(":")[0],
        "devices": env.get("CUDA_VISIBLE_DEVICES", "?"),
        "text": text,
        "cwd": os.getcwd(),
        "seed": env.get("EXS_SEED", ""),
        "at": time.clock_gettime(time.CLOCK_BOOTTIME),
    }
    append(sys.argv[1], json.dumps(record))


def append(path: str, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, (line + "\n").encode())
    os.close(descriptor)


def until(path: str) -> None:
    while not os.path.exists(path):
        time.sleep(0.02)


def ignore() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def linger(event: str) -> None:
    note(event)
    while True:
        time.sleep(600)


def family() -> None:
    """A child, and a daemon that has left the session, the group and its parent."""
    ready, tell = os.pipe()
    if os.fork() == 0:
        ignore()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.write(tell, b".")
                linger("daemon")
            os._exit(0)
        os.write(tell, b".")
        linger("child")
    os.read(ready, 1)
    os.read(ready, 1)


def flood(size: int, end: bytes) -> None:
    """So many bytes of output, each MiB of which ends with `end`; then a last word."""
    block = b"x" * ((1 << 20) - len(end)) + end
    for _ in range(size >> 20):
        sys.stdout.buffer.write(block)
    sys.stdout.buffer.write(b"\nthe end\n")
    sys.stdout.buffer.flush()


def obey(how: str, answer: str, code: int) -> None:
    """Train until told to stop; note what stands in the control file, and acknowledge or not."""
    heard = []
    ignore()
    if how != "file":
        signal.signal(getattr(signal, how), lambda number, frame: heard.append(number))
    note("ready")
    control = os.environ["EXS_CONTROL"]
    while not heard and (how != "file" or not os.path.exists(control)):
        time.sleep(0.01)
    with open(control) as file:  # noqa: PTH123
        note("asked", file.read())
    if answer == "ack":
        append(os.environ["EXS_REPORT"], json.dumps({"ack": "stop"}))
    note("end")
    sys.exit(code)


def look_around() -> None:
    """Note each process of another attempt that lives on this node's device (I6: none may) or is of this job (I4)."""
    env = os.environ
    node, devices = env["EXS_WORKER"].split(":")[0], env["CUDA_VISIBLE_DEVICES"].split(",")
    with open(sys.argv[1]) as file:  # noqa: PTH123
        lines = [json.loads(line) for line in file if line.endswith("\n")]
    for line in lines:
        here = line["node"] == node and set(line["devices"].split(",")) & set(devices)
        twin = line["job"] == env["EXS_JOB"]
        if (twin or here) and line["attempt"] != env["EXS_ATTEMPT"] and lives(line["pid"], line["start"]):
            if here:
                note("shared", json.dumps(line))
            if twin:
                note("twin", json.dumps(line))


def lives(pid: int, start: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            words = file.read().rpartition(b")")[2].split()
    except OSError:
        return False
    return int(words[19]) == start and words[0] not in b"ZX"


def hoard(limit: int) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    hoard = bytearray()
    while True:
        hoard += bytes(1 << 24)


def breed() -> None:
    """Fork until that is refused, then fail."""
    if os.geteuid():
        resource.setrlimit(resource.RLIMIT_NPROC, (200, 200))
    while True:
        if os.fork() == 0:
            time.sleep(600)


def main() -> None:
    words = iter(sys.argv[2:])
    note("start")
    for verb in words:
        if verb == "until":
            until(next(words))
        elif verb == "pause":
            time.sleep(float(next(words)))
        elif verb == "daemons":
            family()
            note("family")
        elif verb == "stubborn":
            ignore()
            note("stubborn")
        elif verb == "kill_worker":
            os.kill(int(os.environ["EXS_WORKER_PID"]), signal.SIGKILL)
            time.sleep(600)
        elif verb == "keep":
            os.makedirs(os.path.join(os.environ["EXS_OUTPUT"], next(words)), exist_ok=True)
        elif verb == "told":
            note("told", os.environ.get(next(words), ""))
        elif verb in ("result", "report"):
            append(os.environ["EXS_REPORT"], next(words))
        elif verb == "square":
            append(os.environ["EXS_REPORT"], json.dumps({"square": int(next(words)) ** 2}))
        elif verb == "print":
            print(next(words), flush=True)
        elif verb == "bytes":
            sys.stdout.buffer.write(bytes.fromhex(next(words)))
            sys.stdout.buffer.flush()
        elif verb == "alone":
            look_around()
        elif verb == "sign":
            append(os.environ["EXS_REPORT"], json.dumps({"attempt": os.environ["EXS_ATTEMPT"]}))
        elif verb == "flood":
            flood(int(next(words)), next(words).encode())
        elif verb == "hoard":
            hoard(int(next(words)))
        elif verb == "breed":
            breed()
        elif verb == "exit":
            note("end")
            sys.exit(int(next(words)))
        elif verb == "obey":
            obey(next(words), next(words), int(next(words)))
        elif verb == "fail_unless":
            if not os.path.exists(next(words)):
                sys.exit(3)
        else:
            sys.exit(f"no such verb: {verb}")
    note("end")


main()
