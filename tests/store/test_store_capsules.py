"""Capsules in Redis: whole or not at all, each chunk once, kept while an experiment needs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import redis

from exs.capsule.chunks import Manifest, digest
from exs.errors import NotFound, RedisRefused
from store.actors import ME, SPEC, Killed, Lab, points


def capsule(*contents: bytes) -> tuple[str, str, dict[str, bytes]]:
    chunks = {digest(data): data for data in contents}
    text = Manifest(tuple(chunks), 1, 1).text()
    return digest(text.encode()), text, chunks


def held(client: redis.Redis) -> set[str]:
    """Every key of capsules."""
    return set(client.keys("exs:capsule*")) | set(client.keys("exs:chunk*"))


def later(client: redis.Redis) -> None:
    """Two hours pass for what is there."""
    for key in ("exs:capsules", "exs:chunks-loose"):
        for member, score in client.zrange(key, 0, -1, withscores=True):
            client.zadd(key, {member: score - 7_200_000})


def pushed(lab: Lab, name: str, digest: str) -> None:
    lab.store.push(name, replace(SPEC, capsule=digest), points(1, 2), ME)


def removed(lab: Lab, name: str) -> None:
    lab.store.remove(lab.ids(name))
    lab.store.remove_experiment(name)


def test_a_capsule_is_put_and_read_and_only_what_is_missing_travels(lab: Lab) -> None:
    first, text, chunks = capsule(b"a" * 100, b"b" * 10)
    assert lab.store.put_capsule(first, text, chunks, "e") == 110
    assert lab.store.capsule(first) == text.encode()
    assert dict(lab.store.chunks(list(chunks))) == chunks
    assert lab.store.put_capsule(first, text, chunks, "e") == 0
    second, text, more = capsule(b"a" * 100, b"c")
    assert lab.store.put_capsule(second, text, more, "e", lambda data: b"<" + data) == 2
    assert dict(lab.store.chunks(list(more)))[digest(b"c")] == b"<c"
    with pytest.raises(NotFound, match="Push it again"):
        lab.store.capsule("0" * 64)
    with pytest.raises(NotFound, match="Push it again"):
        list(lab.store.chunks(["0" * 64]))


def test_it_is_kept_as_long_as_an_experiment_needs_it(lab: Lab) -> None:
    store = lab.store
    first, text, chunks = capsule(b"shared", b"first")
    second, text2, more = capsule(b"shared", b"second")
    store.put_capsule(first, text, chunks, "one")
    pushed(lab, "one", first)
    store.put_capsule(second, text2, more, "two")
    pushed(lab, "two", second)
    store.put_capsule(second, text2, more, "three")
    pushed(lab, "three", second)
    store.sweep_capsules(3600)
    later(lab.client)
    store.sweep_capsules(3600)
    assert store.capsule(first) and store.capsule(second)

    for name in ("one", "two"):
        removed(lab, name)
    store.sweep_capsules(3600)
    assert store.capsule(first)  # somebody may be about to push it
    later(lab.client)
    store.sweep_capsules(3600)
    with pytest.raises(NotFound):
        store.capsule(first)
    assert dict(store.chunks(list(more))) == more
    removed(lab, "three")
    later(lab.client)
    store.sweep_capsules(3600)
    assert held(lab.client) == set()


def test_an_experiment_of_the_same_name_without_code_does_not_keep_it(lab: Lab) -> None:
    first, text, chunks = capsule(b"x")
    lab.store.put_capsule(first, text, chunks, "e")
    lab.store.push("e", SPEC, points(1), ME)
    later(lab.client)
    lab.store.sweep_capsules(3600)
    assert held(lab.client) == set()


def test_a_push_that_is_killed_half_way_leaves_nothing_after_the_janitor(lab: Lab) -> None:
    first, text, chunks = capsule(*(bytes([i]) * 50 for i in range(20)))
    sent = lab.store._stream

    def dies(script: str, calls: Iterable[Sequence[Any]]) -> Iterator[Any]:
        yield from sent(script, islice(calls, 7))
        raise Killed

    lab.store._stream = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        lab.store.put_capsule(first, text, chunks, "e")
    del lab.store._stream
    with pytest.raises(NotFound):
        lab.store.capsule(first)
    assert held(lab.client)
    lab.store.sweep_capsules(3600)
    assert held(lab.client)  # it may still be under way
    later(lab.client)
    lab.store.sweep_capsules(3600)
    assert held(lab.client) == set()


def test_what_a_full_redis_refuses_leaves_nothing_and_takes_nothing_from_others(lab: Lab) -> None:
    shared = b"s" * 100
    first, text, chunks = capsule(shared)
    lab.store.put_capsule(first, text, chunks, "e")
    before = held(lab.client)
    large, text, more = capsule(shared, *(bytes([i]) * 200_000 for i in range(30)))
    lab.client.config_set("maxmemory", lab.client.info("memory")["used_memory"] + 2_000_000)
    try:
        with pytest.raises(RedisRefused, match="has no memory left"):
            lab.store.put_capsule(large, text, more, "f")
    finally:
        lab.client.config_set("maxmemory", 0)
    assert held(lab.client) == before
    assert dict(lab.store.chunks(list(chunks))) == chunks
    assert lab.store.put_capsule(large, text, more, "f") == 6_000_000


def test_chunks_that_vanish_between_question_and_commit_are_sent_again(lab: Lab) -> None:
    first, text, chunks = capsule(b"a", b"b")
    lab.store.put_capsule(first, text, chunks, "gone")
    have = lab.store._have

    def swept(names: list[str]) -> list[int]:
        found = have(names)
        later(lab.client)
        lab.store.sweep_capsules(3600)
        assert held(lab.client) == set()
        return found

    lab.store._have = swept  # type: ignore[method-assign,assignment]
    assert lab.store.put_capsule(first, text, chunks, "e") == 2
    assert dict(lab.store.chunks(list(chunks))) == chunks


def test_a_manifest_that_somebody_wrote_over_breaks_nothing(lab: Lab) -> None:
    first, text, chunks = capsule(b"a")
    for bad in ("", "[]", '{"chunks": 3}', '{"chunks": [[], {}, 7, ""], "record": {}}', "\xff"):
        lab.store.put_capsule(first, text, chunks, "e")
        lab.client.set(f"exs:capsule:{first}", bad)
        later(lab.client)
        lab.store.sweep_capsules(3600)
        assert not lab.client.exists(f"exs:capsule:{first}")


def test_a_large_capsule_goes_as_it_came(lab: Lab) -> None:
    first, text, chunks = capsule(*(i.to_bytes(4, "big") * 30 for i in range(1000)))
    lab.store.put_capsule(first, text, chunks, "e")
    assert dict(lab.store.chunks(list(chunks))) == chunks
    later(lab.client)
    lab.store.sweep_capsules(3600)
    assert held(lab.client) == set()
