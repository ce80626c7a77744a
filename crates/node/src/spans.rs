//! Spans: what one change went through, for a collector of traces.
//!
//! A request is a span, or a child of the one that its `traceparent` names; the write's commit is its
//! child, and evaluations are children of that. The context of the commit is kept with the change in
//! the log, so an attempt is its child whenever it is made, also after a restart. What is not sampled
//! costs nothing, and neither does anything where no collector is configured.
//!
//! No span holds a resource, a search, a header or a URL. Spans that nobody takes in time are dropped
//! and counted (I10).

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use cresset_model::TraceContext;
use tokio::sync::mpsc;

use crate::counters::Counter;
use crate::node::Node;
use crate::random::random;
use crate::shared::Shared;

/// Spans that wait to be taken.
const QUEUE_MAX: usize = 8_192;
/// The bit of the flags that says that a trace is sampled.
const SAMPLED: u8 = 1;

/// Which side of what a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// A request that was sent.
    Client,
    /// Work within the server.
    Internal,
    /// A request that came.
    Server,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanValue {
    /// A number.
    Number(u64),
    /// A text.
    Text(Cow<'static, str>),
}

impl From<u64> for SpanValue {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&'static str> for SpanValue {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for SpanValue {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

/// A piece of work that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its trace and its own id.
    pub context: TraceContext,
    /// What it is part of.
    pub parent: Option<TraceContext>,
    /// What was done.
    pub name: &'static str,
    /// Which side of what it is.
    pub kind: SpanKind,
    /// When it began.
    pub start: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// More about it.
    pub attributes: Vec<(&'static str, SpanValue)>,
    /// Whether it went wrong.
    pub failed: bool,
}

/// How many spans there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanFigures {
    /// Taken by the collector.
    pub exported: u64,
    /// Dropped, since the queue was full or the collector did not take them.
    pub dropped: u64,
}

/// Makes spans of the traces that are sampled, and queues them.
#[derive(Debug, Clone)]
pub struct Tracer {
    queue: mpsc::Sender<Span>,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Of traces that begin here, one in so many is sampled.
    sampled_one_in: NonZeroU32,
    exported: Counter,
    dropped: Counter,
}

impl Tracer {
    /// A tracer that samples one of so many traces that begin here, and the queue of its spans. A
    /// request that comes with a trace has decided already.
    pub fn new(sampled_one_in: NonZeroU32) -> (Self, mpsc::Receiver<Span>) {
        let (queue, spans) = mpsc::channel(QUEUE_MAX);
        let (exported, dropped) = Default::default();
        (Self { queue, state: Arc::new(State { sampled_one_in, exported, dropped }) }, spans)
    }

    /// The collector took so many spans.
    pub fn exported(&self, spans: u64) {
        self.state.exported.add(spans);
    }

    /// So many spans were given up.
    pub fn dropped(&self, spans: u64) {
        self.state.dropped.add(spans);
    }

    /// How many spans there were.
    pub fn figures(&self) -> SpanFigures {
        let State { exported, dropped, .. } = &*self.state;
        SpanFigures { exported: exported.value(), dropped: dropped.value() }
    }

    /// A request has come, with the context of its own `traceparent`; nothing if it is not sampled.
    fn request(&self, incoming: Option<TraceContext>) -> Option<OpenSpan> {
        let begun = Begun::now();
        match incoming {
            Some(parent) => self.child(parent, ("request", SpanKind::Server), begun),
            None => {
                let trace: [u8; 16] = random()?;
                let draw = u32::from_be_bytes(random()?);
                if draw % self.state.sampled_one_in != 0 {
                    return None;
                }
                let context = TraceContext::new(trace, random()?, SAMPLED)?;
                Some(self.open(context, None, ("request", SpanKind::Server), begun))
            }
        }
    }

    fn child(
        &self,
        parent: TraceContext,
        what: (&'static str, SpanKind),
        begun: Begun,
    ) -> Option<OpenSpan> {
        if !parent.is_sampled() {
            return None;
        }
        Some(self.open(parent.with_span(random()?), Some(parent), what, begun))
    }

    fn open(
        &self,
        context: TraceContext,
        parent: Option<TraceContext>,
        (name, kind): (&'static str, SpanKind),
        Begun { at, instant }: Begun,
    ) -> OpenSpan {
        let span = Span {
            context,
            parent,
            name,
            kind,
            start: at,
            duration: Duration::ZERO,
            attributes: Vec::new(),
            failed: false,
        };
        OpenSpan { tracer: self.clone(), begun: instant, span: Some(span) }
    }
}

/// When a piece of work began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    at: SystemTime,
    instant: Instant,
}

impl Begun {
    /// Now.
    pub(crate) fn now() -> Self {
        Self { at: SystemTime::now(), instant: Instant::now() }
    }

    /// How long ago that was.
    pub(crate) fn elapsed(&self) -> Duration {
        self.instant.elapsed()
    }
}

/// A piece of work under way. It ends when this is dropped.
#[derive(Debug)]
pub struct OpenSpan {
    tracer: Tracer,
    begun: Instant,
    /// Always there until it ends.
    span: Option<Span>,
}

impl OpenSpan {
    /// The context for what is part of it.
    pub fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| span.context)
    }

    /// Tells more about it. Never anything of a resource, a search, a header or a URL.
    pub fn set(&mut self, name: &'static str, value: impl Into<SpanValue>) {
        if let Some(span) = &mut self.span {
            span.attributes.push((name, value.into()));
        }
    }

    /// Says that it went wrong.
    pub fn fail(&mut self) {
        if let Some(span) = &mut self.span {
            span.failed = true;
        }
    }

    /// Gives it the id that was told to others.
    pub(crate) fn rename(&mut self, context: TraceContext) {
        if let Some(span) = &mut self.span {
            span.context = context;
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        let Some(mut span) = self.span.take() else { return };
        span.duration = self.begun.elapsed();
        if self.tracer.queue.try_send(span).is_err() {
            self.tracer.dropped(1);
        }
    }
}

impl Node {
    /// A request has come, with the context that its `traceparent` names. What is given is the span
    /// of the request, where it is traced: its context goes on with the caller.
    pub fn begin_request(&self, incoming: Option<TraceContext>) -> Option<OpenSpan> {
        self.shared.config.tracer.as_ref()?.request(incoming)
    }

    /// How many spans there were; nothing where nothing is traced.
    pub(crate) fn span_figures(&self) -> Option<SpanFigures> {
        self.shared.config.tracer.as_ref().map(Tracer::figures)
    }
}

impl Shared {
    /// The span of work within the server, if its trace is sampled.
    pub(crate) fn span(
        &self,
        parent: Option<TraceContext>,
        name: &'static str,
    ) -> Option<OpenSpan> {
        // Asked first: most servers trace nothing.
        let tracer = self.config.tracer.as_ref()?;
        tracer.child(parent?, (name, SpanKind::Internal), Begun::now())
    }

    /// The span of an attempt that began before it was known whose change it tells of.
    pub(crate) fn attempt_span(
        &self,
        parent: Option<TraceContext>,
        begun: Begun,
    ) -> Option<OpenSpan> {
        let tracer = self.config.tracer.as_ref()?;
        tracer.child(parent?, ("attempt", SpanKind::Client), begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(header: &str) -> TraceContext {
        TraceContext::parse(header).unwrap()
    }

    #[test]
    fn a_request_with_a_trace_decides_for_itself_and_others_are_drawn() {
        let sampled = context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let unsampled = context("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
        let (none, mut spans) = Tracer::new(NonZeroU32::MAX);
        assert!(none.request(None).is_none(), "one in four billion");
        assert!(none.request(Some(unsampled)).is_none());
        drop(none.request(Some(sampled)));
        let span = spans.try_recv().unwrap();
        assert_eq!(span.parent, Some(sampled));
        assert_eq!(span.context.trace_id(), sampled.trace_id());
        assert_ne!(span.context, sampled);
        let (all, _spans) = Tracer::new(NonZeroU32::MIN);
        assert!(all.request(Some(unsampled)).is_none());
        let root = all.request(None).unwrap();
        assert!(root.context().unwrap().is_sampled());
    }

    #[test]
    fn spans_that_nobody_takes_are_dropped_and_counted() {
        let (tracer, spans) = Tracer::new(NonZeroU32::MIN);
        for _ in 0..QUEUE_MAX + 3 {
            drop(tracer.request(None));
        }
        assert_eq!(tracer.figures(), SpanFigures { exported: 0, dropped: 3 });
        drop(spans);
        drop(tracer.request(None));
        assert_eq!(tracer.figures().dropped, 4);
    }
}
