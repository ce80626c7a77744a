//! Metrics as text: OpenMetrics 1.0, and the older text format of Prometheus for those who do not
//! ask for that one.

use std::fmt::{Display, Write};

use cresset_node::Distribution;

use super::names::{Kind, Metric};

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// OpenMetrics.
    OpenMetrics,
    /// Text format 0.0.4.
    Prometheus,
}

impl Form {
    /// The form for who accepts this.
    pub(crate) fn of_accept(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            Some(_) | None => Self::Prometheus,
        }
    }

    /// Its MIME type.
    pub(crate) const fn mime(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// Metrics in the making.
pub(crate) struct Exposition {
    form: Form,
    text: String,
}

/// The values of one metric in the making.
pub(crate) struct Family<'e> {
    text: &'e mut String,
    metric: &'static Metric,
}

impl Exposition {
    /// One without metrics.
    pub(crate) fn new(form: Form) -> Self {
        Self { form, text: String::with_capacity(32 * 1024) }
    }

    /// A metric, whose values follow.
    pub(crate) fn family(&mut self, metric: &'static Metric) -> Family<'_> {
        let (name, help) = (metric.name, metric.help);
        let suffix = match (self.form, metric.kind) {
            // The older format knows no families beyond the name of the sample.
            (Form::Prometheus, Kind::Counter) => "_total",
            (Form::OpenMetrics | Form::Prometheus, _) => "",
        };
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        put(&mut self.text, format_args!("# TYPE {name}{suffix} {kind}\n"));
        if let (Form::OpenMetrics, Some(unit)) = (self.form, metric.unit()) {
            put(&mut self.text, format_args!("# UNIT {name} {unit}\n"));
        }
        put(&mut self.text, format_args!("# HELP {name}{suffix} {help}\n"));
        Family { text: &mut self.text, metric }
    }

    /// A metric with one value and no labels.
    pub(crate) fn single(&mut self, metric: &'static Metric, value: impl Display) {
        self.family(metric).value(&[], value);
    }

    /// The whole.
    pub(crate) fn finish(mut self) -> String {
        if self.form == Form::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

impl Family<'_> {
    /// A value of a counter or gauge, with the values of its labels in their order.
    pub(crate) fn value(&mut self, labels: &[&str], value: impl Display) {
        let suffix = match self.metric.kind {
            Kind::Counter => "_total",
            Kind::Gauge | Kind::Histogram => "",
        };
        self.sample(suffix, labels, None, value);
    }

    /// The values of a histogram.
    pub(crate) fn distribution(&mut self, labels: &[&str], distribution: &Distribution) {
        let mut below = 0;
        let bounds = distribution.bounds.iter().map(|bound| format!("{bound:?}"));
        let bounds = bounds.chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&distribution.counts) {
            below += count;
            self.sample("_bucket", labels, Some(&bound), below);
        }
        self.sample("_sum", labels, None, distribution.sum);
        self.sample("_count", labels, None, below);
    }

    fn sample(&mut self, suffix: &str, labels: &[&str], bound: Option<&str>, value: impl Display) {
        assert_eq!(labels.len(), self.metric.labels.len(), "each label has a value");
        put(self.text, format_args!("{}{suffix}", self.metric.name));
        let labels = self.metric.labels.iter().copied().zip(labels.iter().copied());
        let mut separator = '{';
        for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
            // Labels take words of ours only, which have nothing to escape.
            put(self.text, format_args!("{separator}{name}=\"{value}\""));
            separator = ',';
        }
        let end = if separator == '{' { "" } else { "}" };
        put(self.text, format_args!("{end} {value}\n"));
    }
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = text.write_fmt(what);
}

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    fn written(form: Form) -> String {
        let mut exposition = Exposition::new(form);
        exposition.single(&names::EVENTS_APPENDED, 7);
        exposition.family(&names::STORE_BYTES).value(&["log"], 4096);
        let distribution =
            Distribution { bounds: vec![0.000_01, 1.0], counts: vec![2, 0, 1], sum: 5.5 };
        exposition.family(&names::ATTEMPT_SECONDS).distribution(&["email"], &distribution);
        exposition.finish()
    }

    #[test]
    fn openmetrics_names_families_without_total_and_tells_units_and_the_end() {
        assert_eq!(
            written(Form::OpenMetrics),
            "# TYPE cresset_events_appended counter\n\
             # HELP cresset_events_appended Events of subscriptions that became durable.\n\
             cresset_events_appended_total 7\n\
             # TYPE cresset_store_bytes gauge\n\
             # UNIT cresset_store_bytes bytes\n\
             # HELP cresset_store_bytes Size of the store's files: the log with its events, and the \
             search index.\n\
             cresset_store_bytes{part=\"log\"} 4096\n\
             # TYPE cresset_attempt_seconds histogram\n\
             # UNIT cresset_attempt_seconds seconds\n\
             # HELP cresset_attempt_seconds Time from the beginning of an attempt to the head of the \
             answer or the failure.\n\
             cresset_attempt_seconds_bucket{channel_type=\"email\",le=\"1e-5\"} 2\n\
             cresset_attempt_seconds_bucket{channel_type=\"email\",le=\"1.0\"} 2\n\
             cresset_attempt_seconds_bucket{channel_type=\"email\",le=\"+Inf\"} 3\n\
             cresset_attempt_seconds_sum{channel_type=\"email\"} 5.5\n\
             cresset_attempt_seconds_count{channel_type=\"email\"} 3\n\
             # EOF\n"
        );
    }

    #[test]
    fn the_older_format_differs_in_what_it_calls_counters_and_has_no_units() {
        let older = written(Form::Prometheus);
        assert!(older.contains("# TYPE cresset_events_appended_total counter\n"), "{older}");
        assert!(!older.contains("# UNIT") && !older.contains("# EOF"), "{older}");
        let samples = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        assert_eq!(samples(&older), samples(&written(Form::OpenMetrics)));
    }

    #[test]
    fn who_accepts_openmetrics_gets_it() {
        let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
        assert_eq!(Form::of_accept(Some(accept)), Form::OpenMetrics);
        assert_eq!(Form::of_accept(Some("text/plain")), Form::Prometheus);
        assert_eq!(Form::of_accept(None), Form::Prometheus);
    }
}
