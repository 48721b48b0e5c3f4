"""The Redis schema, one page: every key, its type, who writes it, who reads it, how long it lives.

The Lua scripts get the values in place of these names (`inlined`), so that no key is spelled twice.
Nothing has a lifetime unless its line says so. NAME is an experiment, QUEUE is NAME, NAME~2, NAME~3 ..., ID a job,
SLOT a slot.

RQ's own keys, in RQ's own schema (measured with rq 2.12), written by our scripts in the same breath as ours:

| key                       | type | meaning                                                          |
|---------------------------|------|------------------------------------------------------------------|
| rq:queues                 | set  | `rq:queue:QUEUE` of every committed queue, until it is archived  |
| rq:queue:QUEUE            | list | ids of its QUEUED jobs: what came back last, then by index       |
| rq:job:ID                 | hash | the job: RQ's fields and ours (`JOB_FIELDS`)                     |
| rq:wip:QUEUE              | zset | `ID:ATTEMPT` of RUNNING jobs, scored +inf: RQ never reaps them   |
| rq:finished/failed:QUEUE  | zset | DONE and PRUNED / CRASHED, scored -1: RQ never expires them      |
| rq:canceled:QUEUE         | zset | CANCELED, scored by time                                         |
| rq:scheduled:QUEUE        | zset | QUEUED jobs that wait for their next attempt, scored by due time |
| rq:deferred:QUEUE         | zset | PAUSED, scored by index                                          |
| rq:workers, rq:workers:P  | set  | slots, all and by pool P; written by RQ's registration           |
| rq:workers:QUEUE          | set  | slots of its pool, for `rq info`; kept by reap                   |
| rq:worker:SLOT            | hash | a slot: RQ's fields and ours; expires `WORKER_TTL` after its last word |
| rq:suspended              | str  | set by `rq suspend`; claim obeys                                 |
| rq:results:ID             | strm | written by a stock worker only; removed with the job             |
| rq:queue:QUEUE:intermediate | list | what a stock worker took and has not started; emptied by reap  |
| rq:execution(s):ID...     | hash, zset | a stock worker's record of its attempt; removed by reap    |
| rq:pubsub:SLOT            | chan | commands to a slot: `exs` (ours), `stop-job`, `shutdown`         |
"""

from __future__ import annotations

import re

#: Of this page. A script that finds another one in Redis does nothing and answers `OTHER_SCHEMA` and what it found.
#: A dump of each is kept in tests/data and must load.
SCHEMA_VERSION = "1"
OTHER_SCHEMA = "OTHERSCHEMA "

#: Seconds after which a slot that says nothing vanishes from `workers`.
WORKER_TTL = 480
#: Seconds that a wake-up token lives; far above any poll interval.
WAKE_TTL = 60

#: What RQ's `data` holds for every job: the call `exs.run()`, in RQ's own encoding, so that its tools can show the
#: job. exs never reads it; a stock worker that takes the job by mistake calls `exs.run`, which refuses.
DATA = "(Vexs.run\nN)}t."

RQ_QUEUES = "rq:queues"
RQ_QUEUE = "rq:queue:"
RQ_JOB = "rq:job:"
RQ_WIP = "rq:wip:"
RQ_FINISHED = "rq:finished:"
RQ_FAILED = "rq:failed:"
RQ_CANCELED = "rq:canceled:"
RQ_SCHEDULED = "rq:scheduled:"
RQ_DEFERRED = "rq:deferred:"
RQ_WORKERS = "rq:workers"
RQ_WORKER = "rq:worker:"
RQ_SUSPENDED = "rq:suspended"
RQ_PUBSUB = "rq:pubsub:"
RQ_RESULTS = "rq:results:"
RQ_INTERMEDIATE = ":intermediate"
RQ_EXECUTIONS = "rq:executions:"
RQ_EXECUTION = "rq:execution:"

#: The pool of a pull experiment is this and its name: no slot can be told to serve it.
PULL_POOL = "pull:"

# Below: type, what it holds; who writes it, who reads it, how long it lives where that is not for ever. "sync" is what
# every script does that changes what a queue holds or whether it may run (lib/ready.lua).

#: string: version of this page. Written by the first push or node; read by every script.
SCHEMA = "exs:schema"
#: no key. Scripts that must run on a full server delete it first (see renew.lua).
NONE = "exs:none"
#: zset NAME -> creation time in ms: every committed experiment. Written by push; read by lists and reap; removed with
#: it.
EXPERIMENTS = "exs:experiments"
#: hash eight hex digits -> NAME. Written by push, read by selectors; removed with the experiment.
IDS = "exs:ids"
#: hash per NAME (`EXPERIMENT_FIELDS`). Written by push and by every script that changes a count or a flag; read by
#: lists, claim and sync; removed with the experiment.
EXPERIMENT = "exs:exp:"
#: hash per NAME: QUEUE -> shape (lib/shape.lua), committed queues only. Written by push and queue_for_shape; read by
#: all who need the queues of NAME; removed with the experiment.
QUEUES = "exs:queues:"
#: hash per NAME: digest -> Spec as JSON. Written by push; read by slots once per digest, and
#: by the claims of a slot whose time is limited; removed with the experiment.
SPECS = "exs:spec:"
#: hash per NAME: digest of a Spec whose code travelled -> digest of that code (`Capsule.code`). Written by push and
#: edit; read by push and plan, which tell what was pushed with other code; removed with the experiment.
CODES = "exs:spec-code:"
#: hash per NAME and first three hex digits of the point: point -> ID. Bucketed so that it stays a packed list.
#: Written and read by push, read by plan; a point goes with its job.
POINTS = "exs:points:"
#: list per NAME and segment number: ids in index order, '' where one was removed. One segment per large push. Written
#: by push, blanked by remove and mend; read by tables, audit and mend; removed with the experiment.
JOBS = "exs:jobs:"
#: hash per NAME (`STAGE_FIELDS`): a push under way that is not committed. Written by push; removed by its last batch,
#: by the same push when it fails, by the next push of NAME or by the janitor (discard).
STAGE = "exs:stage:"
#: hash per NAME and kind of job: what the new jobs of a batch share. Lives within one call of push.
TEMPLATE = "exs:template:"
#: zset: NAMEs with a stage, scored by its last word in ms. Written with the stage; read by reap.
STAGES = "exs:stages"
#: zset per pool: NAME -> priority * 2^38 + position. Order of experiments. Written by push and update; read by sync and
#: queue; removed with the experiment.
ORDER = "exs:order:"
#: hash per pool: slots that come free for jobs that wait, where jobs may be stopped for others: SLOT -> JSON. Written
#: by sync, read by it and emptied of what is over.
COMING = "exs:coming:"
#: string: the last position given out. Written and read by push and update.
POSITION = "exs:position"
#: set per NODE: its slots that have a GPU. Written when they register and by claims that look for several, read by
#: those; left by what died, emptied by the first agent of another boot. Lives a month after the last.
NODE_SLOTS = "exs:slots:"
NODE_SLOTS_TTL = 30 * 86400
#: hash per NODE: for which job of several slots it holds slots (`HOLD_FIELDS`). Written by the claims of the slots that
#: are held, read by claims and lists; ended by what makes the queue not ready. Lives a lease after the last claim.
HOLD = "exs:hold:"
#: zset per QUEUE: NODE -> ms since when it holds slots for it. Written and read with them; lives two leases.
HOLDING = "exs:holding:"
#: set: the pools that were set. Written by pool_set; read by lists of pools.
POOLS = "exs:pools"
#: hash per pool (`POOL_FIELDS`): how its jobs are scheduled; absent for the defaults. Written by pool_set; read by
#: sync, update, queue and lists of pools.
POOL = "exs:pool:"
#: zset per pool and shape, as it is there (`shape_in_pools`): QUEUE -> order * 128 + queue number; in a fair-share pool
#: its share, below 2^45 (score_of in lib/share.lua). Only queues from which a job can be claimed now. Written by sync
#: and claim; read by claim.
READY = "exs:ready:"
#: set per pool: shapes that have a ready queue. Written with them; what claim looks through.
SHAPES = "exs:shapes:"
#: zset: ID -> end of its lease in ms of Redis time. The only clock that may end an attempt. Written by claim and
#: renew, removed with the lease; read by reap and tables.
LEASES = "exs:leases"
#: zset: ID -> ms of Redis time at which a job that waits for its next attempt is queued again. Written by finish and
#: lose; read and removed by reap.
LATER = "exs:later"
#: list per ID: earlier attempts as JSON, oldest first, the last `HISTORY`. Written by what ends an attempt that is
#: not the last; read by `exs show`, and by finish and release for who asks again; removed with the job.
ATTEMPTS = "exs:attempts:"
HISTORY = 100
#: hash per ID: name of a metric -> what is known of it, JSON (`reports.py`); '' -> the attempt that told it. Written by
#: report; read by `exs show`, plots and questions (`jobs.lua`); removed with the job.
METRICS = "exs:metrics:"
#: string per ID and metric, `ID:NAME`: its points, at most `Limits.metric_points`, as `step value` lines. Written, read
#: and removed with METRICS.
SERIES = "exs:series:"
#: zset: ID -> ms. What stood in a queue of ours and is no job of ours, or no longer one that can be read. Written by
#: claim when it meets one, read by audit. The last `QUARANTINED`.
QUARANTINE = "exs:quarantine"
QUARANTINED = 1000
#: zset: ID -> ms. Jobs of ours that claim met in a list where their state says they do not belong; reap puts them
#: back.
ASTRAY = "exs:astray"
#: hash per NAME: how far a look at all its jobs has come, after RQ's clients moved some. Written and read by mend.
#: Lives MEND_TTL after a step.
MEND = "exs:mend:"
MEND_TTL = 600
#: zset: name of a stock RQ worker -> ms at which a job that it took was put back. Written by mend, read by audit;
#: kept `STRANGER_TTL` seconds.
STRANGERS = "exs:strangers"
STRANGER_TTL = 3600
#: zset per pool and offer: SLOT -> ms until which it is believed to wait for a token: a lease after it last asked, so
#: that no token is left for the dead. Written by claim, taken from by sync. Lives a lease after the last asked.
IDLE = "exs:idle:"
#: set per pool: the offers (`devices|memory|only`, with `|ends` and `|held` behind) with which slots wait in it.
#: Written by claim, read by sync. Lives a lease after the last asked.
OFFERS = "exs:offers:"
#: list per SLOT: wake-up tokens. Written by sync, taken by the slot. Lives WAKE_TTL.
WAKE = "exs:wake:"
#: hash per node: boot, machine, pid, at (ms). Written by the agent when it starts; read by reap, which ends what
#: another boot held. Lives NODE_TTL after the last word of any of its slots: containers have a new name each time.
NODE = "exs:node:"
NODE_TTL = 7 * 86400
#: hash: `NODE|GPU` -> `until|why`: GPUs that get no job. Written by agents; read by lists, and believed until that
#: ms.
UNUSED = "exs:unused"
#: hash: NODE or NODE:SUFFIX (a slot at whatever start) -> `DRAIN_FIELDS` as JSON: what takes no job. Written by drain,
#: enable and the breaker; read by claim, reap and lists; until somebody enables it, or its `until`.
DRAINED = "exs:drained"
#: hash: at (ms of the last reap), since (ms since when the fleet has been in unbroken contact), next (experiment that
#: the next reap begins with). Written and read by reap.
PULSE = "exs:pulse"
#: hash per NAME (`BREAKER_FIELDS`): jobs that failed alike since the last success. Written and read by crash. Lives
#: BREAKER_TTL after the last of them.
BREAKER = "exs:breaker:"
BREAKER_TTL = 86400
#: list per node: requests for a piece of a log or another file of a run directory. Written by `exs logs`, `show` and
#: `fetch`, taken by the agent. Lives a minute.
ASK = "exs:ask:"
#: list per request: the piece. Written by the agent, taken by who asked. Lives a minute.
ANSWER = "exs:answer:"
#: string per digest: the manifest of a capsule, JSON (exs/capsule/chunks.py). Written by capsule_commit, read by nodes
#: and by who wants the code back; removed by capsule_sweep when no experiment needs it.
CAPSULE = "exs:capsule:"
#: zset: digest -> ms at which a push or capsule_sweep last found that it is needed. Written and read by these.
CAPSULES = "exs:capsules"
#: set per digest: NAMEs that were pushed with it. Written by capsule_commit; read by capsule_sweep, which takes out who
#: has gone; removed with the capsule.
CAPSULE_OF = "exs:capsule-of:"
#: string per SHA-256: a chunk of capsules, compressed. Written by capsule_put, read by nodes; removed by capsule_sweep
#: with the last capsule that has it, by capsule_drop before there is one.
CHUNK = "exs:chunk:"
#: hash: SHA-256 -> capsules that have the chunk. Written by capsule_commit and capsule_sweep.
CHUNKS = "exs:chunks"
#: zset: SHA-256 -> ms at which a chunk came that no capsule has yet. Written by capsule_put, emptied by capsule_commit,
#: by capsule_drop of a push that was refused, and by capsule_sweep of what one that was broken off left.
CHUNKS_LOOSE = "exs:chunks-loose"
#: string: written last by who asks whether everything is on disk, read by nobody.
SYNCED = "exs:synced"
#: string: the last experiment pushed. Written by push; read for the selector `last`.
LAST = "exs:last"

#: Fields of rq:job:ID that are ours. When the last attempt began and ended stands in RQ's `started_at` and
#: `ended_at`.
JOB_FIELDS = {
    "st": "state",
    "ix": "index in its experiment",
    "po": "where it stands among the indices, once it was moved",
    "nm": "name of its run directory",
    "pr": "parameters, JSON",
    "pt": "point",
    "sp": "digest of its Spec",
    "cm": "commands to run, JSON list; absent for all",
    "fo": "1: run also the commands that succeeded before",
    "at": "attempt that holds it: the fence; absent when nobody does",
    "dn": "attempt whose outcome was accepted last",
    "hn": "number of the attempt that the list of earlier ones ends with",
    "an": "attempts started",
    "rt": "retries used",
    "ls": "attempts lost with their slot",
    "nd": "node",
    "bt": "boot of that node, while it is held",
    "gp": "GPUs, comma separated",
    "sl": "the other slots that run it, JSON: [[slot, GPU, name of its lock, pid], ...]; absent when one does",
    "ra": "when it is queued again, ms",
    "wn": "what its holder is asked to do: preempt, edit, pause, cancel, kill; a stronger one replaces a weaker one",
    "pv": "the experiment for which it is asked to make room",
    "pb": "who or what paused it, while it is PAUSING or PAUSED",
    "ed": "what it becomes when its attempt has ended, JSON: nm, pr, pt, sp (lib/edit.lua)",
    "rk": "runs again by kind of failure, JSON",
    "om": "bytes of the GPU that was too small for it, once it went to a larger one",
    "xn": "nodes on which it must not run again, comma separated",
    "oq": "queue that it came from, when a failure moved it to one of another shape",
    "qs": "slot that was drained when it failed there, and how it failed, JSON; empty texts once it did elsewhere",
    "fc": "failure class",
    "fd": "why, in one line",
    "xc": "exit code",
    "sg": "signal",
    "rs": "result, JSON",
    "ck": "its last checkpoint, JSON: path in the run directory, step",
    "pg": "progress, 0 to 1",
    "ss": "what it said it is doing, one line",
    "mt": "last values of its metrics, JSON, as many as fit into 1000 bytes",
    "tl": "end of its output, when it failed",
    "dr": "run directory; what ends with / lacks the name of the job",
    "lg": "log file, relative to the run directory",
    "rm": "peak resident memory, bytes",
    "gm": "most memory of its GPUs that it had at once, bytes; absent where nobody knows",
    "gu": "utilisation of its GPUs in percent, mean and highest, with a space between",
    "lx": "bytes of output not kept",
}

#: Fields of rq:worker:SLOT that are ours. exs_at and exs_offer are written by claim, the others when it registers.
WORKER_FIELDS = {
    "exs_node": "node",
    "exs_boot": "boot of that node",
    "exs_gpus": "GPUs, comma separated",
    "exs_memory": "bytes of its smallest GPU",
    "exs_only": "the experiment of which alone it takes jobs",
    "exs_start": "start of its process in clock ticks after boot",
    "exs_version": "of exs",
    "exs_terms": "JSON of exs_worker.terms.Terms, when it leaves: epoch and other seconds; absent for never",
    "exs_at": "attempt that it runs; absent when it has none",
    "exs_offer": "with which offer it waited last; |ends behind it if it has an end, |held while it is held",
    "exs_locks": "names of the locks of its GPUs, comma separated",
    "exs_hold": "queue for a job of which it is held, absent for none",
    "exs_with": "attempt that another slot runs on its GPU too; absent for none",
    "exs_lead": "that slot",
    "exs_leaves": "1: it was told to leave when its job is done; by renew",
    "exs_failed": "jobs that failed on it fast since its last success, JSON: [id, experiment, how]; by crash",
}

#: Fields of exs:breaker:NAME.
BREAKER_FIELDS = {
    "alike": "how they failed",
    "done": "successes of the experiment when the first did",
    "own": "a failure that proved to be the jobs' own, not a slot's",
    "first": "slot on which the first one failed since that success, in whatever way",
    "others": "1: so did jobs on other slots",
    "s:SLOT": "1: it failed one of them",
    "j:ID": "1: one of them",
}

#: What a value of exs:drained holds.
DRAIN_FIELDS = {
    "why": "one line; absent if nobody said it",
    "by": "who drained it",
    "at": "when, ms",
    "kind": "drain (a person's) or quarantine (the breaker's)",
    "until": "ms at which it ends by itself; absent for not",
    "stop": "ms at which what still runs is asked to stop; absent for never",
    "asked": "1 once that was asked",
}

#: Fields of exs:hold:NODE.
HOLD_FIELDS = {
    "queue": "whose next job it is for",
    "pool": "where that queue stands ready ...",
    "shape": "... and as which shape",
    "k": "slots that the job wants",
    "spare": "slots of the node that were idle when the last one was held",
    "s:SLOT": "until when it is held, ms",
}

#: Fields of exs:stage:NAME.
STAGE_FIELDS = {
    "push": "whose it is: an id; discard while it is taken back",
    "at": "its last word, ms",
    "batch": "batches that are in",
    "base": "index of its first job",
    "count": "jobs that are in",
    "segment": "number of its segment",
    "queues": "queues made so far, those of the experiment included",
    "again": "1: jobs that are over are to run again; absent for none",
    "q:QUEUE": "shape of one of its queues",
}

#: Fields of exs:exp:NAME.
EXPERIMENT_FIELDS = {
    "id": "eight hex digits",
    "user": "who pushed first",
    "host": "from where",
    "source": "the sweep file or command line",
    "kind": "run or pull",
    "pool": "pool",
    "priority": "1 to 99",
    "pushed_priority": "the priority of the last push that named another one",
    "pushed_pool": "the pool that the last push named, once update has moved it to another",
    "pushed_max": "`max` as the last push said it, '' for no limit, once update has set another",
    "created": "ms",
    "spec": "digest of the Spec pushed last",
    "jobs": "jobs that exist",
    "next": "index of the next job",
    "queues": "queues made so far",
    "segments": "segments made so far",
    "s:K": "first index of segment K",
    "running": "jobs held",
    "max": "most that may run at once; absent for no limit",
    "weight": "its weight in a fair-share pool; absent for 1",
    "pushed_weight": "the weight of the last push that named another one",
    "fair": "1 while it stands ready in a fair-share pool",
    "tk": "what finished jobs took, by claims of slots with an end: the median, ms; of how many; 1 if they save "
    "checkpoints; when it was measured, ms",
    "preempted_by": "the experiment for which one of its jobs was stopped last, until one of its jobs runs again",
    "preemptible": "0 when its jobs may not be stopped for others",
    "retries": "attempts after the first",
    "lost": "lost_after in ms; absent for the default",
    "canary": "jobs that must succeed before the others may run; absent for none",
    "breaker": "0: its jobs may fail alike for ever",
    "on_lost": "what follows when a job is lost: fail, pause, or how often it runs again; absent for the crash budget",
    "on_gpu": "the same when its GPU failed",
    "on_poison": "pause, when the crash budget is spent",
    "paused": "1 while paused",
    "paused_by": "who or what paused it, one line",
    "paused_at": "when, ms",
    "waiting": "jobs that wait for their next attempt",
    "pruned": "jobs PRUNED",
    "failed": "jobs CRASHED",
    "canceled": "jobs CANCELED",
    "deferred": "jobs PAUSED",
    "astray": "jobs that stand nowhere and could not be put back",
    "archived": "1 while archived",
    "scheduler": "how a pull experiment makes jobs when none is queued, JSON; absent for by hand alone",
}

#: Fields of exs:pool:POOL.
POOL_FIELDS = {
    "scheduler": "priority (also when absent) or fair_share",
    "preemption": "on or off (also when absent): may jobs that run be stopped for ones that are better placed",
    "backfill": "on or off (also when absent): may worse placed jobs pass one that waits for slots",
}

#: A comment, a string, or a name that stands for its value: not a field, not what is assigned to.
_WORDS = re.compile(r"""--[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|(?<![.\w])([A-Z][A-Z_]+)(?!\w)(?!\s*=[^=])""")
_CONSTANTS = {
    name: value
    for name, value in globals().items()
    if name.isupper() and isinstance(value, (str, int)) and not name.startswith("_")
}


def inlined(script: str) -> str:
    """Lua source with the values of this page in place of their names, outside strings and comments.

    As locals they would count against the 200 that Lua allows a script, of which the longest has as many.
    """
    return _WORDS.sub(lambda found: repr(_CONSTANTS[found[1]]) if found[1] in _CONSTANTS else found[0], script)


def points(name: str, point: str) -> str:
    """Key of the bucket in which a point stands."""
    return f"{POINTS}{name}:{point[:3]}"


def jobs(name: str, segment: int) -> str:
    """Key of one segment of an experiment's jobs."""
    return f"{JOBS}{name}:{segment}"
