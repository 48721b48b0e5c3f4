"""Another command or other parameters for a job that is in the queue, under the same id."""

from __future__ import annotations

from exs.model import Params, Spec
from exs.store import records
from exs.store.base import Base


class Editing(Base):
    """What a person changes of a job."""

    def edit(
        self, job: str, was: tuple[str, str], params: Params, name: str, point: str, spec: Spec
    ) -> tuple[str, str]:
        """Give a job these parameters, this name and point, and this way to run; `was`: its point and Spec's digest.

        One that runs is asked to stop as for a pause, and runs anew when it has, with all its retries and from no
        checkpoint. Returns what became of it: edited, asked, same, duplicate (with the index of the job that is at that
        point already), pending (it is being stopped for another edit), changed (its point or Spec is another one
        meanwhile), ending (it is asked to end), over (with its state), missing.
        """
        spec_text, digest = records.spec_text(spec)
        edit = records.dumps({"nm": name, "pr": records.dumps(dict(params)), "pt": point, "sp": digest})
        code, what = self._call("edit", job, *was, edit, spec_text)
        return records.text(code), records.text(what)
