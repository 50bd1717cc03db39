"""What a gateway counts, as Prometheus' own parser reads it. A real process, real sockets."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.gateway_house import SERVICE, GatewayHouse, save

pytestmark = pytest.mark.slow


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


async def scraped(house: GatewayHouse) -> dict[tuple[str, ...], float]:
    """(name, label values in the order of label names...) -> value."""
    token = (house.root / "run" / "control.token").read_text()
    async with house.session.get(
        f"{house.url}/-/metrics", headers={"Authorization": f"Bearer {token}"}
    ) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_calls_jobs_and_the_table_are_counted(house: GatewayHouse) -> None:
    await house.engine("a")
    version = house.route("a")
    await house.start()
    prompt_id = await house.prompt(save())
    await house.finished(prompt_id)
    assert (await house.get("/history/not-an-id"))[0] == 404
    async with house.session.get(house.path("/queue"), headers={"Authorization": "wrong"}) as answer:
        assert answer.status == 401
    await house.archived("a")
    seen = await scraped(house)
    calls = "stillframe_gateway_calls_total"
    assert seen[calls, SERVICE, "404"] == 1
    assert seen[calls, SERVICE, "401"] == 1
    assert seen[calls, SERVICE, "200"] >= 2
    answered = sum(value for (name, *rest), value in seen.items() if name == calls and rest[0] == SERVICE)
    assert seen["stillframe_gateway_call_seconds_count", SERVICE] == answered
    assert seen["stillframe_gateway_call_seconds_bucket", "+Inf", SERVICE] == answered
    assert 0 < seen["stillframe_gateway_call_seconds_sum", SERVICE] < 60
    assert seen["stillframe_gateway_jobs_ended_total", SERVICE, "done"] == 1
    assert ("stillframe_gateway_jobs", SERVICE, "running") not in seen
    assert seen["stillframe_gateway_accepting_instances", SERVICE] == 1
    assert seen["stillframe_gateway_routing_table_version",] == version
    assert seen["process_resident_memory_bytes",] > 0


async def test_nobody_scrapes_without_the_control_token(house: GatewayHouse) -> None:
    house.publish({})
    await house.start()
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
        async with house.session.get(f"{house.url}/-/metrics", headers=headers) as answer:
            assert answer.status == 401
            assert b"stillframe_" not in await answer.read()


async def test_made_up_services_and_paths_make_no_new_series(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    for number in range(5):
        await (await house.session.get(f"{house.url}/api/predict/made-up-{number}/queue")).read()
        await (await house.session.get(f"{house.url}/elsewhere/{number}")).read()
    seen = await scraped(house)
    assert not [names for names in seen if any("made-up" in str(name) for name in names)]
    assert seen["stillframe_gateway_calls_total", "", "404"] == 10


async def test_alive_is_told_from_ready(house: GatewayHouse) -> None:
    (house.root / "run").mkdir(exist_ok=True)
    await house.start()
    assert (await house.session.get(f"{house.url}/healthz")).status == 200
    async with house.session.get(f"{house.url}/readyz") as answer:
        assert answer.status == 503
        assert "no routing table" in (await answer.json(content_type=None))["detail"]
    house.publish({})
    await house.applied()
    assert (await house.session.get(f"{house.url}/readyz")).status == 200


async def test_every_line_of_its_log_is_json_with_what_it_is_about(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(save())
    await house.finished(prompt_id)
    await house.archived("a")
    await house.stop()
    lines = [json.loads(line) for line in house.log_path.read_text().splitlines()]
    (ended,) = [line for line in lines if line["event"] == "job_ended"]
    assert (ended["service"], ended["prompt"], ended["instance"]) == (SERVICE, prompt_id, "a")
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
