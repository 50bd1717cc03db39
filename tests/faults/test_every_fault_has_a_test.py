"""Which tests show what the system does about each fault, by the numbers that faults have in this project.

 1-16  killed controllers, candidates that fail        17-26  health, GPUs, memory, identity of processes
27-31  disk, store, models                             32-38  databases, brokers, clocks, cut-off gateways
39-45  jobs and calls at a switch                      46-54  stopping, scaling, rollbacks, logs, upgrades
55-60  what is frozen
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FAULTS: dict[int, dict[str, tuple[str, ...]]] = {
    1: {
        "faults/test_rotation_crashes.py": (
            "test_a_worker_killed_at_any_point_is_followed_by_one_that_ends_the_rotation",
        ),
        "integration/test_publisher_killed.py": ("test_killed_there_it_resumes_to_the_same_end",),
    },
    2: {
        "integration/test_publisher_killed.py": ("test_killed_there_it_resumes_to_the_same_end",),
        "unit/publisher/test_deployments.py": ("test_what_no_row_wants_is_reaped",),
    },
    3: {"integration/test_publisher_killed.py": ("test_killed_there_it_resumes_to_the_same_end",)},
    4: {
        "faults/test_rotation_faults.py": (
            "test_a_drain_that_is_taken_up_by_another_worker_counts_from_its_stored_start",
        )
    },
    5: {
        "faults/test_rotation_crashes.py": (
            "test_a_worker_killed_while_it_brings_the_previous_snapshot_back_is_followed_by_one_that_does",
        ),
        "unit/publisher/test_rotation_rules.py": ("test_a_rollback_that_fails_is_not_rolled_back",),
    },
    6: {
        "faults/test_control_faults.py": (
            "test_fault_6_two_workers_on_one_deployment_start_each_instance_once_and_do_each_step_once",
        )
    },
    7: {
        "faults/test_control_faults.py": (
            "test_fault_7_a_worker_that_was_paused_beyond_its_lease_can_write_nothing_and_start_nothing",
        )
    },
    8: {
        "unit/publisher/test_leases_and_requests.py": (
            "test_two_requests_at_once_in_two_processes_give_one_deployment_and_one_refusal_that_names_it",
        )
    },
    9: {
        "faults/test_rotation_faults.py": (
            "test_a_deployment_or_rollback_during_another_one_is_refused_by_its_number",
        )
    },
    10: {
        "unit/publisher/test_deployments.py": (
            "test_a_cancel_undoes_what_was_begun_whatever_the_state",
            "test_a_drain_waits_for_unfinished_jobs_and_cannot_be_cancelled",
        )
    },
    11: {
        "unit/publisher/test_deployments.py": (
            "test_a_bad_new_side_leaves_the_old_one_serving_and_a_record_that_says_why",
        )
    },
    12: {
        "faults/test_rotation_faults.py": (
            "test_a_process_that_exits_at_once_fails_within_seconds_with_its_last_lines",
        ),
        "contract/drivers/test_driver_engines.py": (
            "test_an_engine_that_exits_at_once_is_given_up_in_seconds_with_its_last_words",
        ),
    },
    13: {
        "faults/test_rotation_faults.py": (
            "test_healthy_once_and_dead_within_the_minimum_healthy_time_never_gets_the_traffic",
        )
    },
    14: {
        "unit/publisher/test_deployments.py": (
            "test_a_new_instance_that_dies_while_baking_gives_the_traffic_back",
        )
    },
    15: {
        "unit/publisher/test_fleet_scaling.py": (
            "test_fault_15_what_crashes_long_after_success_is_replaced_and_the_record_stays",
        )
    },
    16: {
        "faults/test_rotation_faults.py": (
            "test_health_that_flaps_fails_at_the_deadline_and_never_reaches_the_table",
        )
    },
    17: {
        "contract/drivers/test_driver_engines.py": (
            "test_an_engine_that_hangs_turns_unhealthy_and_health_calls_do_not_pile_up",
        ),
        "integration/test_instance_processes.py": (
            "test_a_door_that_never_answers_is_a_failed_look_and_not_a_wait",
        ),
    },
    18: {
        "unit/publisher/test_rotation_rules.py": (
            "test_a_candidate_that_fails_to_prove_itself_fails_the_deployment",
        )
    },
    19: {"unit/instance/test_watch.py": ("test_a_silent_engine_with_a_job_and_progress_is_busy",)},
    20: {
        "unit/publisher/test_deployments.py": ("test_too_few_slots_are_refused_in_preflight_by_name",),
        "unit/publisher/test_preflight_findings.py": (
            "test_the_way_of_rotating_follows_the_slots_and_the_configuration",
        ),
    },
    21: {
        "contract/gpus/test_gpu_readers.py": (
            "test_a_lost_card_is_an_error_that_says_so_and_never_a_machine_with_fewer_cards",
        )
    },
    22: {
        "unit/publisher/test_fleet_scaling.py": (
            "test_fault_22_a_crash_loop_stops_with_a_state_that_says_why_until_a_person_resumes",
        ),
        "unit/workstation/test_ws_process.py": ("test_a_kill_while_the_kernel_counts_one_is_out_of_memory",),
    },
    23: {"unit/instance/test_watch.py": ("test_a_stranger_on_the_engines_port_is_not_taken_for_the_engine",)},
    24: {
        "integration/test_instance_processes.py": ("test_a_reply_with_another_token_counts_as_no_reply",),
    },
    25: {
        "integration/test_instance_processes.py": (
            "test_a_reused_pid_is_not_taken_for_the_instance_and_is_never_signalled",
            "test_a_process_of_an_earlier_boot_with_the_same_pid_and_ticks_is_another_process",
        )
    },
    26: {
        "faults/test_control_faults.py": (
            "test_fault_26_after_a_reboot_in_mid_deployment_the_last_good_state_comes_back",
        )
    },
    27: {
        "faults/test_snapshot_faults.py": (
            "test_a_full_disk_says_how_much_is_missing_and_leaves_the_store_as_it_was",
        )
    },
    28: {
        "faults/test_snapshot_faults.py": (
            "test_of_ten_snapshots_those_with_the_damaged_object_are_named_and_healed",
        ),
        "contract/drivers/test_driver_engines.py": (
            "test_a_view_that_is_not_there_fails_at_once_and_is_named",
        ),
    },
    29: {
        "unit/publisher/test_deployments.py": (
            "test_a_rollback_to_a_snapshot_that_is_gone_is_refused_and_changes_nothing",
        ),
        "unit/snapshotter/test_retention.py": (
            "test_a_needed_snapshot_is_refused_with_the_names_of_who_needs_it",
        ),
    },
    30: {
        "faults/test_snapshot_faults.py": (
            "test_two_files_that_change_together_are_never_mixed",
            "test_what_changed_during_the_scan_is_never_mixed_with_what_changed_after_it",
        )
    },
    31: {
        "unit/publisher/test_preflight_findings.py": (
            "test_models_that_saved_workflows_name_are_told_before_anything_is_changed",
        )
    },
    32: {
        "faults/test_database_faults.py": (
            "test_without_the_control_database_calls_go_on_and_the_deployment_ends_after_its_return",
        )
    },
    33: {
        "faults/test_unknown_commits.py": (
            "test_a_deployment_ends_well_and_starts_nothing_twice_whatever_became_of_its_commits",
        )
    },
    34: {
        "faults/test_rotation_faults.py": ("test_without_any_message_the_sweep_alone_ends_a_deployment",),
        "integration/test_cli_no_worker.py": (
            "test_a_deployment_that_no_worker_carries_out_is_told_within_seconds_and_names_the_log",
        ),
    },
    35: {
        "faults/test_control_faults.py": (
            "test_fault_35_a_clock_that_jumps_steals_no_lease_and_never_hurts_the_side_that_serves",
        )
    },
    36: {
        "faults/test_gateway_faults.py": (
            "test_fault_36_a_gateway_killed_at_a_switch_starts_from_the_newest_table_and_routes_nobody_dead",
            "test_fault_36_without_a_table_to_read_it_starts_and_says_that_nothing_is_there",
        )
    },
    37: {"integration/test_gateway_proxy.py": ("test_one_malformed_entry_drops_only_itself",)},
    38: {
        "faults/test_gateway_faults.py": (
            "test_fault_38_a_gateway_that_hears_nothing_serves_on_from_its_last_table",
        )
    },
    39: {
        "faults/test_gateway_faults.py": (
            "test_fault_39_what_waits_in_the_old_ones_queue_at_a_drain_ends_there_under_its_id",
            "test_fault_39_what_still_waits_when_the_old_one_is_stopped_runs_exactly_once_more",
        )
    },
    40: {
        "faults/test_gateway_faults.py": (
            "test_fault_40_a_job_cut_off_at_the_hard_limit_runs_once_more_and_ends_with_a_reason_if_cut_again",
        ),
        "faults/test_rotation_faults.py": (
            "test_a_drain_that_is_taken_up_by_another_worker_counts_from_its_stored_start",
        ),
    },
    41: {
        "faults/test_gateway_faults.py": (
            "test_fault_41_a_file_at_an_owner_that_refuses_the_connection_is_502_with_its_name_at_once",
            "test_fault_41_a_file_that_another_instance_has_is_found_beside_a_dead_one",
        ),
        "integration/test_gateway_jobs.py": (
            "test_history_and_files_are_answered_after_the_instance_is_gone",
            "test_an_unknown_prompt_is_404",
            "test_a_job_that_loses_two_owners_is_lost_and_says_why",
        ),
    },
    42: {
        "integration/test_gateway_websockets.py": (
            "test_a_socket_stays_until_its_jobs_end_at_a_drain_then_says_come_back",
        )
    },
    43: {
        "integration/test_gateway_proxy.py": (
            "test_a_slow_download_is_not_buffered_counts_as_in_flight_and_survives_a_switch",
        )
    },
    44: {
        "integration/test_gateway_waking.py": (
            "test_fault_44_prompts_posted_while_the_table_switches_run_once_each_wherever_they_go",
        )
    },
    45: {
        "integration/test_gateway_jobs.py": (
            "test_a_caller_that_hangs_up_during_post_leaves_a_job_that_runs",
        )
    },
    46: {
        "contract/drivers/test_driver_engines.py": (
            "test_an_engine_that_ignores_sigterm_is_killed_after_the_grace",
        )
    },
    47: {
        "unit/publisher/test_fleet_scaling.py": (
            "test_fault_47_an_instance_that_does_not_end_keeps_its_slot_and_is_told_until_it_ends",
        )
    },
    48: {
        "unit/publisher/test_fleet_scaling.py": (
            "test_fault_48_a_call_while_the_last_instance_goes_to_sleep_takes_it_back",
            "test_fault_48_a_deployment_of_a_sleeping_service_proves_one_instance",
        )
    },
    49: {
        "integration/test_gateway_waking.py": (
            "test_fault_49_of_500_calls_at_once_as_many_are_held_as_allowed_and_the_rest_get_503",
        )
    },
    50: {
        "integration/test_gateway_waking.py": (
            "test_fault_50_probes_and_scrapes_of_a_sleeping_service_are_answered_at_once_and_wake_nobody",
        )
    },
    51: {
        "faults/test_rotation_faults.py": (
            "test_a_rollback_to_a_pruned_snapshot_or_to_the_present_one_is_refused_and_nothing_changes",
        )
    },
    52: {
        "faults/test_rotation_faults.py": (
            "test_of_three_instances_the_second_fails_and_all_three_old_ones_serve_again",
        )
    },
    53: {
        "faults/test_log_faults.py": (
            "test_fault_53_an_engine_that_prints_without_end_runs_on_and_keeps_two_small_logs",
            "test_fault_53_a_log_that_cannot_be_written_blocks_no_engine",
            "test_fault_53_a_part_of_the_platform_that_logs_without_end_fills_no_disk",
        )
    },
    54: {
        "faults/test_control_faults.py": (
            "test_fault_54_a_deployment_of_an_older_version_is_read_and_finished_by_this_one",
        )
    },
    55: {
        "faults/test_snapshot_faults.py": (
            "test_a_fifo_a_socket_and_a_link_outside_are_refused_together_without_hanging",
            "test_a_sparse_file_of_10_gb_is_kept_and_does_not_fill_the_disk",
        )
    },
    56: {
        "faults/test_snapshot_faults.py": (
            "test_a_file_that_changes_while_it_is_read_is_read_again",
            "test_a_file_that_never_holds_still_is_refused_by_name",
        )
    },
    57: {"faults/test_snapshot_faults.py": ("test_a_rewrite_of_the_same_size_right_after_a_freeze_is_seen",)},
    58: {
        "faults/test_snapshot_faults.py": ("test_two_projects_freeze_into_one_store_at_once",),
        "unit/snapshotter/test_collection.py": (
            "test_beside_freezes_of_two_projects_no_snapshot_ever_loses_a_byte",
        ),
    },
    59: {
        "unit/workstation/test_ws_archive.py": (
            "test_an_entry_that_leaves_the_folder_is_refused_by_name",
            "test_a_bomb_is_refused_before_anything_is_written",
            "test_two_hundred_thousand_entries_are_refused",
        )
    },
    60: {
        "faults/test_snapshot_faults.py": (
            "test_of_ten_snapshots_those_with_the_damaged_object_are_named_and_healed",
        )
    },
}


@cache
def _functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_bytes())
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_no_number_is_left_out() -> None:
    assert sorted(FAULTS) == list(range(1, 61))


@pytest.mark.parametrize("number", sorted(FAULTS))
def test_the_tests_of_a_fault_are_there(number: int) -> None:
    for file, names in FAULTS[number].items():
        missing = [name for name in names if name not in _functions(TESTS / file)]
        assert not missing, f"{file} has no {missing}"


def test_a_test_that_names_a_number_stands_under_it() -> None:
    """`test_fault_N_...` in a listed file may not be listed under another number."""
    for number, files in FAULTS.items():
        for names in files.values():
            named = [int(name.split("_")[2]) for name in names if name.startswith("test_fault_")]
            assert set(named) <= {number}
