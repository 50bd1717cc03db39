"""The node rules: what runs, with what, how often, and what is told."""

from __future__ import annotations

import threading


def test_a_prompt_runs_each_needed_node_once_and_shows_the_result(bench, node):
    outcome = bench.run(
        {
            "1": node("Text", text="a"),
            "2": node("Join", a=["1", 0], b=["1", 0]),
            "3": node("Show", text=["2", 0]),
            "4": node("Text", text="nobody needs this"),
        }
    )
    assert outcome.success
    assert outcome.outputs == {"3": {"text": ["a+a"]}}
    assert bench.ran() == ["Text", "Join", "Show"]
    assert outcome.meta["3"]["display_node"] == "3"


def test_events_come_in_the_order_that_comfyui_was_measured_to_send(bench, node):
    bench.run({"1": node("Text", text="a"), "2": node("Show", text=["1", 0])})
    assert bench.recorder.names() == [
        "execution_start",
        "execution_cached",
        *("progress_state", "executing", "progress_state"),
        *("progress_state", "executing", "executed", "progress_state"),
        "execution_success",
    ]


def test_without_a_client_only_progress_state_is_sent_and_to_all(bench, node):
    bench.run({"1": node("Text", text="a"), "2": node("Show", text=["1", 0])}, client=None)
    assert {(name, client) for name, _, client in bench.recorder.events} == {("progress_state", None)}


def test_a_second_equal_prompt_runs_nothing_and_lists_its_outputs_again(bench, node):
    prompt = {"1": node("Text", text="a"), "2": node("Show", text=["1", 0])}
    bench.run(prompt)
    outcome = bench.run(prompt)
    assert bench.ran() == []
    assert outcome.outputs == {"2": {"text": ["a"]}}
    cached = next(data for name, data, _ in bench.recorder.events if name == "execution_cached")
    assert set(cached["nodes"]) == {"1", "2"}
    assert "executed" in bench.recorder.names()


def test_only_what_stands_behind_a_change_runs_again(bench, node):
    def prompt(text):
        return {
            "1": node("Text", text="same"),
            "2": node("Text", text=text),
            "3": node("Join", a=["1", 0], b=["2", 0]),
            "4": node("Show", text=["3", 0]),
        }

    bench.run(prompt("x"))
    bench.run(prompt("y"))
    assert bench.ran() == ["Text", "Join", "Show"]
    assert bench.calls[0] == ("Text", "y")


def test_only_the_last_prompts_results_are_kept(bench, node):
    first = {"1": node("Text", text="a"), "2": node("Show", text=["1", 0])}
    bench.run(first)
    bench.run({"1": node("Text", text="b"), "2": node("Show", text=["1", 0])})
    assert len(bench.executor.cache) == 2
    bench.run(first)
    assert bench.ran() == ["Text", "Show"]


def test_is_changed_decides_whether_a_node_runs_again(bench, node):
    prompt = {"1": node("Clock", name="c"), "2": node("Show", text=["1", 0])}
    bench.run(prompt)
    bench.run(prompt)
    assert bench.ran() == []
    bench.classes["Clock"].ticks = 1
    bench.run(prompt)
    assert bench.ran() == ["Clock", "Show"]
    bench.classes["Clock"].ticks = float("nan")
    bench.run(prompt)
    bench.run(prompt)
    assert bench.ran() == ["Clock", "Show"]


def test_a_node_object_is_reused_between_prompts_and_keeps_its_state(bench, node):
    bench.run({"1": node("Counter", text="a"), "2": node("Show", text=["1", 0])})
    outcome = bench.run({"1": node("Counter", text="b"), "2": node("Show", text=["1", 0])})
    assert outcome.outputs["2"]["text"] == ["b 2"]


def test_a_list_output_maps_the_nodes_behind_it_and_input_is_list_gathers_it(bench, node):
    outcome = bench.run(
        {
            "1": node("Split", text="a b c"),
            "2": node("Join", a=["1", 0], b="!"),
            "3": node("Gather", text=["2", 0]),
            "4": node("Show", text=["3", 0]),
        }
    )
    assert outcome.outputs["4"]["text"] == ["a+!|b+!|c+!"]
    assert bench.ran().count("Join") == 3
    assert bench.ran().count("Gather") == 1


def test_a_shorter_list_repeats_its_last_item(bench, node):
    outcome = bench.run(
        {
            "1": node("Split", text="a b c"),
            "2": node("Split", text="x y"),
            "3": node("Join", a=["1", 0], b=["2", 0]),
            "4": node("Show", text=["3", 0]),
        }
    )
    assert outcome.outputs["4"]["text"] == ["a+x", "b+y", "c+y"]


def test_an_empty_list_for_a_mapped_node_fails_with_the_inputs_name(bench, node):
    outcome = bench.run({"1": node("Split", text=""), "2": node("Show", text=["1", 0])})
    assert not outcome.success
    assert "input text received an empty list" in outcome.messages[-1][1]["exception_message"]


def test_a_lazy_input_that_is_not_wanted_does_not_run(bench, node):
    outcome = bench.run(
        {
            "1": node("Text", text="a"),
            "2": node("Text", text="b"),
            "3": node("Choose", first=False, a=["1", 0], b=["2", 0]),
            "4": node("Show", text=["3", 0]),
        }
    )
    assert outcome.outputs["4"]["text"] == ["b"]
    assert [call for call in bench.calls if call[0] == "Text"] == [("Text", "b")]


def test_hidden_inputs_are_handed_over_and_secrets_come_from_nowhere_else(bench, node):
    prompt = {"1": node("Hidden")}
    info = {"workflow": {"id": "w"}}
    bench.run(prompt, extra={"extra_pnginfo": info}, secrets={"api_key_comfy_org": "s3cret"})
    _, seen_prompt, dyn, seen_info, me, key = bench.calls[0]
    assert (seen_prompt, seen_info, me, key) == (prompt, info, "1", "s3cret")
    assert dyn.get_node("1")["class_type"] == "Hidden"


def test_an_expansion_runs_its_sub_graph_and_gives_its_result(bench, node):
    prompt = {"1": node("Twice", text="x"), "2": node("Show", text=["1", 0])}
    outcome = bench.run(prompt)
    assert outcome.outputs["2"]["text"] == ["x+x"]
    assert bench.ran() == ["Twice", "Text", "Join", "Show"]
    states = [data["nodes"] for name, data, _ in bench.recorder.events if name == "progress_state"][-1]
    inner = [state for key, state in states.items() if key not in prompt]
    assert {state["parent_node_id"] for state in inner} == {"1"}
    assert {state["display_node_id"] for state in inner} == {"1"}
    bench.run(prompt)
    assert bench.ran() == []


def test_an_expansion_of_each_list_item_keeps_all_results(bench, node):
    outcome = bench.run(
        {"1": node("Split", text="p q"), "2": node("Twice", text=["1", 0]), "3": node("Show", text=["2", 0])}
    )
    assert outcome.outputs["3"]["text"] == ["p+p", "q+q"]


def test_a_blocker_keeps_what_is_behind_it_from_running_and_the_prompt_succeeds(bench, node):
    outcome = bench.run(
        {
            "1": node("Block", text=""),
            "2": node("Join", a=["1", 0], b="x"),
            "3": node("Show", text=["2", 0]),
            "4": node("Show", text="seen"),
        }
    )
    assert outcome.success
    assert outcome.outputs == {"4": {"text": ["seen"]}}
    assert "execution_error" not in bench.recorder.names()


def test_a_blocker_with_a_message_tells_it_once(bench, node):
    outcome = bench.run(
        {
            "1": node("Block", text="no licence"),
            "2": node("Join", a=["1", 0], b="x"),
            "3": node("Show", text=["2", 0]),
        }
    )
    told = [data for name, data, _ in bench.recorder.events if name == "execution_error"]
    assert outcome.success
    assert [data["exception_message"] for data in told] == ["Execution Blocked: no licence"]
    assert told[0]["node_id"] == "2"


def test_async_nodes_run_side_by_side(bench, node):
    outcome = bench.run(
        {
            "1": node("Meet", name="a"),
            "2": node("Meet", name="b"),
            "3": node("Join", a=["1", 0], b=["2", 0]),
            "4": node("Show", text=["3", 0]),
        }
    )
    assert outcome.outputs["4"]["text"] == ["a+b"]


def test_a_failing_node_ends_the_prompt_with_its_error_and_no_host_path(bench, node):
    outcome = bench.run({"1": node("Fail", how="value"), "2": node("Show", text=["1", 0])})
    name, data = outcome.messages[-1]
    assert (outcome.success, name) == (False, "execution_error")
    assert (data["node_id"], data["node_type"], data["exception_type"]) == ("1", "Fail", "ValueError")
    assert data["current_inputs"] == {"how": ["value"]}
    assert any("conftest.py" in line for line in data["traceback"])
    told = data["exception_message"] + "".join(data["traceback"])
    assert __file__.rsplit("/", 2)[0] not in told
    states = [d["nodes"] for n, d, _ in bench.recorder.events if n == "progress_state"][-1]
    assert states["1"]["state"] == "error"


def test_a_node_that_exits_or_eats_all_memory_fails_its_prompt_and_the_next_one_runs(bench, node):
    left = bench.run({"1": node("Fail", how="exit"), "2": node("Show", text=["1", 0])})
    assert left.messages[-1][1]["exception_type"] == "SystemExit"
    full = bench.run({"1": node("Fail", how="memory"), "2": node("Show", text=["1", 0])})
    assert full.out_of_memory
    assert bench.run({"2": node("Show", text="alive")}).success


def test_an_interrupt_ends_the_prompt_at_the_next_step_and_not_the_one_after(bench, node):
    entered = threading.Event()
    bench.recorder.send = lambda event, data, client: (
        bench.interruption.request() if event == "progress" else entered.set()
    )
    outcome = bench.run({"1": node("Steps", count=5), "2": node("Show", text=["1", 0])})
    assert not outcome.success
    assert outcome.messages[-1][0] == "execution_interrupted"
    assert outcome.messages[-1][1]["node_id"] == "1"
    assert "Show" not in bench.ran()
    assert bench.run({"2": node("Show", text="next")}).success


def test_an_interrupt_reaches_a_prompt_that_waits_for_async_nodes(bench, node):
    send = bench.recorder.send
    bench.recorder.send = lambda event, data, client: (
        bench.interruption.request() if event == "executing" else send(event, data, client)
    )
    # Meet waits for a second one that never comes.
    outcome = bench.run({"1": node("Meet", name="a"), "2": node("Show", text=["1", 0])})
    assert outcome.messages[-1][0] == "execution_interrupted"


def test_an_interrupt_for_another_prompt_changes_nothing(bench):
    bench.interruption.begin("this one")
    assert not bench.interruption.request("another")
    assert not bench.interruption.wanted
    assert bench.interruption.request("this one")


def test_nodes_that_return_the_wrong_thing_are_told_so(bench, node):
    bench.classes["Text"].run = lambda self, text: text
    outcome = bench.run({"1": node("Text", text="a"), "2": node("Show", text=["1", 0])})
    assert "a tuple with one item per output is expected" in outcome.messages[-1][1]["exception_message"]
    bench.classes["Show"].run = lambda self, text: {"ui": {"text": [object()]}}
    outcome = bench.run({"2": node("Show", text="a")})
    assert "its ui result is not JSON" in outcome.messages[-1][1]["exception_message"]


def test_a_chain_of_two_thousand_nodes_runs(bench, node):
    prompt = {"0": node("Text", text="")}
    for i in range(1, 2000):
        prompt[str(i)] = node("Join", a=[str(i - 1), 0], b="", sep="")
    prompt["end"] = node("Show", text=["1999", 0])
    assert bench.run(prompt).success
