"""A gateway process before fake engines: jobs in lists, cancelled, hidden from history. Real sockets, a real
process.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.gateway_house import GATE, GatewayHouse, save, until

pytestmark = pytest.mark.slow

FAIL: dict[str, Any] = {"1": {"class_type": "Fail", "inputs": {}}}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[GatewayHouse]:
    house = GatewayHouse(tmp_path / "home")
    try:
        yield house
    finally:
        await house.close()


async def listed(house: GatewayHouse, query: str = "") -> list[str]:
    status, found = await house.get(f"/api/jobs{query}")
    assert status == 200, found
    return [job["id"] for job in found["jobs"]]


async def post(house: GatewayHouse, path: str, body: Any = None) -> tuple[int, Any]:
    async with house.session.post(house.path(path), json=body) as answer:
        text = await answer.text()
        return answer.status, await answer.json() if text else None


async def test_jobs_are_filtered_sorted_and_paged(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    mine = {"extra_pnginfo": {"workflow": {"id": "wf-1"}}}
    slow = await house.prompt(save(seconds=0.2), extra_data=mine)
    quick = await house.prompt(save())
    failed = await house.prompt(FAIL, extra_data=mine)
    for prompt_id in (slow, quick, failed):
        await house.finished(prompt_id)
    running, waiting = await house.prompt(GATE), await house.prompt(save())
    await until(lambda: engine.running, "the gate to run")

    assert await listed(house) == [waiting, running, failed, quick, slow]
    assert await listed(house, "?sort_order=asc&limit=2") == [slow, quick]
    assert await listed(house, "?status=completed&sort_by=execution_duration") == [slow, quick]
    assert await listed(house, "?status=pending") == [waiting]
    assert await listed(house, "?status=in_progress") == [running]
    assert await listed(house, "?status=failed,cancelled") == [failed]
    assert await listed(house, "?workflow_id=wf-1") == [failed, slow]
    _, page = await house.get("/api/jobs?limit=2&offset=2")
    assert [job["id"] for job in page["jobs"]] == [failed, quick]
    assert page["pagination"] == {"offset": 2, "limit": 2, "total": 5, "has_more": True}
    _, page = await house.get("/api/jobs?limit=9&offset=4")
    assert page["pagination"] == {"offset": 4, "limit": 9, "total": 5, "has_more": False}
    engine.gate.set()
    await house.finished(waiting)


async def test_a_listed_job_says_what_it_made_and_why_it_failed(house: GatewayHouse) -> None:
    await house.engine("a")
    house.route("a")
    await house.start()
    made, failed = await house.prompt(save(prefix="cat")), await house.prompt(FAIL)
    await house.finished(made), await house.finished(failed)
    _, found = await house.get("/api/jobs?sort_order=asc")
    first, second = found["jobs"]
    assert (first["status"], second["status"]) == ("completed", "failed")
    assert (first["outputs_count"], first["previewable_outputs_count"]) == (1, 1)
    preview = first["preview_output"]
    assert (preview["filename"], preview["subfolder"]) == ("cat_00001_.png", made)
    assert (preview["nodeId"], preview["mediaType"]) == ("1", "images")
    assert first["create_time"] - 60_000 < first["execution_start_time"] <= first["execution_end_time"]
    assert (first["priority"], second["priority"]) == (0, 1)
    assert second["execution_error"]["exception_message"] == "the node failed as asked"
    _, one = await house.get(f"/api/jobs/{made}")
    assert one["outputs"]["1"]["images"][0]["subfolder"] == made
    assert one["workflow"]["prompt"] == save(prefix="cat")
    assert one["execution_status"]["status_str"] == "success"


@pytest.mark.parametrize(
    "query", ["limit=many", "limit=0", "offset=-1", "status=tired", "sort_by=name", "sort_order=up"]
)
async def test_a_list_that_cannot_be_made_is_400_with_a_sentence(house: GatewayHouse, query: str) -> None:
    house.route()
    await house.start()
    status, found = await house.get(f"/api/jobs?{query}")
    assert status == 400
    assert query.split("=")[0] in found["error"]
    assert (await house.get(f"/api/jobs/{uuid.uuid4()}"))[0] == 404


async def test_cancelling_takes_a_waiting_job_out_and_interrupts_a_running_one(house: GatewayHouse) -> None:
    engine, _ = await house.engine("a"), await house.engine("b")
    house.route("a", "b")
    await house.start()
    done = await house.prompt(save())
    await house.finished(done)
    house.route("a", draining=("b",))
    await house.applied()
    running, waiting, kept = [await house.prompt(graph) for graph in (GATE, save(), GATE)]
    await until(lambda: engine.running, "the first to run")
    for prompt_id, expected in ((waiting, True), (running, True), (done, False), (str(uuid.uuid4()), False)):
        assert await post(house, f"/api/jobs/{prompt_id}/cancel") == (200, {"cancelled": expected})
    for prompt_id in (waiting, running):
        entry = await house.finished(prompt_id)
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    await until(lambda: engine.running and engine.running[1] == kept, "the next to run")
    assert waiting not in engine.history
    assert await post(house, "/api/jobs/cancel", {"job_ids": [done]}) == (200, {"cancelled": False})
    assert await post(house, "/api/jobs/cancel", {"job_ids": [kept, done]}) == (200, {"cancelled": True})
    await house.finished(kept)
    assert set(await listed(house, "?status=cancelled")) == {waiting, running, kept}
    for body in ({"job_ids": ["../x"]}, {"job_ids": kept}, {}):
        status, problem = await post(house, "/api/jobs/cancel", body)
        assert (status, "job_ids" in problem["error"]) == (400, True)


async def test_a_job_cancelled_while_its_instance_is_dead_does_not_run_again(house: GatewayHouse) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    prompt_id = await house.prompt(GATE)
    await engine.stop()
    assert await post(house, f"/api/jobs/{prompt_id}/cancel") == (200, {"cancelled": True})
    again = await house.engine("a")
    house.route("a")
    entry = await house.finished(prompt_id)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert again.received == []


async def test_history_is_hidden_for_this_service_and_nothing_is_lost_or_free_again(
    house: GatewayHouse,
) -> None:
    engine = await house.engine("a")
    house.route("a")
    await house.start()
    headers = {"Idempotency-Key": "order-19"}
    first, second = await house.prompt(save(), headers=headers), await house.prompt(save())
    image = (await house.finished(first))["outputs"]["1"]["images"][0]
    await house.finished(second)
    running = await house.prompt(GATE)
    assert (await post(house, "/history", {"delete": [first, "nonsense"]}))[0] == 200
    assert list((await house.get("/history"))[1]) == [second]
    assert (await house.get(f"/history/{first}"))[0] == 404
    assert await listed(house, "?status=completed") == [second]
    view = f"/view?filename={image['filename']}&subfolder={image['subfolder']}"
    assert (await house.get(view))[0] == 200
    assert await house.prompt(save(), headers=headers) == first  # known still: not run a second time
    assert (await post(house, "/api/history", {"clear": True}))[0] == 200
    assert (await house.get("/history"))[1] == {}
    assert set(engine.history) == {first, second}  # the engine was not asked to forget anything
    engine.gate.set()
    await house.finished(running)
    assert list((await house.get("/history"))[1]) == [running]
    assert engine.received == [first, second, running]
