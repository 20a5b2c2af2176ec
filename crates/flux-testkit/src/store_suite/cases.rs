//! The list of cases.

/// Makes a test of each case of the suite, in a module for each topic. `$fresh` is the name of an
/// `async fn() -> flux_testkit::store_suite::Ports` beside the call, which opens an empty store.
#[macro_export]
macro_rules! store_suite {
    ($fresh:ident) => {
        $crate::store_suite! {
            @tests $fresh,
            claim: [
                a_claim_hands_over_the_branch,
                the_most_urgent_come_first,
                a_limit_is_kept,
                pools_are_apart,
                a_split_stays_in_its_pool_and_priority,
                only_the_living_claim,
                a_running_branch_is_not_claimed_again,
                what_is_not_due_yet_stays,
                a_look_takes_nothing_and_counts,
                what_is_ready_waits_for_no_calendar,
                a_waiting_branch_is_claimed_when_due,
                next_due_looks_at_its_own_pool,
                signals_come_with_the_claim,
                without_waiting_there_are_no_signals,
                owned_lists_what_is_owned,
            ],
            commit: [
                a_branch_goes_on,
                each_commit_has_a_row_of_history,
                a_waiting_branch_has_no_owner,
                consumed_signals_are_gone,
                numbers_of_signals_only_grow,
                only_signals_of_the_run_are_consumed,
                spawned_runs_are_started,
                a_commit_that_cannot_start_a_run_stores_nothing,
                a_commit_forgets_lost_engines,
            ],
            definitions: [
                a_definition_is_found,
                latest_is_what_was_deployed_last,
                the_same_content_is_stored_once,
                a_name_has_one_schedule,
                a_schedule_may_come_later,
                schedules_are_listed_by_due_time,
                a_due_time_fires_once,
                a_time_may_be_left_out,
                an_unknown_schedule_does_not_fire,
                a_firing_that_cannot_start_its_run_changes_nothing,
                only_the_last_run_makes_an_after_schedule_due,
            ],
            end: [
                the_first_branch_ends_the_run,
                a_failed_branch_keeps_its_commit_point,
                any_branch_may_end_the_run,
                any_branch_may_fault_the_run,
                the_end_of_a_branch_cancels_its_own_branches,
                the_end_cancels_what_was_cut_loose,
                the_end_cancels_child_runs,
                an_ended_run_does_not_listen,
                an_after_schedule_goes_on_from_the_end,
            ],
            fence: [
                each_number_alone_fences_a_commit,
                each_number_alone_fences_a_release,
                an_unknown_branch_is_fenced,
                the_same_commit_again_is_stored_once,
                an_older_commit_again_is_fenced,
                another_commit_with_the_same_number_is_fenced,
                another_wait_with_the_same_number_is_fenced,
                another_end_with_the_same_number_is_fenced,
                a_takeover_fences_the_old_owner,
            ],
            join: [
                enough_successes_wake,
                enough_faults_wake,
                a_faulted_branch_shows_its_fault,
                a_join_that_is_satisfied_wakes_at_once,
                a_join_of_nothing_wakes_at_once,
                the_rest_is_cancelled,
                running_branches_are_named_when_cancelled,
                the_rest_is_cut_loose,
                a_child_run_is_cut_loose,
                a_second_split_starts_anew,
            ],
            list: [
                the_newest_come_first,
                pages_leave_nothing_out,
                runs_are_found_by_state,
                a_limit_counts_what_passes,
                runs_are_found_by_name_and_time,
            ],
            members: [
                a_member_joins,
                joining_again_changes_nothing,
                a_cluster_can_be_full,
                a_heartbeat_counts,
                a_wrong_clock_is_measured,
                the_age_of_a_heartbeat_needs_no_calendar,
                a_convicted_engine_never_comes_back,
                a_forgotten_engine_never_comes_back,
                a_heartbeat_saves_from_conviction,
                a_draining_engine_may_be_convicted,
                the_dead_are_shown_while_they_own_something,
                only_who_owns_nothing_leaves,
            ],
            release: [
                a_released_branch_is_ready,
                a_second_release_is_fenced,
                a_released_branch_waits_again,
                a_release_to_what_is_there_is_ready,
                a_released_branch_gets_its_signals_again,
                a_released_branch_gets_its_arrivals_again,
            ],
            show: [
                nothing_is_shown_of_an_unknown_run,
                branches_are_shown_oldest_first,
                a_run_waits_when_all_its_branches_wait,
                a_ready_branch_awaits_nothing,
                takeovers_are_part_of_the_history,
                failovers_are_remembered,
            ],
            signal: [
                an_event_is_taken_once,
                a_consumed_event_is_still_a_duplicate,
                nobody_is_told_after_the_end,
                a_signal_wakes_who_waits_for_it,
                a_signal_that_is_there_wakes_at_once,
                published_events_reach_who_listens,
                a_published_event_is_kept,
                a_run_hears_itself,
            ],
            submit: [
                a_run_starts,
                a_request_starts_one_run,
                a_request_twice_in_one_call_starts_one_run,
                a_request_is_remembered_after_the_end,
                the_same_run_is_started_once,
                all_start_or_none,
                a_mistake_of_one_caller_stays_with_it,
            ],
            takeover: [
                a_branch_is_freed_at_its_commit_point,
                suspects_are_claimed_one_at_a_time,
                batches_are_bounded,
                takeovers_are_listed_by_engine,
                a_takeover_tells_where_the_branch_went_on,
                a_branch_that_ended_never_resumes,
                nothing_is_taken_from_the_living,
                only_running_branches_of_the_dead_are_freed,
                a_poisonous_branch_faults_its_run,
                a_poisonous_branch_of_a_split_arrives,
            ],
            wait: [
                waiting_for_nothing_never_ends,
                a_new_wait_replaces_the_old_one,
                a_split_makes_branches,
                a_child_run_starts,
                a_child_run_that_faults_wakes_its_parent,
            ],
        }
    };
    (@tests $fresh:ident, $($topic:ident: [$($case:ident,)*],)*) => {
        $(mod $topic {
            $(#[tokio::test]
            async fn $case() {
                let ports = super::$fresh().await;
                $crate::store_suite::$topic::$case(ports).await;
            })*
        })*
    };
}
