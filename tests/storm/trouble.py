"""What a storm does to three nodes and their Redis: one random fault after the other, by seed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from exs.model import FINAL, JobState
from exs.store.scripts import sha
from exs_worker import proctree
from exs_worker.config import HAND_BACK
from harness.fleet import Fleet
from harness.node import Node, environment, gpus
from harness.proxy import Proxy
from slotprocess import wait_until

S = JobState
CLOCK = Path(__file__).parents[1] / "harness" / "clock"
NODES = ("a", "b", "c")
#: Two slots per node.
GPUS = 2
#: Scripts whose reply may be lost.
SCRIPTS = ("claim", "renew", "finish", "release", "reap", "slot_dead")
#: Jobs of a sweep that is pushed in the middle of it all.
PUSHED = 12


#: Seconds in which a node must have ended what it lost, once it is in contact again (I4: 2 s), and then some: four
#: storms may share two cores.
FENCED_WITHIN = 10.0


#: Seconds after which a silent node's jobs are lost, and run elsewhere while the node still runs them.
AWAY = 4.0


def boot_time() -> float:
    """The clock of the witness."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Silence:
    """When somebody could not be reached, or was too dead to end what it had."""

    def __init__(self) -> None:
        self._over: list[tuple[float, float]] = []
        self._since: float | None = None

    def begins(self) -> None:
        """From now on."""
        self._since = self._since or boot_time()

    def ends(self) -> None:
        """Until now."""
        if self._since is not None:
            self._over.append((self._since, boot_time() + FENCED_WITHIN))
            self._since = None

    def moment(self) -> None:
        """Now."""
        self._over.append((boot_time(), boot_time() + FENCED_WITHIN))

    def was(self, at: float) -> bool:
        """Whether it could be that it had not heard, at that time, what it had lost."""
        return (self._since is not None and self._since <= at) or any(a <= at <= b for a, b in self._over)


class Site:
    """One node, and the levers to what it stands on.

    `cut`: its network is not there. `stopped`: a process of it does not run. `dead`: a process of it was just killed.
    """

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.fleet = fleet
        self.proxy: Proxy = fleet.proxy()
        self.clock = fleet.root / f"clock-{name}"
        self.devices = fleet.root / f"gpus-{name}"
        self.gpus = gpus(GPUS)
        python = os.pathsep.join([str(CLOCK), environment("", fleet.root)["PYTHONPATH"]])
        env = {
            "PYTHONPATH": python,
            "TEST_CLOCK": str(self.clock),
            "EXS_CRASH_BUDGET": "10000",
            "EXS_FAKE_GPUS_STATE": str(self.devices),
            "EXS_GPU_CHECK": "0.2",
        }
        self.node: Node = fleet.node(name, start=False, url=self.proxy.url, **env)
        self.break_gpu("")
        self.frozen: list[int] = []
        self.away_until = 0.0
        self.cut, self.stopped, self.dead = Silence(), Silence(), Silence()

    def launch(self) -> None:
        self.node.launch("--gpus", ",".join(self.gpus))

    def break_gpu(self, gpu: str) -> None:
        fresh = self.devices.with_suffix(".new")
        fresh.write_text(json.dumps({"broken": {gpu: "NVML: GPU is lost."} if gpu else {}}))
        fresh.rename(self.devices)

    def thaw(self) -> None:
        for pid in self.frozen:
            self.signal(pid, signal.SIGCONT)
        self.frozen.clear()
        self.stopped.ends()

    def signal(self, pid: int, number: int) -> None:
        if proctree.read(pid) is not None:
            os.kill(pid, number)


class Storm:
    """`history`: what was done, readable, with the seconds since the beginning."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet = fleet
        self.seed = seed
        self.random = random.Random(seed)
        self.sites = [Site(fleet, name) for name in NODES]
        self.history: list[str] = []
        self.canceled: set[str] = set()
        self.pushed: list[str] = []
        self.pushes: list[subprocess.Popen[bytes]] = []
        self.hit: set[str] = set()
        self.outage = Silence()
        self._began = time.monotonic()
        faults: dict[Callable[[Site], str], int] = {
            self.kill_slot: 4, self.kill_agent: 2, self.power_off: 2, self.stop: 1, self.hand_back: 1, self.freeze: 3,
            self.kill_job: 3, self.network: 8, self.lose_reply: 4, self.redis: 2, self.redis_freezes: 1, self.flush: 1,
            self.full: 1, self.clock: 2, self.gpu: 1, self.cancel: 3, self.push: 2,
            self.pause: 4, self.activate: 4,
        }  # fmt: skip
        self._faults, self._weights = list(faults), list(faults.values())

    def start(self) -> None:
        """Start every node."""
        for site in self.sites:
            site.launch()

    def rage(self, seconds: float) -> None:
        """Faults for so long; whatever happens, the queue is consistent whenever Redis is there to be asked."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            (fault,) = self.random.choices(self._faults, self._weights)
            site = self.random.choice(self.sites)
            if self.random.random() < 0.5:
                site.thaw()
            self.revive(site)
            self.note(f"{fault.__name__} {site.node.name} {fault(site)}")
            pause = time.monotonic() + self.random.uniform(0.05, 0.8)
            self.fleet.wait(lambda pause=pause: time.monotonic() > pause, "the next fault")
            found = self.fleet.store.audit()
            assert found == [], found

    def calm(self) -> None:
        """No more faults: everything answers, every GPU is well, every node has an agent, every push is repeated."""
        self.note("calm")
        self.fleet.server.client().config_set("maxmemory", "0")
        for site in self.sites:
            site.thaw()
            site.break_gpu("")
            site.clock.write_text("0")
            site.proxy.heal()
            site.cut.ends()
            site.node.power_off()  # a GPU that failed is used again by a new agent only
            site.launch()
        for name in ("work", "long"):
            self._activate(name)
        for process in self.pushes:
            process.kill()
            process.wait(20)
        for name in self.pushed:
            client, stage = self.fleet.server.client(), f"exs:stage:{name}"
            if client.exists(stage):  # half of it came; as if nobody had spoken for it for long
                client.hset(stage, "at", 1)
            self.fleet.exs("push", f"{name}.yaml")

    def note(self, text: str) -> None:
        self.history.append(f"{time.monotonic() - self._began:7.2f} {text}")

    def revive(self, site: Site) -> None:
        """A node whose agent has left, or was killed, gets another."""
        if site.node.ended() is not None:
            site.launch()

    def out_of_contact(self, node: str, at: float) -> bool:
        """Whether a node may still have run, at that time, what had been given to another."""
        (site,) = (site for site in self.sites if site.node.name == node)
        return any(silence.was(at) for silence in (site.cut, site.stopped, site.dead, self.outage))

    # ------------------------------------------------------------ faults; each says what it did

    def kill_slot(self, site: Site) -> str:
        slots = site.node.slots()
        for pid in self.random.sample(slots, min(len(slots), 1)):
            site.signal(pid, signal.SIGKILL)
            site.dead.moment()
        return str(slots[:1])

    def kill_agent(self, site: Site) -> str:
        site.signal(site.node.pid, signal.SIGKILL)
        site.dead.moment()
        assert site.node.agent is not None
        site.node.agent.wait(20)
        site.launch()
        return ""

    def power_off(self, site: Site) -> str:
        site.node.power_off()
        site.dead.moment()
        site.frozen.clear()
        site.stopped.ends()
        if self.random.random() < 0.5:
            site.launch()
            return "and on again"
        return ""

    def stop(self, site: Site) -> str:
        site.signal(site.node.pid, signal.SIGTERM)
        return ""

    def hand_back(self, site: Site) -> str:
        site.signal(site.node.pid, HAND_BACK)
        return ""

    def freeze(self, site: Site) -> str:
        slots = site.node.slots()
        for pid in self.random.sample([*slots, site.node.pid], 1):
            site.frozen.append(pid)
            site.stopped.begins()
            site.signal(pid, signal.SIGSTOP)
        return str(site.frozen)

    def kill_job(self, site: Site) -> str:
        """Any process of a job: the main one, its child, its daemon."""
        living = set(self.fleet.witness.living())
        seen = [one for one in self.fleet.witness.seen() if one.pid in living and one.node == site.node.name]
        if not seen:
            return "none"
        victim = self.random.choice(seen)
        self.hit.add(victim.job)
        site.signal(victim.pid, signal.SIGKILL)
        return f"{victim.event} of {victim.job}"

    def network(self, site: Site) -> str:
        proxy = site.proxy
        how = self.random.choice([proxy.cut, proxy.stall, proxy.swallow, proxy.go, proxy.go])
        if how == proxy.go:
            if time.monotonic() < site.away_until:
                return "still away"
            site.cut.ends()
        else:
            site.cut.begins()
            site.away_until = time.monotonic() + self.random.choice([0.0, AWAY])
        how()
        return how.__name__

    def lose_reply(self, site: Site) -> str:
        script = self.random.choice(SCRIPTS)
        cut = self.random.random() < 0.2
        site.proxy.drop_reply(sha(script).encode(), then_cut=cut)
        if cut:
            site.cut.begins()
        return script

    def redis(self, site: Site) -> str:
        how = self.random.choice([self.fleet.server.stop, self.fleet.server.kill])
        self.outage.moment()
        how()
        self.fleet.server.start()
        self.outage.moment()
        return how.__name__

    def redis_freezes(self, site: Site) -> str:
        seconds = self.random.choice([0.5, 1.5, 3.0])
        with self.fleet.server.frozen():
            until = time.monotonic() + seconds
            self.outage.begins()
            wait_until(lambda: time.monotonic() > until, f"{seconds} s")
        self.outage.ends()
        return f"{seconds} s"

    def flush(self, site: Site) -> str:
        self.fleet.server.client().script_flush()
        return ""

    def full(self, site: Site) -> str:
        limit = self.random.choice(["0", "0", "1"])
        self.fleet.server.client().config_set("maxmemory", limit)
        return limit

    def clock(self, site: Site) -> str:
        offset = self.random.choice(["-3600", "0", "3600", "86400"])
        site.clock.write_text(offset)
        return offset

    def gpu(self, site: Site) -> str:
        gpu = self.random.choice(["", site.gpus[0]])
        site.break_gpu(gpu)
        return gpu

    def cancel(self, site: Site) -> str:
        rows = [row for row in self.fleet.rows("work") if row.state not in FINAL]
        if not rows:
            return "none"
        row = self.random.choice(rows)
        self.canceled.add(row.id)
        self.fleet.store.cancel([row.id], kill=self.random.random() < 0.5)
        return f"{row.id} {row.state.value}"

    def pause(self, site: Site) -> str:
        """One job, or now and then an experiment with all that runs of it."""
        name, store = self.random.choice(("work", "long")), self.fleet.store
        if self.random.random() < 0.2:
            store.pause_experiment(name, "storm")
            return f"{name} {store.pause(store.held(name), 'storm')}"
        rows = [row for row in self.fleet.rows(name) if row.state not in FINAL]
        if not rows:
            return "none"
        row = self.random.choice(rows)
        store.pause([row.id], "storm")
        return f"{row.id} {row.state.value}"

    def activate(self, site: Site) -> str:
        """All of an experiment."""
        return self._activate(self.random.choice(("work", "long")))

    def _activate(self, name: str) -> str:
        store = self.fleet.store
        counts = store.activate(store.paused(name) + store.held(name))
        return f"{name} {counts} {store.activate_experiment(name)[0]}"

    def push(self, site: Site) -> str:
        """A sweep pushed in small batches through a bad network; its push may be killed, and is repeated in the end."""
        name = f"pushed{len(self.pushed)}"
        words = " ".join(self.fleet.witness.command("alone", "sign"))
        text = f"name: {name}\ncommand: {words}\nretries: 10000\nresources: {{gpus: 1}}\nrepeat: {PUSHED}\n"
        (self.fleet.home / f"{name}.yaml").write_text(text)
        env = {"EXS_PUSH_BATCH": "3", "EXS_REDIS_URL": site.proxy.url}
        self.pushes.append(self.fleet.command("push", f"{name}.yaml", **env))
        self.pushed.append(name)
        old = self.pushes[-2:][0]
        if old is not self.pushes[-1] and self.random.random() < 0.5:
            old.kill()
            return f"{name}, and kill the one before"
        return name
