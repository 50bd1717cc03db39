"""The rules of running: mapping over lists, lazy inputs, expansion, blockers, caching, hidden inputs."""

from __future__ import annotations

import json
import uuid

import pytest

pytestmark = pytest.mark.slow


def node(class_type, **inputs):
    return {"class_type": class_type, "inputs": inputs}


def unique() -> str:
    return uuid.uuid4().hex


def ran(client) -> list[str]:
    return [data["node"] for name, data in client.events if name == "executing" and data["node"]]


async def test_a_list_output_calls_what_is_behind_it_once_an_item(client):
    entry = await client.run({"1": node("RuleSplit", text="a b c"), "2": node("ContractShow", text=["1", 0])})
    assert entry["outputs"]["2"]["text"] == ["a", "b", "c"]


async def test_lists_of_different_length_repeat_their_last_item(client):
    prompt = {
        "1": node("RuleSplit", text="a b c"),
        "2": node("RuleSplit", text="x y"),
        "3": node("RuleJoin", a=["1", 0], b=["2", 0]),
        "4": node("ContractShow", text=["3", 0]),
    }
    assert (await client.run(prompt))["outputs"]["4"]["text"] == ["a+x", "b+y", "c+y"]


async def test_a_node_that_takes_lists_is_called_once(client):
    prompt = {
        "1": node("RuleSplit", text="a b c"),
        "2": node("RuleGather", text=["1", 0], separator="-"),
        "3": node("ContractShow", text=["2", 0]),
    }
    assert (await client.run(prompt))["outputs"]["3"]["text"] == ["a-b-c"]


async def test_several_outputs_keep_their_places(client):
    prompt = {
        "1": node("RuleOutputs", text="abc"),
        "2": node("RuleShow", value=["1", 0]),
        "3": node("RuleShow", value=["1", 1]),
        "4": node("RuleShow", value=["1", 2]),
    }
    outputs = (await client.run(prompt))["outputs"]
    assert [outputs[key]["value"] for key in "234"] == [["abc"], [3], ["a", "b", "c"]]


@pytest.mark.parametrize(("first", "shown", "idle"), [(True, "left", "2"), (False, "right", "1")])
async def test_a_lazy_input_that_nobody_wants_does_not_run(client, first, shown, idle):
    mark = unique()
    prompt = {
        "1": node("RuleJoin", a="left", b=mark, separator=" "),
        "2": node("RuleJoin", a="right", b=mark, separator=" "),
        "3": node("RuleChoose", first=first, a=["1", 0], b=["2", 0]),
        "4": node("ContractShow", text=["3", 0]),
    }
    entry = await client.run(prompt)
    assert entry["outputs"]["4"]["text"] == [f"{shown} {mark}"]
    assert idle not in ran(client)


async def test_an_expansion_gives_the_result_of_its_graph(client):
    mark = unique()
    entry = await client.run({"1": node("RuleTwice", text=mark), "2": node("ContractShow", text=["1", 0])})
    assert entry["outputs"]["2"]["text"] == [f"{mark}+{mark}"]


async def test_nodes_of_an_expansion_are_shown_at_the_node_that_expanded(client):
    await client.run({"1": node("RuleTwice", text=unique()), "2": node("ContractShow", text=["1", 0])})
    shown = [data for name, data in client.events if name == "executing" and data["node"]]
    inner = [data for data in shown if data["node"] not in ("1", "2")]
    assert len(inner) == 1 and inner[0]["node"].startswith("1.")
    assert inner[0]["display_node"] == "1"


async def test_an_output_node_in_an_expansion_runs_and_shows(client):
    mark = unique()
    entry = await client.run(
        {"1": node("RuleExpandAndShow", text=mark), "2": node("ContractShow", text=["1", 0])}
    )
    inner = [key for key in entry["outputs"] if key not in ("1", "2")]
    assert [entry["outputs"][key]["value"] for key in inner] == [[f"shown {mark}"]]
    assert entry["meta"][inner[0]]["display_node"] == "1"
    assert entry["meta"][inner[0]]["parent_node"] == "1"
    assert entry["meta"][inner[0]]["real_node_id"] == "1"


async def test_an_expansion_is_mapped_over_lists(client):
    prompt = {
        "1": node("RuleSplit", text="a b"),
        "2": node("RuleTwice", text=["1", 0]),
        "3": node("ContractShow", text=["2", 0]),
    }
    assert (await client.run(prompt))["outputs"]["3"]["text"] == ["a+a", "b+b"]


async def test_a_cached_expansion_does_not_run_again(client):
    prompt = {"1": node("RuleTwice", text=unique()), "2": node("ContractShow", text=["1", 0])}
    await client.run(prompt)
    client.events.clear()
    await client.run(prompt)
    assert ran(client) == []


async def test_a_silent_blocker_stops_what_is_behind_it_and_the_prompt_succeeds(client):
    prompt = {
        "1": node("RuleBlock", text=unique(), message=""),
        "2": node("ContractShow", text=["1", 0]),
        "3": node("ContractShow", text="beside it"),
    }
    entry = await client.run(prompt)
    assert entry["status"]["status_str"] == "success"
    assert list(entry["outputs"]) == ["3"]
    assert not [name for name, _ in client.events if name == "execution_error"]


async def test_a_blocker_with_a_message_tells_it_and_the_prompt_goes_on(client):
    prompt = {
        "1": node("RuleBlock", text=unique(), message="not today"),
        "2": node("ContractShow", text=["1", 0]),
        "3": node("ContractShow", text="beside it"),
    }
    entry = await client.run(prompt)
    assert "3" in entry["outputs"] and "2" not in entry["outputs"]
    (told,) = [data for name, data in client.events if name == "execution_error"]
    assert told["exception_message"] == "Execution Blocked: not today"
    assert told["exception_type"] == "ExecutionBlocked"
    assert told["node_id"] == "2"


async def test_async_nodes_run_side_by_side(client):
    one, other = unique(), unique()
    prompt = {
        "1": node("RuleAsync", mine=one, partner=other),
        "2": node("RuleAsync", mine=other, partner=one),
        "3": node("RuleJoin", a=["1", 0], b=["2", 0]),
        "4": node("ContractShow", text=["3", 0]),
    }
    entry = await client.run(prompt)
    assert entry["outputs"]["4"]["text"] == [f"{one} met {other}+{other} met {one}"]


async def test_hidden_inputs_are_handed_over(client):
    extra = {"extra_pnginfo": {"workflow": {"id": 7}}, "api_key_comfy_org": "key"}
    entry = await client.run({"5": node("RuleHidden", text=unique())}, extra_data=extra)
    (told,) = entry["outputs"]["5"]["hidden"]
    assert told == {
        "me": "5",
        "prompt": ["5"],
        "info": extra["extra_pnginfo"],
        "class": "RuleHidden",
        "key": "key",
    }


async def test_only_what_stands_behind_a_change_runs_again(client):
    prompt = {
        "1": node("ContractText", text=unique()),
        "2": node("RuleJoin", a=["1", 0], b="x"),
        "3": node("ContractShow", text=["2", 0]),
    }
    await client.run(prompt)
    client.events.clear()
    prompt["2"]["inputs"]["b"] = "y"
    await client.run(prompt)
    assert ran(client) == ["2", "3"]
    cached = next(data["nodes"] for name, data in client.events if name == "execution_cached")
    assert cached == ["1"]


async def test_only_the_last_prompts_results_are_kept(client):
    prompt = {"1": node("ContractShow", text=unique())}
    await client.run(prompt)
    await client.run({"1": node("ContractShow", text=unique())})
    client.events.clear()
    await client.run(prompt)
    assert ran(client) == ["1"]


async def test_equal_nodes_share_one_cached_result_under_another_id(client):
    mark = unique()
    await client.run({"1": node("ContractText", text=mark), "2": node("ContractShow", text=["1", 0])})
    client.events.clear()
    await client.run({"7": node("ContractText", text=mark), "8": node("ContractShow", text=["7", 0])})
    assert ran(client) == []


async def test_nan_from_is_changed_runs_a_node_each_time_in_the_same_object(client):
    prompt = {"1": node("RuleAlwaysChanged", text=unique()), "2": node("ContractShow", text=["1", 0])}
    first = (await client.run(prompt))["outputs"]["2"]["text"][0]
    again = (await client.run(prompt))["outputs"]["2"]["text"][0]
    assert (first[-2:], again[-2:]) == (" 1", " 2")


async def test_is_changed_stands_beside_the_inputs_not_in_their_place(client):
    prompt = {"1": node("RuleChangedByText", text=f"a{unique()}"), "2": node("ContractShow", text=["1", 0])}
    await client.run(prompt)
    client.events.clear()
    await client.run(prompt)
    assert ran(client) == []
    prompt["1"]["inputs"]["text"] = f"a{unique()}"
    await client.run(prompt)
    assert ran(client) == ["1", "2"]


async def test_a_class_method_is_a_function_too(client):
    entry = await client.run({"1": node("RuleStatic", text="t"), "2": node("ContractShow", text=["1", 0])})
    assert entry["outputs"]["2"]["text"] == ["RuleStatic t"]


async def test_an_output_node_passes_its_result_on(client):
    prompt = {"1": node("RuleShowAndPass", text="a"), "2": node("ContractShow", text=["1", 0])}
    outputs = (await client.run(prompt))["outputs"]
    assert (outputs["1"]["text"], outputs["2"]["text"]) == (["a"], ["passed a"])


async def test_a_failure_tells_node_inputs_and_what_ran_before(client):
    mark = unique()
    prompt = {"1": node("ContractText", text=mark), "2": node("RuleFailIn", text=["1", 0], number=4)}
    entry = await client.run(prompt)
    name, data = entry["status"]["messages"][-1]
    assert (name, data["node_id"], data["node_type"]) == ("execution_error", "2", "RuleFailIn")
    assert data["executed"] == ["1"]
    assert data["exception_type"] == "KeyError"
    assert data["current_inputs"]["number"] == [4]
    assert data["current_inputs"]["text"] == [mark]
    assert "1" in data["current_outputs"]
    assert any("in run" in frame for frame in data["traceback"])


async def test_a_failed_node_runs_again_and_what_it_needed_does_not(client):
    prompt = {"1": node("ContractText", text=unique()), "2": node("RuleFailIn", text=["1", 0], number=1)}
    await client.run(prompt)
    client.events.clear()
    await client.run(prompt)
    assert ran(client) == ["2"]


async def test_progress_states_name_every_node_so_far(client):
    prompt_id = await client.send(
        {"1": node("ContractText", text=unique()), "2": node("ContractShow", text=["1", 0])}
    )
    await client.finished(prompt_id)
    states = [data for name, data in client.events if name == "progress_state"]
    last = states[-1]
    assert last["prompt_id"] == prompt_id
    assert {key: state["state"] for key, state in last["nodes"].items()} == {"1": "finished", "2": "finished"}
    assert set(last["nodes"]["2"]) >= {"value", "max", "state", "node_id", "prompt_id", "display_node_id"}


async def test_free_drops_the_results(client):
    prompt = {"1": node("ContractShow", text=unique())}
    await client.run(prompt)
    for _ in range(20):  # ComfyUI's worker may take a prompt that comes at once before it frees
        assert (await client.post("/free", {"free_memory": True}))[0] == 200
        client.events.clear()
        await client.run(prompt)
        if ran(client) == ["1"]:
            return
    pytest.fail("the results were still there")


async def test_a_prompt_of_nobody_sends_no_addressed_events(client):
    body = {"prompt": {"1": node("ContractShow", text=unique())}, "prompt_id": str(uuid.uuid4())}
    status, answer = await client.post("/prompt", body)
    assert status == 200
    await client.read_until(
        lambda name, data: name == "status" and data["status"]["exec_info"]["queue_remaining"] == 0
    )
    assert {name for name, _ in client.events} == {"status", "progress_state"}
    assert answer["prompt_id"] in await client.json(f"/history/{answer['prompt_id']}")


async def test_chains_of_hundreds_of_nodes_run(client):
    length = 300
    prompt = {"0": node("ContractText", text=unique())}
    for number in range(1, length):
        prompt[str(number)] = node("RuleStatic", text=[str(number - 1), 0])
    prompt["end"] = node("ContractShow", text=[str(length - 1), 0])
    entry = await client.run(prompt)
    assert entry["outputs"]["end"]["text"][0].count("RuleStatic") == length - 1


async def test_what_a_node_shows_is_json(client):
    entry = await client.run({"1": node("RuleSplit", text="a b"), "2": node("RuleShow", value=["1", 0])})
    assert json.loads(json.dumps(entry["outputs"])) == {"2": {"value": ["a", "b"]}}
