"""What each mistake in a prompt is answered with: type, words, and what `extra_info` carries."""

from __future__ import annotations

import uuid

import pytest

pytestmark = pytest.mark.slow

GOOD = {"whole": 3, "real": 0.5, "flag": True, "text": "t", "kind": "x"}


def typed(**inputs):
    return {"1": {"class_type": "RuleTyped", "inputs": {**GOOD, **inputs}}}


def picky(text, size=1):
    return {
        "1": {"class_type": "RulePicky", "inputs": {"text": text, "size": size}},
        "9": {"class_type": "ContractShow", "inputs": {"text": ["1", 0]}},
    }


async def refused(client, prompt) -> dict:
    status, answer = await client.post("/prompt", {"prompt": prompt})
    assert status == 400, answer
    return answer


async def only_error(client, prompt, node_id="1") -> dict:
    answer = await refused(client, prompt)
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert answer["error"]["message"] == "Prompt outputs failed validation"
    assert list(answer["node_errors"]) == [node_id]
    entry = answer["node_errors"][node_id]
    assert entry["class_type"] == prompt[node_id]["class_type"]
    (found,) = entry["errors"]
    assert set(found) == {"type", "message", "details", "extra_info"}
    return found


@pytest.mark.parametrize(
    ("inputs", "type", "message"),
    [
        ({"whole": "abc"}, "invalid_input_type", "Failed to convert an input value to a INT value"),
        ({"whole": None}, "invalid_input_type", "Failed to convert an input value to a INT value"),
        ({"real": "x"}, "invalid_input_type", "Failed to convert an input value to a FLOAT value"),
        ({"whole": -1}, "value_smaller_than_min", "Value -1 smaller than min of 0"),
        ({"whole": 11}, "value_bigger_than_max", "Value 11 bigger than max of 10"),
        ({"real": -0.1}, "value_smaller_than_min", "Value -0.1 smaller than min of 0.0"),
        ({"real": 1.5}, "value_bigger_than_max", "Value 1.5 bigger than max of 1.0"),
        ({"kind": "z"}, "value_not_in_list", "Value not in list"),
        ({"kind": 3}, "value_not_in_list", "Value not in list"),
    ],
)
async def test_a_literal_that_cannot_be_used_is_told_with_what_was_declared(client, inputs, type, message):
    found = await only_error(client, typed(**inputs))
    (name,) = inputs
    assert (found["type"], found["message"]) == (type, message)
    assert found["extra_info"]["input_name"] == name
    assert found["extra_info"]["received_value"] == inputs[name]
    declared = {"whole": "INT", "real": "FLOAT", "kind": ["x", "y"]}[name]
    assert found["extra_info"]["input_config"][0] == declared


@pytest.mark.parametrize(
    ("inputs", "seen"),
    [
        ({"whole": "7"}, {"whole": 7}),
        ({"whole": 2.9}, {"whole": 2}),
        ({"real": "0.25"}, {"real": 0.25}),
        ({"real": 1}, {"real": 1.0}),
        ({"flag": 1}, {"flag": True}),
        ({"flag": 0}, {"flag": False}),
        ({"text": 12}, {"text": "12"}),
        ({"text": {"__value__": ["a", 0]}}, {"text": "['a', 0]"}),
    ],
)
async def test_a_literal_is_converted_to_the_declared_type(client, inputs, seen):
    entry = await client.run(typed(**inputs))
    (values,) = entry["outputs"]["1"]["values"]
    assert values == {**GOOD, **seen}
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in {**GOOD, **seen}.items()
    }


@pytest.mark.parametrize("name", list(GOOD))
async def test_a_required_input_that_is_missing_is_named(client, name):
    prompt = typed()
    del prompt["1"]["inputs"][name]
    found = await only_error(client, prompt)
    assert (found["type"], found["message"], found["details"]) == (
        "required_input_missing",
        "Required input is missing",
        name,
    )
    assert found["extra_info"] == {"input_name": name}


async def test_inputs_that_nobody_declared_are_let_be(client):
    prompt = typed()
    prompt["1"]["inputs"]["surplus"] = "not declared"
    assert (await client.run(prompt))["outputs"]["1"]["values"] == [GOOD]


async def test_several_mistakes_of_one_node_are_told_together(client):
    answer = await refused(client, typed(whole=11, real=7, kind="z"))
    # in no order: ComfyUI goes through the inputs as a set
    assert sorted(error["type"] for error in answer["node_errors"]["1"]["errors"]) == [
        "value_bigger_than_max",
        "value_bigger_than_max",
        "value_not_in_list",
    ]
    assert answer["node_errors"]["1"]["dependent_outputs"] == ["1"]


@pytest.mark.parametrize("link", [["1"], ["1", 0, 0], ["1", 0, "x"]])
async def test_a_link_that_is_no_pair_is_a_bad_link(client, link):
    found = await only_error(client, typed(whole=link))
    assert found["type"] == "bad_linked_input"
    assert (found["extra_info"]["input_name"], found["extra_info"]["received_value"]) == ("whole", link)


async def test_a_link_of_another_type_is_a_mismatch(client):
    prompt = {
        "1": {"class_type": "RuleNumber", "inputs": {"value": 1}},
        "9": {"class_type": "ContractShow", "inputs": {"text": ["1", 0]}},
    }
    found = await only_error(client, prompt, "9")
    assert (found["type"], found["message"]) == (
        "return_type_mismatch",
        "Return type mismatch between linked nodes",
    )
    assert found["details"] == "text, received_type(INT) mismatch input_type(STRING)"
    assert found["extra_info"]["received_type"] == "INT"
    assert found["extra_info"]["linked_node"] == ["1", 0]
    assert found["extra_info"]["input_config"][0] == "STRING"


@pytest.mark.parametrize(("linked", "says"), [(["99", 0], "'99'"), (["1", 5], "tuple index out of range")])
async def test_a_link_to_nothing_is_told_as_the_lookup_that_failed(client, linked, says):
    prompt = {
        "1": {"class_type": "ContractText", "inputs": {"text": "a"}},
        "9": {"class_type": "ContractShow", "inputs": {"text": linked}},
    }
    found = await only_error(client, prompt, "9")
    assert (found["type"], found["message"]) == (
        "exception_during_validation",
        "Exception when validating node",
    )
    assert found["details"] == says


async def test_a_link_to_nothing_further_back_is_told_with_the_link_that_led_there(client):
    prompt = {
        "1": {"class_type": "RuleStatic", "inputs": {"text": ["99", 0]}},
        "9": {"class_type": "ContractShow", "inputs": {"text": ["1", 0]}},
    }
    found = await only_error(client, prompt, "1")
    assert (found["type"], found["message"]) == (
        "exception_during_inner_validation",
        "Exception when validating inner node",
    )
    assert found["extra_info"]["exception_message"] == "'99'"
    assert found["extra_info"]["exception_type"] == "KeyError"
    assert found["extra_info"]["linked_node"] == ["1", 0]
    assert found["extra_info"]["input_name"] == "text"


@pytest.mark.parametrize(("text", "details"), [("bad", "text - this text is bad"), ("no", "text")])
async def test_what_validate_inputs_says_is_told(client, text, details):
    answer = await refused(client, picky(text))
    errors = answer["node_errors"]["1"]["errors"]
    assert {error["type"] for error in errors} == {"custom_validation_failed"}
    assert {error["message"] for error in errors} == {"Custom validation failed for node"}
    assert errors[0]["details"] == details
    assert [error["extra_info"]["input_name"] for error in errors] == ["text", "size"]
    assert answer["node_errors"]["1"]["dependent_outputs"] == ["9"]


async def test_an_input_that_validate_inputs_takes_is_not_checked_for_its_range(client):
    entry = await client.run(picky("fine", size=7))
    assert entry["outputs"]["9"]["text"] == ["fine 7"]


async def test_a_crash_in_validation_is_told_with_the_link_that_led_to_it(client):
    found = await only_error(client, picky("crash"), "1")
    assert found["type"] == "exception_during_inner_validation"
    assert found["extra_info"]["exception_type"] == "RuntimeError"
    assert found["extra_info"]["exception_message"] == "validation fell over"
    assert found["extra_info"]["linked_node"] == ["1", 0]


async def test_validate_inputs_with_input_types_takes_the_place_of_the_type_check(client):
    prompt = {
        "1": {"class_type": "RuleNumber", "inputs": {"value": 5}},
        "9": {"class_type": "RuleShow", "inputs": {"value": ["1", 0]}},
    }
    assert (await client.run(prompt))["outputs"]["9"]["value"] == [5]


async def test_one_good_output_runs_and_the_bad_branch_is_told_with_the_answer(client):
    prompt = {
        "1": {"class_type": "ContractShow", "inputs": {"text": uuid.uuid4().hex}},
        "2": {"class_type": "ContractShow", "inputs": {}},
    }
    body = {"prompt": prompt, "client_id": client.id, "prompt_id": str(uuid.uuid4())}
    status, answer = await client.post("/prompt", body)
    assert status == 200
    assert answer["node_errors"]["2"]["errors"][0]["type"] == "required_input_missing"
    assert answer["node_errors"]["2"]["dependent_outputs"] == ["2"]
    entry = await client.finished(answer["prompt_id"])
    assert list(entry["outputs"]) == ["1"]
    assert entry["prompt"][4] == ["1"]


@pytest.mark.parametrize(
    ("prompt", "message", "details"),
    [
        (
            {"7": {"class_type": "NoSuchNode", "inputs": {}}},
            "Cannot execute because node NoSuchNode does not exist.",
            "Node ID '#7'",
        ),
    ],
)
async def test_an_unknown_class_is_named_with_its_node(client, prompt, message, details):
    answer = await refused(client, prompt)
    assert (answer["error"]["type"], answer["error"]["message"]) == ("invalid_prompt", message)
    assert answer["error"]["details"] == details
    assert answer["node_errors"] == {}


async def test_a_node_without_a_class_is_named(client):
    answer = await refused(client, {"7": {"inputs": {}}})
    assert answer["error"]["type"] == "invalid_prompt"
    assert answer["error"]["message"].endswith("missing the class_type property.")
    assert answer["error"]["details"] == "Node ID '#7'"


async def test_a_prompt_without_an_output_node_is_refused(client):
    answer = await refused(client, {"1": {"class_type": "ContractText", "inputs": {"text": "a"}}})
    assert answer["error"]["type"] == "prompt_no_outputs"
    assert answer["error"]["message"] == "Prompt has no outputs"


async def test_only_the_asked_outputs_run(client):
    prompt = {
        "1": {"class_type": "ContractShow", "inputs": {"text": "a"}},
        "2": {"class_type": "ContractShow", "inputs": {"text": "b"}},
    }
    entry = await client.run(prompt, partial_execution_targets=["2"])
    assert list(entry["outputs"]) == ["2"]


async def test_a_link_to_itself_fails_without_node_errors(client):
    answer = await refused(client, {"1": {"class_type": "RuleShowAndPass", "inputs": {"text": ["1", 0]}}})
    assert answer["error"]["type"] == "prompt_outputs_failed_validation"
    assert answer["node_errors"] == {}


@pytest.mark.parametrize("number", [5, 5.5, -3])
async def test_a_given_number_is_kept_as_a_float(client, number):
    body = {"prompt": {"1": {"class_type": "ContractShow", "inputs": {"text": "n"}}}, "number": number}
    status, answer = await client.post("/prompt", {**body, "client_id": client.id})
    assert (status, answer["number"]) == (200, float(number))
    entry = await client.finished(answer["prompt_id"])
    assert entry["prompt"][0] == float(number)
