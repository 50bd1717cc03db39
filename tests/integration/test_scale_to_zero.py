"""A whole platform whose service sleeps when nobody calls: real processes, only the engine is a stand-in."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.running_platform import eventually
from tests.running_studio import WORKFLOW, Studio, running_studio
from web.local_key import authorization

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with running_studio(tmp_path) as here:
        yield here


def fall_asleep(studio: Studio) -> None:
    eventually(lambda: not studio.live(), "sleep", 60)
    eventually(lambda: route(studio)["sleeps"], "a table that says so", 30)


def route(studio: Studio) -> dict[str, Any]:
    table = json.loads((studio.platform.home / "run" / "routing.json").read_text())
    return {"sleeps": False, **table["services"][studio.project]}


def test_a_sleeping_service_answers_its_next_call_and_its_history_tells_why_it_slept(studio: Studio) -> None:
    studio.deploy()
    token = studio.token()
    assert studio.call(token) == "first words with stampling 1.0"
    studio.platform.cli("service", "configure", studio.project, "scaling.minimum=0", "scaling.idle_seconds=2")
    fall_asleep(studio)
    for path in ("system_stats", "metrics"):
        assert studio.platform.get(f"{studio.endpoint()}/{path}", token)[0] == 503
    assert studio.live() == []

    assert studio.call(token) == "first words with stampling 1.0"
    assert len(studio.platform.json("instance", "list", studio.project)) == 2

    told = studio.platform.json("service", "overview", studio.project)
    reasons = [size["reason"] for size in told["sizes"]]
    assert "nobody called for 2 s" in reasons
    assert "somebody calls" in reasons or any("held calls" in reason for reason in reasons)
    first = studio.platform.json("instance", "list", studio.project)[-1]
    shown = studio.platform.json("instance", "show", studio.project, first["id"])
    kinds = [moment["kind"] for moment in shown["life"]]
    assert [kinds[0], kinds[-2], kinds[-1]] == ["created", "draining", "stopped"]
    door = f"{studio.platform.record()['url']}/api/v1/services/{studio.project}"
    who = authorization(studio.platform.home / "run", "tests")
    for path, known in (
        ("overview", told["sizes"][0]["reason"]),
        (f"instances/{first['id']}/life", "draining"),
        ("usage?days=1", "inference_seconds"),
    ):
        status, body = studio.platform.get(f"{door}/{path}", who)
        assert (status, known in body.decode()) == (200, True), body
    assert [slot["number"] for slot in studio.platform.json("instance", "slots")] == [0, 1, 2, 3]
    (today,) = studio.platform.json("service", "usage", studio.project, "--days", "1")
    assert today["jobs"] == 2
    assert today["instance_seconds"] > 0


def test_fault_49_many_calls_at_zero_start_one_instance_and_every_held_one_is_answered(
    studio: Studio,
) -> None:
    studio.deploy()
    token = studio.token()
    changes = ("scaling.minimum=0", "scaling.idle_seconds=2", "hold_calls=20")
    studio.platform.cli("service", "configure", studio.project, *changes)
    fall_asleep(studio)
    before = len(studio.platform.json("instance", "list", studio.project))
    url, body = f"{studio.endpoint()}/prompt", json.dumps({"prompt": WORKFLOW}).encode()

    def call(_: int) -> tuple[int, str | None]:
        request = urllib.request.Request(url, body, {"Authorization": token})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                answer.read()
                return answer.status, None
        except urllib.error.HTTPError as problem:
            return problem.code, problem.headers.get("Retry-After")

    with ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(call, range(60)))
    statuses = Counter(status for status, _ in answers)
    assert set(statuses) <= {200, 503}
    assert statuses[200] >= 20
    assert all(after for status, after in answers if status == 503)
    assert len(studio.platform.json("instance", "list", studio.project)) == before + 1


def test_a_bad_schedule_is_refused_by_its_field_and_changes_nothing(studio: Studio) -> None:
    studio.deploy()
    for change, field in (
        ('scaling.schedule=[{"cron": "0 0 30 2 *", "minimum": 1}]', "scaling.schedule.0.cron"),
        ('scaling={"minimum": 3, "maximum": 2}', "scaling.maximum"),
    ):
        refused = studio.platform.cli("service", "configure", studio.project, change, code=None)
        assert refused.code != 0
        assert field in refused.err
    assert len(studio.platform.json("deployment", "list", studio.project)) == 1
