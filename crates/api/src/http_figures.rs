//! Requests counted and traced: by method and status, never by what they are about.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use cresset_model::TraceContext;
use cresset_node::{Distribution, OpenSpan, RequestHistogram};

use crate::context::{Context, trace_of};

/// Methods that are told apart.
const METHODS: [&str; 8] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "other"];
/// The lowest and one above the highest status that HTTP has.
const STATUS_MIN: u16 = 100;
const STATUS_END: u16 = 600;
const STATUSES: usize = (STATUS_END - STATUS_MIN) as usize;

/// Why a request is refused before anybody looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The bodies of those under way take all the room.
    Bodies,
    /// There are too many.
    Requests,
}

/// What is counted of requests.
pub(crate) struct HttpFigures {
    methods: [MethodFigures; METHODS.len()],
    refused_for_bodies: AtomicU64,
    refused_for_requests: AtomicU64,
}

struct MethodFigures {
    /// By status, from [`STATUS_MIN`] on.
    answered: Box<[AtomicU64]>,
    seconds: RequestHistogram,
}

impl Default for HttpFigures {
    fn default() -> Self {
        Self {
            methods: METHODS.map(|_| MethodFigures {
                answered: (0..STATUSES).map(|_| AtomicU64::new(0)).collect(),
                seconds: RequestHistogram::default(),
            }),
            refused_for_bodies: AtomicU64::new(0),
            refused_for_requests: AtomicU64::new(0),
        }
    }
}

impl HttpFigures {
    fn count(&self, method: &Method, status: StatusCode, begun: Instant) {
        let other = METHODS.len() - 1;
        let place = METHODS.iter().position(|one| *one == method.as_str()).unwrap_or(other);
        let figures = &self.methods[place];
        figures.seconds.observe(begun.elapsed());
        let status = usize::from(status.as_u16().saturating_sub(STATUS_MIN));
        if let Some(count) = figures.answered.get(status) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A request was refused.
    pub(crate) fn refuse(&self, reason: Refused) {
        let count = match reason {
            Refused::Bodies => &self.refused_for_bodies,
            Refused::Requests => &self.refused_for_requests,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Answers by method and status; without what there was none of.
    pub(crate) fn answered(&self) -> impl Iterator<Item = (&'static str, u16, u64)> {
        METHODS.into_iter().zip(&self.methods).flat_map(|(method, figures)| {
            let by_status = (STATUS_MIN..STATUS_END).zip(figures.answered.iter());
            by_status.filter_map(move |(status, count)| {
                let count = count.load(Ordering::Relaxed);
                (count > 0).then_some((method, status, count))
            })
        })
    }

    /// How long requests took, by method; without methods that there was none of.
    pub(crate) fn seconds(&self) -> impl Iterator<Item = (&'static str, Distribution)> {
        let methods = METHODS.into_iter().zip(&self.methods);
        let all = methods.map(|(method, figures)| (method, figures.seconds.distribution()));
        all.filter(|(_, distribution)| distribution.count() > 0)
    }

    /// How many were refused, and why.
    pub(crate) fn refused(&self) -> [(&'static str, u64); 2] {
        [
            ("bodies", self.refused_for_bodies.load(Ordering::Relaxed)),
            ("requests", self.refused_for_requests.load(Ordering::Relaxed)),
        ]
    }
}

/// The trace that a request belongs to, where it is traced here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestTrace(pub(crate) TraceContext);

/// A request that is counted when it is answered, and is a span of its trace.
pub(crate) struct Observed {
    begun: Instant,
    method: Method,
    span: Option<OpenSpan>,
}

impl Observed {
    /// It has come; what is part of it finds its trace.
    pub(crate) fn begin(context: &Context, request: &mut Request) -> Self {
        let begun = Instant::now();
        let method = request.method().clone();
        let mut span = context.node.begin_request(trace_of(request.headers()));
        if let Some(span) = &mut span {
            // The pattern, not the path, which names resources.
            let route = request.extensions().get::<MatchedPath>();
            span.set("http.route", route.map_or("unknown", MatchedPath::as_str).to_owned());
            span.set("http.request.method", method.as_str().to_owned());
        }
        if let Some(trace) = span.as_ref().and_then(OpenSpan::context) {
            request.extensions_mut().insert(RequestTrace(trace));
        }
        Self { begun, method, span }
    }

    /// It is answered.
    pub(crate) fn end(mut self, context: &Context, response: &Response) {
        let status = response.status();
        context.http.count(&self.method, status, self.begun);
        if let Some(span) = &mut self.span {
            span.set("http.response.status_code", u64::from(status.as_u16()));
            if status.is_server_error() {
                span.fail();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_ones_own_are_one_and_what_never_was_is_left_out() {
        let figures = HttpFigures::default();
        let own = Method::from_bytes(b"BREW").unwrap();
        figures.count(&own, StatusCode::IM_A_TEAPOT, Instant::now());
        figures.count(&Method::GET, StatusCode::OK, Instant::now());
        figures.count(&Method::GET, StatusCode::OK, Instant::now());
        figures.count(&Method::GET, StatusCode::from_u16(999).unwrap(), Instant::now());
        figures.refuse(Refused::Bodies);
        let answered: Vec<_> = figures.answered().collect();
        assert_eq!(answered, [("GET", 200, 2), ("other", 418, 1)]);
        let timed: Vec<_> = figures.seconds().map(|(method, one)| (method, one.count())).collect();
        assert_eq!(timed, [("GET", 3), ("other", 1)]);
        assert_eq!(figures.refused(), [("bodies", 1), ("requests", 0)]);
    }
}
