//! The report in words, for people who watch the run.

use std::fmt::{self, Display, Formatter};

use crate::report::{FanOut, Figures, Grown, Idle, OpenLoop, Report, Throughput};
use crate::statistics::{Latency, Spread};

/// Writes a report as text.
#[derive(Debug)]
pub struct Summary<'a>(pub &'a Report);

impl Display for Summary<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let Report { machine, settings, .. } = self.0;
        writeln!(
            out,
            "{} x {}, data on {}, ulimit -n {}, load before {}, others' CPU share {}",
            machine.cpus,
            machine.cpu_model,
            machine.data_filesystem,
            machine.open_files_max,
            machine.load_before,
            machine.others_cpu_share.unwrap_or_default(),
        )?;
        writeln!(
            out,
            "{} stretches of {} s, body {} bytes{}",
            settings.pairs,
            settings.seconds,
            settings.body_bytes,
            if settings.tiny { ", TINY: the figures mean nothing" } else { "" },
        )?;
        self.0.w1.iter().try_for_each(|w1| throughput(out, w1))?;
        self.0.w5.iter().try_for_each(|w5| open_loop(out, w5))?;
        self.0.w7.iter().try_for_each(|w7| idle(out, w7))?;
        self.0.w.iter().try_for_each(|w| fan_out(out, w))?;
        for m in &self.0.m {
            writeln!(
                out,
                "M  {} filters scanned: {} µs CPU an event",
                m.filters, m.cpu_per_event_us
            )?;
        }
        for goal in &self.0.goals {
            let verdict = if goal.met { "met" } else { "MISSED" };
            writeln!(out, "{verdict}: {}: {} of at most {}", goal.what, goal.measured, goal.limit)?;
        }
        let audit = self.0.audit;
        writeln!(
            out,
            "audit passed: {} events of {} subscriptions",
            audit.events, audit.subscriptions
        )
    }
}

fn throughput(out: &mut Formatter<'_>, w1: &Throughput) -> fmt::Result {
    writeln!(out, "W1 {} clients", w1.clients)?;
    let rows = [("K", &w1.k), ("E", &w1.e), ("S", &w1.s)];
    for (name, figures) in w1.ours.iter().map(|ours| ("ours", ours)).chain(rows) {
        row(out, name, figures)?;
    }
    for f in &w1.f {
        writeln!(
            out,
            "   F     group {}: {} records/s, {} µs CPU each, flush p50 {} p99 {} µs",
            f.group, f.records_per_second, f.cpu_per_record_us, f.flush_p50_us, f.flush_p99_us,
        )?;
    }
    w1.ratios.iter().try_for_each(|ratios| {
        writeln!(
            out,
            "   ours/K: CPU {}, rate {}, frame p50 {}, frame p99 {}",
            spread(ratios.server_cpu_per_create),
            spread(ratios.creates_per_second),
            spread(ratios.frame_p50),
            spread(ratios.frame_p99),
        )
    })
}

fn open_loop(out: &mut Formatter<'_>, w5: &OpenLoop) -> fmt::Result {
    writeln!(out, "W5 {} a second over {} connections", w5.rate_per_second, w5.clients)?;
    for (name, figures) in w5.ours.iter().map(|ours| ("ours", ours)).chain([("K", &w5.k)]) {
        row(out, name, figures)?;
        writeln!(out, "         sent late {}", latency(figures.lag))?;
    }
    w5.ratios.iter().try_for_each(|ratios| {
        writeln!(
            out,
            "   ours/K: CPU {}, frame p50 {}, frame p99 {}",
            spread(ratios.server_cpu_per_create),
            spread(ratios.frame_p50),
            spread(ratios.frame_p99),
        )
    })
}

fn row(out: &mut Formatter<'_>, name: &str, figures: &Figures) -> fmt::Result {
    write!(
        out,
        "   {name:5} {}/s, server CPU {} µs, client {} µs, 201 {}",
        spread(figures.creates_per_second),
        spread(figures.server_cpu_per_create_us),
        spread(figures.client_cpu_per_create_us),
        latency(figures.created),
    )?;
    if figures.frame.is_some() {
        write!(out, ", frame {}", latency(figures.frame))?;
    }
    figures
        .records_per_flush
        .iter()
        .try_for_each(|group| write!(out, ", {group} records a flush"))?;
    writeln!(out)
}

fn idle(out: &mut Formatter<'_>, w7: &Idle) -> fmt::Result {
    writeln!(out, "W7 {} idle subscriptions, {} idle sockets", w7.subscriptions, w7.sockets)?;
    for (name, target) in w7.ours.iter().map(|ours| ("ours", ours)).chain([("K", &w7.k)]) {
        grown(out, name, target)?;
    }
    Ok(())
}

fn grown(out: &mut Formatter<'_>, name: &str, grown: &Grown) -> fmt::Result {
    write!(out, "   {name:5}")?;
    if grown.bytes_per_subscription.is_some() {
        write!(
            out,
            " subscription {} B, {}/s, server CPU {} µs;",
            spread(grown.bytes_per_subscription),
            spread(grown.subscriptions_per_second),
            spread(grown.server_cpu_per_subscription_us),
        )?;
    }
    let (bytes, rate) = (spread(grown.bytes_per_socket), spread(grown.sockets_per_second));
    write!(out, " socket {bytes} B, {rate}/s")?;
    writeln!(out, "{}", if grown.settled { "" } else { ", memory did NOT settle" })
}

fn fan_out(out: &mut Formatter<'_>, w: &FanOut) -> fmt::Result {
    writeln!(
        out,
        "W  broadcast to {} sockets: {} frames/s, server CPU {} µs a frame, last frame {}",
        w.sockets,
        w.frames_per_second,
        w.server_cpu_per_frame_us,
        latency(w.last_frame),
    )
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || "-".to_owned(),
        |Spread { median, low, high }| format!("{median} ({low} to {high})"),
    )
}

fn latency(latency: Option<Latency>) -> String {
    latency.map_or_else(
        || "-".to_owned(),
        |Latency { p50_us, p99_us, max_us, .. }| {
            format!("p50 {p50_us} p99 {p99_us} max {max_us} µs")
        },
    )
}
