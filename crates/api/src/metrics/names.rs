//! Every metric there is: the closed list that `/metrics` writes and `docs/metrics.md` is made from.
//!
//! Names are OpenMetrics': the unit last, `_total` behind counters. Labels take values from closed
//! sets only, never ids, URLs or names.

/// What a metric measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, from the start of the process on.
    Counter,
    /// As it is now.
    Gauge,
    /// How values are distributed, from the start of the process on.
    Histogram,
}

/// A metric.
#[derive(Debug)]
pub(crate) struct Metric {
    /// Its name, of a counter without `_total`.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    /// One sentence about it.
    pub(crate) help: &'static str,
}

impl Metric {
    /// The unit that its name ends with, where it has one.
    pub(crate) fn unit(&self) -> Option<&'static str> {
        let (_, last) = self.name.rsplit_once('_')?;
        matches!(last, "bytes" | "seconds").then_some(last)
    }
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(crate) static $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// All of them, in the order of the page.
        #[cfg(test)]
        pub(crate) static ALL: &[&Metric] = &[$(&$constant),*];
    };
}

metrics! {
    BUILD_INFO = Gauge "cresset_build_info" ["version"]
        "Always 1; the label tells the version of the server.";

    CHANGES = Counter "cresset_changes" ["fhir_version", "interaction"]
        "Changes of resources that became durable.";
    OCCURRENCES = Counter "cresset_occurrences" []
        "Events that are no changes, told of with $notify-event and durable.";
    EVALUATION_SECONDS = Histogram "cresset_evaluation_seconds" []
        "Time to find which subscriptions a change is an event of.";
    MATCHES = Counter "cresset_matches" []
        "Subscriptions that evaluations found, also for writes that were refused later.";
    EVALUATION_PROBLEMS = Counter "cresset_evaluation_problems" []
        "Triggers and filters that could not be evaluated for a change and let nothing through.";
    EVENTS_APPENDED = Counter "cresset_events_appended" []
        "Events of subscriptions that became durable.";
    EVENTS_FORGOTTEN = Counter "cresset_events_forgotten" []
        "Events that retention removed.";
    COMMIT_CHANGES = Histogram "cresset_commit_changes" []
        "Changes in each group that the writer committed with one flush of the disk.";
    COMMIT_SECONDS = Histogram "cresset_commit_seconds" []
        "Time that the store took for a group.";
    COMMITS_FAILED = Counter "cresset_commits_failed" []
        "Groups that the store did not take.";
    WRITE_QUEUE = Gauge "cresset_write_queue_jobs" []
        "Writes that wait for the writer.";
    INDEX_LAG_CHANGES = Gauge "cresset_index_lag_changes" []
        "Changes that the search index has not seen yet.";
    INDEX_LAG_SECONDS = Gauge "cresset_index_lag_seconds" []
        "Age of the oldest change that the search index has not seen yet; 0 if there is none.";
    STORE_BYTES = Gauge "cresset_store_bytes" ["part"]
        "Size of the store's files: the log with its events, and the search index.";

    SUBSCRIPTIONS = Gauge "cresset_subscriptions" ["status", "channel_type"]
        "Subscriptions there are.";
    SUBSCRIPTION_STATUS_CHANGES = Counter "cresset_subscription_status_changes" ["status"]
        "Changes of a subscription's status that the server made, by the status that came of it.";
    UNDELIVERED_EVENTS = Gauge "cresset_undelivered_events" ["status", "channel_type"]
        "Events that subscriptions have not been sent with success, or missed while they were not active.";
    OLDEST_UNDELIVERED = Gauge "cresset_oldest_undelivered_event_age_seconds" []
        "Age of the oldest event that an active subscription, of a channel other than websocket, has not been sent with success; 0 if there is none.";
    DELIVERY_LAG_SECONDS = Histogram "cresset_delivery_lag_seconds" ["channel_type"]
        "Time from the change to its first notification that was taken, of the first event in each notification.";
    EVENTS_DELIVERED = Counter "cresset_events_delivered" ["channel_type"]
        "Events whose first notification was taken by the endpoint or broker, or written to the socket.";
    ATTEMPTS = Counter "cresset_attempts" ["channel_type", "notification_type", "outcome"]
        "Attempts to send a notification that have ended; on a websocket, frames that were written.";
    ATTEMPT_SECONDS = Histogram "cresset_attempt_seconds" ["channel_type"]
        "Time from the beginning of an attempt to the head of the answer or the failure.";
    ATTEMPTS_RUNNING = Gauge "cresset_attempts_running" []
        "Attempts under way.";
    ATTEMPTS_WAITING = Gauge "cresset_attempts_waiting" []
        "Attempts that wait for a place at their host.";
    BREAKERS_OPEN = Gauge "cresset_breakers_open" []
        "Hosts that attempts are kept back from since they do not answer.";
    WEBSOCKETS = Gauge "cresset_websockets" []
        "Websockets that are open.";
    WEBSOCKETS_UNBOUND = Gauge "cresset_websockets_unbound" []
        "Websockets that are open without a binding.";
    WEBSOCKET_BINDINGS = Gauge "cresset_websocket_bindings" []
        "Subscriptions bound to websockets; one that is bound to two counts twice.";

    HTTP_REQUESTS = Counter "cresset_http_requests" ["method", "status"]
        "HTTP requests that were answered, by the status of the answer.";
    HTTP_REQUEST_SECONDS = Histogram "cresset_http_request_seconds" ["method"]
        "Time from the head of a request to that of its answer.";
    HTTP_REQUESTS_RUNNING = Gauge "cresset_http_requests_running" []
        "HTTP requests under way.";
    HTTP_REQUESTS_REFUSED = Counter "cresset_http_requests_refused" ["reason"]
        "HTTP requests refused with 503 since too many, or too many bytes, were under way.";
    AUDIT_EVENTS = Counter "cresset_audit_events" []
        "Entries written to the audit trail; there only where audit.level is not off.";
    AUDIT_EVENTS_LOST = Counter "cresset_audit_events_lost" []
        "Entries for which there was no room since the audit trail could not be written fast enough.";
    SPANS_EXPORTED = Counter "cresset_spans_exported" []
        "Spans that the collector of traces took; there only where telemetry.otlp-endpoint is set.";
    SPANS_DROPPED = Counter "cresset_spans_dropped" []
        "Spans given up since the queue was full or the collector did not take them.";

    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the server was started, in seconds since 1970.";
    PROCESS_CPU = Counter "process_cpu_seconds" []
        "Processor time that the process has taken.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" []
        "Memory of the process that is in RAM.";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" []
        "Memory that the process has reserved.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "Open files and sockets of the process.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "Most files and sockets that the process may open.";
}
