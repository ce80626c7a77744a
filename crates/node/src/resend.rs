//! `$resend`: events of a subscription sent again over its channel (RQ-OP-63).
//!
//! Which events, is settled here; how they go out is the business of the machines of `engine`, in
//! order and one attempt at a time, so that I4 holds and the cursor stays where it is. What is
//! under way stands in memory only: a restart or the end of `active` ends it, and the client asks
//! again.

use std::sync::Arc;

use cresset_definitions::FhirVersion;
use cresset_fhir::render_outcome;
use cresset_model::{EventNumber, Issue, IssueCode, Issues, ResourceId, Severity, SubscriptionKey};
use cresset_store::{self as store, Store};
use jiff::Timestamp;

use crate::caller::Caller;
use crate::error::{Error, Kind};
use crate::live::LiveSubscription;
use crate::node::Node;
use crate::notify::Range;
use crate::shared::Shared;

/// Events that one `$resend` sends again at most; a client asks again for more.
pub const RESEND_EVENTS_MAX: u64 = 10_000;

/// What `$resend` was asked for. Without a bound, all that is kept counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResendQuery {
    /// `eventsSinceNumber`, inclusive.
    pub since: Option<EventNumber>,
    /// `eventsUntilNumber`, inclusive.
    pub until: Option<EventNumber>,
    /// `eventsSinceInstant`, inclusive.
    pub since_instant: Option<Timestamp>,
    /// `eventsUntilInstant`, inclusive.
    pub until_instant: Option<Timestamp>,
}

/// The events that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    /// Those that are kept and were sent before; none if there are none.
    pub(crate) range: Option<Range>,
    /// The lowest number kept, where lower ones were asked for.
    pub(crate) forgotten_below: Option<EventNumber>,
    /// Some were not sent yet: they go out anyhow.
    pub(crate) unsent: bool,
}

/// What came of the wish to send events again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// Events of the subscription are being sent again already.
    Busy,
    /// The subscription is not active: nothing is sent (RQ-ER-11).
    Inactive,
    /// They are on their way.
    Sending,
    /// No websocket is bound.
    Unbound,
}

impl Found {
    /// How many events there are to send again.
    pub(crate) fn count(&self) -> u64 {
        self.range.map_or(0, Range::count)
    }
}

impl Node {
    /// `$resend`: has events sent again, with their numbers and times, and says which.
    ///
    /// # Errors
    /// `NotFound` if there is no such subscription; `Conflict` if nothing can be sent to it now;
    /// `Unprocessable` if there is nothing in the range, or the bounds are the wrong way round;
    /// `TooCostly` for more than [`RESEND_EVENTS_MAX`].
    pub async fn resend_events(
        &self,
        caller: &Caller,
        version: FhirVersion,
        id: &ResourceId,
        query: ResendQuery,
    ) -> Result<Vec<u8>, Error> {
        let live = self.subscription(caller, version, id)?;
        check_order(&query)?;
        if !live.state().is_active() {
            return Err(refusal(Begun::Inactive, &live));
        }
        let found = find(&self.shared, &live, query).await?;
        let range = match found.range {
            Some(range) if found.count() <= RESEND_EVENTS_MAX => range,
            Some(range) => {
                let text = format!(
                    "events {} to {} are more than {RESEND_EVENTS_MAX}: name a smaller range",
                    range.first, range.last
                );
                return Err(Error::of(Kind::TooCostly, IssueCode::OutOfBounds, text));
            }
            None => return Err(nothing(&found)),
        };
        match begin(&self.shared, &live, range) {
            Begun::Sending => Ok(render_outcome(&told(range, &found))),
            other @ (Begun::Busy | Begun::Inactive | Begun::Unbound) => Err(refusal(other, &live)),
        }
    }
}

/// Has the machines of a subscription send these events again, where they can.
pub(crate) fn begin(shared: &Shared, live: &LiveSubscription, range: Range) -> Begun {
    if !live.state().is_active() {
        return Begun::Inactive;
    }
    if !live.is_websocket() {
        let taken = shared.delivery.resend(live.key, range);
        return if taken { Begun::Sending } else { Begun::Busy };
    }
    match shared.hub.resend(live.key, range) {
        None => Begun::Busy,
        Some(0) => Begun::Unbound,
        Some(_) => Begun::Sending,
    }
}

/// Why nothing was begun, for the client.
fn refusal(begun: Begun, live: &LiveSubscription) -> Error {
    let text = match begun {
        Begun::Busy | Begun::Sending => {
            "events of this subscription are being sent again: wait for their end".to_owned()
        }
        Begun::Inactive => format!(
            "nothing is sent to a subscription that is `{}`: ask for $events, or update it first",
            live.state().status.code()
        ),
        Begun::Unbound => "no websocket is bound to this subscription: bind one first".to_owned(),
    };
    Error::of(Kind::Conflict, IssueCode::CannotResend, text)
}

fn check_order(query: &ResendQuery) -> Result<(), Error> {
    let number = matches!((query.since, query.until), (Some(a), Some(b)) if a > b);
    let instant = matches!((query.since_instant, query.until_instant), (Some(a), Some(b)) if a > b);
    if number || instant {
        let text = "the range asked for ends before it begins";
        return Err(Error::of(Kind::Unprocessable, IssueCode::InvalidParameter, text));
    }
    Ok(())
}

/// The refusal where there is nothing to send again.
fn nothing(found: &Found) -> Error {
    let text = match (found.forgotten_below, found.unsent) {
        (_, true) => "the events of this range were not sent yet: they are sent anyhow".to_owned(),
        (Some(oldest), false) => {
            format!("the events of this range are older than what is kept, from {oldest} on")
        }
        (None, false) => "no event lies in the range asked for".to_owned(),
    };
    Error::of(Kind::Unprocessable, IssueCode::NoEvents, text)
}

fn told(range: Range, found: &Found) -> Issues {
    let text = format!("events {} to {} are being sent again", range.first, range.last);
    let begun = Issue::warning(IssueCode::Resending, text);
    let mut issues = Issues(vec![Issue { severity: Severity::Information, ..begun }]);
    if let Some(oldest) = found.forgotten_below {
        let text = format!("events below {oldest} are older than what is kept");
        issues.push(Issue::warning(IssueCode::NoEvents, text));
    }
    if found.unsent {
        let text = format!("events above {} were not sent yet and are sent anyhow", range.last);
        let unsent = Issue::warning(IssueCode::Resending, text);
        issues.push(Issue { severity: Severity::Information, ..unsent });
    }
    issues
}

/// The events that a query asks for, of those that are kept.
pub(crate) async fn find(
    shared: &Arc<Shared>,
    live: &LiveSubscription,
    query: ResendQuery,
) -> Result<Found, Error> {
    let (key, newest, cursor) = {
        let state = live.state();
        (live.key, state.last, state.cursor.map_or(0, EventNumber::get))
    };
    shared.read(move |store| find_in(store, key, (newest, cursor), &query)).await
}

fn find_in(
    store: &dyn Store,
    key: SubscriptionKey,
    (newest, cursor): (u64, u64),
    query: &ResendQuery,
) -> Result<Found, store::Error> {
    let none = Found { range: None, forgotten_below: None, unsent: false };
    let record = store.subscription(key)?;
    let Some(oldest) = record.and_then(|record| record.oldest) else {
        let forgotten_below = EventNumber::new(newest).map(EventNumber::next);
        return Ok(Found { forgotten_below, ..none });
    };
    let kept = (oldest.get(), newest);
    let mut first = query.since.map_or(1, EventNumber::get);
    let mut last = query.until.map_or(newest, |until| until.get().min(newest));
    if let Some(since) = query.since_instant {
        let at_or_after = first_at(store, key, kept, |at| at >= since)?;
        // All that is kept being younger, what is not kept may be too.
        if at_or_after > oldest.get() {
            first = first.max(at_or_after);
        }
    }
    if let Some(until) = query.until_instant {
        last = last.min(first_at(store, key, kept, |at| at > until)?.saturating_sub(1));
    }
    if first > last {
        return Ok(none);
    }
    let forgotten_below = (first < oldest.get()).then_some(oldest);
    let first = first.max(oldest.get());
    let unsent = last > cursor && last >= first;
    let range = match (EventNumber::new(first), EventNumber::new(last.min(cursor))) {
        (Some(first), Some(last)) if first <= last => Some(Range { first, last }),
        _ => None,
    };
    Ok(Found { range, forgotten_below, unsent })
}

/// The lowest number of those kept whose time has this property, which all later ones have too;
/// one above the highest if none has it.
fn first_at(
    store: &dyn Store,
    key: SubscriptionKey,
    (oldest, newest): (u64, u64),
    holds: impl Fn(Timestamp) -> bool,
) -> Result<u64, store::Error> {
    let (mut low, mut high) = (oldest, newest + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(store, key, middle)?.is_some_and(&holds) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

/// When an event happened; none if it was forgotten meanwhile.
fn time_of(
    store: &dyn Store,
    key: SubscriptionKey,
    number: u64,
) -> Result<Option<Timestamp>, store::Error> {
    let Some(number) = EventNumber::new(number) else { return Ok(None) };
    let events = store.events(key, number, number, 1)?;
    match events.first() {
        Some(event) => Ok(store.change(event.position)?.map(|change| change.at)),
        None => Ok(None),
    }
}
