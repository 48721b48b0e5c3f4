"""The Store: everything exs does to Redis, in one interface.

    producers   push  plan  discard_stage                                             push.py
    holders     node_up  forgot  slot_dead  warm_up  claim  spec  specs  renew  finish  finish_and_claim
                release  release_unknown  woken  claim_when_woken  reap               lease.py
    reports     report  metrics                                                   reports.py
    pullers     add_experiment  scheduler  add_job  put  job_and_etag  jobs_and_etags
                puller_up                                                             pull.py
    watchers    experiments  experiment  counts  jobs  ids  job  find  last  workers       look.py
    waiting     why                                                               why.py
                note_pace                                                         pace.py
    steering    cancel  retry  remove  remove_experiment  may_forget  forget               steer.py
                pause  activate  pause_experiment  activate_experiment  archive  unarchive  held  paused
                                                                                      pause.py
                edit                                                                  edit.py
    order       queue  update                                                         order.py
    pools       set_pool  pools                                                   pools.py
    repair      mend  strangers                                                       mend.py
    doctor      audit                                                                 audit.py
                wrong_kinds                                                           kinds.py
                server  clock                                                         server.py
                health                                                                health.py
    nodes       drain  enable  drains                                                 drain.py
    gpus        gpus_unused  unused_gpus                                          gpus.py
    code        put_capsule  keep_capsule  capsule  code  chunks  drop_chunks  sweep_capsules  capsules.py
    logs        ask_log  run_files  send_requests  answer_to  next_log_request  answer_log
                                                                                      logs.py
    all         now  ping  on_disk                                                    base.py

Every change of state is one Lua script in `lua/`, atomic, idempotent under an id its caller chose, and timed by
Redis alone. Errors are ExsErrors: RedisUnreachable, RedisRefused, NotFound, InputError, Refused, BrokenRecord.
"""

from __future__ import annotations

from exs.settings import Settings
from exs.store.audit import Auditor
from exs.store.capsules import Capsules
from exs.store.connect import connect
from exs.store.drain import Drainers
from exs.store.edit import Editing
from exs.store.gpus import Gpus
from exs.store.health import Onlookers
from exs.store.kinds import Kinds
from exs.store.lease import Holders
from exs.store.logs import Logs
from exs.store.order import Arranging
from exs.store.pace import Paces
from exs.store.pause import Pausing
from exs.store.pools import Pools
from exs.store.pull import Pullers
from exs.store.push import Producers
from exs.store.reports import Reports
from exs.store.server import Inspector
from exs.store.why import Explainers


class Store(
    Producers,
    Holders,
    Pullers,
    Reports,
    Auditor,
    Kinds,
    Onlookers,
    Inspector,
    Pausing,
    Editing,
    Arranging,
    Drainers,
    Pools,
    Gpus,
    Capsules,
    Logs,
    Paces,
    Explainers,
):
    """One connection to the queue; see the module's page for what it can do."""


def open_store(url: str, settings: Settings) -> Store:
    """A Store on the Redis at `url`; the first call connects. Raises InputError for a URL that is none."""
    return Store(connect(url, settings.timing), settings, url)
