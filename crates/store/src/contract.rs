//! The contract suite: what every store must pass, each case one sentence.
//!
//! A store's tests say `cresset_store::contract_tests!(fixture())`, where the fixture opens fresh
//! stores and reopens them as if the process had died. Every case becomes a test of its own.

#![expect(clippy::unwrap_used, reason = "these are tests, for other crates to run")]
#![expect(clippy::needless_pass_by_ref_mut, reason = "every case has the same signature")]

mod build;
mod concurrency;
mod events;
mod forget;
mod history;
mod index;
mod log;
mod resources;
mod tokens;

pub use build::{Builder, at, client, id, key, number, position, subscription, version};
pub use concurrency::*;
pub use events::*;
pub use forget::*;
pub use history::*;
pub use index::*;
pub use log::*;
pub use resources::*;
pub use tokens::*;

use crate::Store;

/// Opens the stores that the cases run on.
pub trait Fixture {
    /// The store; the same one until [`reopen`](Self::reopen).
    fn store(&self) -> &dyn Store;

    /// Drops the store without closing it, and opens it again. Nothing that was durable is lost.
    fn reopen(&mut self);
}

/// Makes a test of each case of the contract, on a fixture of its own.
#[macro_export]
macro_rules! contract_tests {
    ($fixture:expr) => {
        $crate::contract_tests! { @cases $fixture;
            a_batch_replaces_the_rows_of_its_documents
            a_body_is_kept_byte_for_byte
            a_clause_needs_one_of_its_conditions_and_a_query_all_clauses
            a_cursor_above_the_last_number_is_refused
            a_cursor_never_moves_back
            a_delete_is_the_newest_version
            a_flushed_index_is_the_same
            a_group_of_records_needs_no_change
            a_long_search_value_is_found_by_itself
            a_page_ends_after_its_bytes
            a_paged_search_finds_each_resource_once_while_data_changes
            a_recreated_subscription_counts_from_one
            a_refused_group_leaves_no_trace
            a_revoked_token_is_gone
            a_search_looks_at_a_bounded_number_of_documents
            a_subscription_named_twice_gets_one_event
            a_subscription_that_is_not_alive_gets_no_event
            a_token_is_read_back_whole
            a_trace_goes_with_its_change
            an_empty_store_has_nothing
            an_ended_subscription_keeps_its_events
            an_index_of_another_scheme_is_emptied
            an_old_batch_changes_nothing
            bases_and_types_are_apart
            changes_come_in_pages
            current_answers_in_the_order_asked
            deleted_resources_are_not_found
            ended_subscriptions_go_with_their_last_event
            events_are_read_by_number
            events_of_the_same_entry_may_begin_and_end_a_subscription
            expired_tokens_are_forgotten
            forgetting_by_age_takes_the_oldest
            forgetting_by_count_keeps_the_newest
            forgetting_is_bounded_per_step
            forgetting_never_renumbers
            history_is_newest_first
            it_behaves_like_the_memory_store
            numbers_have_no_gap_across_groups_and_restarts
            positions_follow_the_head
            readers_see_whole_groups_while_others_append
            resources_are_listed_by_id_without_the_deleted
            search_finds_stretches
            search_finds_by_id_and_last_updated
            search_finds_missing_and_negated
            search_finds_references_and_uris
            search_finds_texts
            search_finds_tokens
            search_totals_are_counted
            subscriptions_come_in_pages
            the_index_keeps_its_position_across_restarts
            the_place_of_retries_is_kept
            the_reason_of_an_error_is_kept
            too_much_is_refused
            two_writers_do_not_both_append
            what_one_entry_makes_is_seen_by_the_next
        }
    };
    (@cases $fixture:expr; $($case:ident)*) => {
        mod contract {
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::contract::$case(&mut $fixture);
                }
            )*
        }
    };
}
