"""The embedded Redis: one server per user and machine, started when first needed, for those who set no URL.

`ensure` is all that most callers want. However often a server forks, it ends as a child of the nearest
subreaper: an agent must call `ensure` before it becomes one, or it would take the server for what a job left
behind, and end it.
"""

from exs.server.control import Status, ensure, listens_for_others, shared, start, status, stop, url

__all__ = ["Status", "ensure", "listens_for_others", "shared", "start", "status", "stop", "url"]
