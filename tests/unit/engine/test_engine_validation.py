"""Each error type of a prompt, with what it carries."""

from __future__ import annotations

import pytest

from online_runtime.engine.errors import PromptRejected
from online_runtime.engine.numbering import Numbering
from online_runtime.engine.submission import Submission


def rejected(bench, prompt) -> PromptRejected:
    with pytest.raises(PromptRejected) as caught:
        bench.validate(prompt)
    return caught.value


def only_error(bench, prompt, node_id):
    error = rejected(bench, prompt)
    assert error.type == "prompt_outputs_failed_validation"
    assert list(error.node_errors) == [node_id]
    assert error.node_errors[node_id]["dependent_outputs"] == ["9"]
    (found,) = error.node_errors[node_id]["errors"]
    return found


def test_an_empty_prompt_or_one_without_outputs_has_no_outputs(bench, node):
    assert rejected(bench, {}).type == "prompt_no_outputs"
    assert rejected(bench, {"1": node("Text", text="a")}).type == "prompt_no_outputs"


def test_a_node_without_class_or_of_an_unknown_class_is_an_invalid_prompt(bench, node):
    missing = rejected(bench, {"1": {"inputs": {}}})
    assert (missing.type, missing.details) == ("invalid_prompt", "Node ID '#1'")
    assert missing.message.endswith("missing the class_type property.")
    unknown = rejected(bench, {"1": node("Nope")})
    assert unknown.message == "Cannot execute because node Nope does not exist."


def test_a_required_input_that_is_missing_is_named(bench, node):
    found = only_error(bench, {"1": node("Text"), "9": node("Show", text=["1", 0])}, "1")
    assert (found["type"], found["extra_info"]) == ("required_input_missing", {"input_name": "text"})


def test_a_link_that_is_not_a_pair_is_a_bad_link(bench, node):
    found = only_error(bench, {"9": node("Show", text=["1", 0, 0])}, "9")
    assert found["type"] == "bad_linked_input"
    assert found["extra_info"]["received_value"] == ["1", 0, 0]


def test_a_link_of_another_type_is_a_mismatch(bench, node):
    found = only_error(bench, {"1": node("Number", value=1), "9": node("Show", text=["1", 0])}, "9")
    assert found["type"] == "return_type_mismatch"
    assert found["extra_info"]["received_type"] == "INT"
    assert found["extra_info"]["linked_node"] == ["1", 0]


def test_a_type_that_equals_any_other_links_to_all(bench, node):
    class Any(str):
        __slots__ = ()

        def __ne__(self, other):
            return False

        __eq__ = str.__eq__
        __hash__ = str.__hash__

    bench.classes["Number"].RETURN_TYPES = (Any("*"),)
    assert bench.validate({"1": node("Number", value=1), "9": node("Show", text=["1", 0])}).outputs == ["9"]


@pytest.mark.parametrize(
    ("value", "type"),
    [
        ("abc", "invalid_input_type"),
        (-1, "value_smaller_than_min"),
        (11, "value_bigger_than_max"),
    ],
)
def test_a_number_that_is_none_or_out_of_range_is_told(bench, node, value, type):
    bench.classes["Number"].OUTPUT_NODE = True
    found = only_error(bench, {"9": node("Number", value=value)}, "9")
    assert (found["type"], found["extra_info"]["received_value"]) == (type, value)
    assert found["extra_info"]["input_config"] == ["INT", {"min": 0, "max": 10}]


def test_literals_are_converted_in_place(bench, node):
    bench.classes["Number"].OUTPUT_NODE = True
    prompt = {"9": node("Number", value="7")}
    bench.validate(prompt)
    assert prompt["9"]["inputs"]["value"] == 7


def test_a_choice_that_is_not_offered_is_told(bench, node):
    prompt = {"1": node("Picky", text="ok", kind="z"), "9": node("Show", text=["1", 0])}
    found = only_error(bench, prompt, "1")
    assert found["type"] == "value_not_in_list"
    assert "'z' not in ['x', 'y']" in found["details"]


def test_what_validate_inputs_says_is_told(bench, node):
    prompt = {"1": node("Picky", text="bad", kind="x"), "9": node("Show", text=["1", 0])}
    found = only_error(bench, prompt, "1")
    assert (found["type"], found["details"]) == ("custom_validation_failed", "text - this text is bad")


def test_a_crash_behind_a_link_is_told_at_the_node_with_the_link_and_without_host_paths(bench, node):
    prompt = {"1": node("Picky", text="crash", kind="x"), "9": node("Show", text=["1", 0])}
    found = only_error(bench, prompt, "1")
    assert found["extra_info"]["linked_node"] == ["1", 0]
    assert found["type"] == "exception_during_inner_validation"
    assert found["extra_info"]["exception_type"] == "RuntimeError"
    assert __file__.rsplit("/", 1)[0] not in "".join(found["extra_info"]["traceback"])


def test_a_link_to_a_node_that_is_not_there_names_it(bench, node):
    found = only_error(bench, {"9": node("Show", text=["99", 0])}, "9")
    assert found["type"] == "exception_during_validation"
    assert found["details"] == "'99'"


def test_a_crash_of_an_output_itself_is_told(bench, node):
    bench.classes["Picky"].OUTPUT_NODE = True
    found = only_error(bench, {"9": node("Picky", text="crash", kind="x")}, "9")
    assert found["type"] == "exception_during_validation"


def test_a_node_linked_to_itself_fails_without_node_errors_but_with_a_sentence(bench, node):
    error = rejected(bench, {"9": node("Show", text="x"), "1": node("Show", text="y")} | loop(node))
    assert error.node_errors == {}
    assert "wait for each other" in error.details


def loop(node):
    return {
        "9": node("Show", text=["2", 0]),
        "1": node("Show", text=["2", 0]),
        "2": node("Join", a=["2", 0], b="x"),
    }


def test_one_good_output_is_enough_and_the_bad_branch_is_told(bench, node):
    accepted = bench.validate({"1": node("Show", text="a"), "9": node("Show")})
    assert accepted.outputs == ["1"]
    assert accepted.node_errors["9"]["errors"][0]["type"] == "required_input_missing"
    assert accepted.node_errors["9"]["class_type"] == "Show"


def test_targets_limit_the_outputs(bench, node):
    prompt = {"1": node("Show", text="a"), "2": node("Show", text="b")}
    assert bench.validate(prompt, targets=["2"]).outputs == ["2"]


def test_a_prompt_id_is_a_canonical_uuid_or_is_made():
    numbering = Numbering()
    good = "0b7e1f2a-1c7d-4bb8-9d6a-2f1f5f3f9a11"
    assert Submission.read({"prompt": {}, "prompt_id": good}, numbering).prompt_id == good
    assert len(Submission.read({"prompt": {}, "prompt_id": None}, numbering).prompt_id) == 36
    for bad in (good.upper(), good.replace("-", ""), "x", 7, ""):
        with pytest.raises(PromptRejected) as caught:
            Submission.read({"prompt": {}, "prompt_id": bad}, numbering)
        assert caught.value.type == "invalid_prompt_id"


def test_secrets_are_kept_apart_from_what_answers_show():
    extra = {"api_key_comfy_org": "k", "extra_pnginfo": {}}
    submission = Submission.read({"prompt": {}, "extra_data": extra, "client_id": "c"}, Numbering())
    assert submission.secrets == {"api_key_comfy_org": "k"}
    assert set(submission.extra_data) == {"extra_pnginfo", "client_id", "create_time"}


def test_front_negates_the_counter_and_a_number_is_kept_as_float():
    numbering = Numbering()
    numbers = [
        Submission.read({"prompt": {}, **more}, numbering).number
        for more in ({}, {"front": True}, {"number": 3}, {})
    ]
    assert numbers == [0, -1, 3.0, 2]
    assert isinstance(numbers[2], float)
