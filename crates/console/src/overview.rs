//! The first page: rates, what is undelivered, subscriptions by status, and endpoints that fail.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use cresset_model::SubscriptionStatus;
use cresset_node::EndpointTrouble;

use crate::chart::Chart;
use crate::context::{Context, Overview};
use crate::failure::{Answer, Failure};
use crate::page::{Page, html};
use crate::samples::PERIOD;
use crate::session::Session;
use crate::stream::{self, Parts};
use crate::text;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    page: Page,
    rates: RatesPart,
    standing: StandingPart,
    failing: FailingPart,
    alarm: String,
}

/// Charts of what happens.
#[derive(Template)]
#[template(path = "overview_rates.html")]
struct RatesPart {
    charts: Vec<Chart>,
}

/// Subscriptions by status, and what is undelivered.
#[derive(Template)]
#[template(path = "overview_standing.html")]
struct StandingPart {
    root: String,
    oldest: Option<String>,
    lag: String,
    statuses: Vec<StatusRow>,
    all: String,
}

struct StatusRow {
    code: &'static str,
    subscriptions: String,
    lag: String,
}

/// Endpoints that fail or are behind.
#[derive(Template)]
#[template(path = "overview_failing.html")]
struct FailingPart {
    root: String,
    endpoints: Vec<EndpointRow>,
    left_out: usize,
}

struct EndpointRow {
    endpoint: String,
    /// What finds its subscriptions.
    search: String,
    is_failing: bool,
    failing: String,
    subscriptions: String,
    lag: String,
    reason: String,
}

impl RatesPart {
    fn now(context: &Context) -> Self {
        let rates = context.samples.rates();
        let of =
            |value: fn(&crate::samples::Rates) -> f64| rates.iter().map(value).collect::<Vec<_>>();
        let charts = vec![
            Chart::new("Changes", &of(|one| one.changes)),
            Chart::new("Notifications delivered", &of(|one| one.delivered)),
            Chart::new("Attempts failed", &of(|one| one.failed)),
        ];
        Self { charts }
    }
}

impl StandingPart {
    fn of(context: &Context, overview: &Overview) -> Self {
        let groups = &overview.state.subscriptions;
        let rows = SubscriptionStatus::ALL.iter().map(|status| {
            let of_status = groups.iter().filter(|group| group.status == *status);
            let sum = of_status
                .fold((0, 0), |sum, group| (sum.0 + group.subscriptions, sum.1 + group.lag));
            (*status, sum)
        });
        // Seldom used, and not shown then.
        let shown = rows.filter(|(status, (count, _))| {
            *count > 0 || *status != SubscriptionStatus::EnteredInError
        });
        let statuses = shown.map(|(status, (subscriptions, lag))| StatusRow {
            code: status.code(),
            subscriptions: text::count(subscriptions),
            lag: text::count(lag),
        });
        Self {
            root: context.root.clone(),
            oldest: overview.state.oldest_undelivered_age.map(text::duration),
            lag: text::count(groups.iter().map(|group| group.lag).sum()),
            statuses: statuses.collect(),
            all: text::count(groups.iter().map(|group| group.subscriptions).sum()),
        }
    }
}

impl FailingPart {
    fn of(context: &Context, overview: &Overview) -> Self {
        let row = |one: &EndpointTrouble| EndpointRow {
            search: one.endpoint.rsplit('…').next().unwrap_or_default().to_owned(),
            endpoint: one.endpoint.clone(),
            is_failing: one.failing > 0,
            failing: text::count(one.failing),
            subscriptions: text::count(one.subscriptions),
            lag: text::count(one.lag),
            reason: one.reason.clone().unwrap_or_default(),
        };
        Self {
            root: context.root.clone(),
            endpoints: overview.troubles.endpoints.iter().map(row).collect(),
            left_out: overview.troubles.left_out,
        }
    }
}

/// `GET /console`
pub(crate) async fn page(State(context): State<Context>, session: Session) -> Answer {
    let overview = context.overview().await?;
    Ok(html(&OverviewPage {
        page: Page::new(&context, Some(&session), "overview"),
        rates: RatesPart::now(&context),
        standing: StandingPart::of(&context, &overview),
        failing: FailingPart::of(&context, &overview),
        alarm: alarm(&overview),
    }))
}

/// `GET /console/overview/stream`
pub(crate) async fn stream(
    State(context): State<Context>,
    session: Session,
) -> Result<Response, Failure> {
    stream::of_parts(context, session, PERIOD, parts)
}

/// What a screen reader is told of when it changes; the table would be read from its beginning with every
/// event.
fn alarm(overview: &Overview) -> String {
    let failing = overview.troubles.endpoints.iter().filter(|one| one.failing > 0).count();
    match failing {
        0 => "No endpoint fails.".to_owned(),
        1 => "One endpoint fails.".to_owned(),
        _ => format!("{failing} endpoints fail."),
    }
}

async fn parts(context: Context) -> Option<Parts> {
    let rates = RatesPart::now(&context).render().ok()?;
    let mut parts = vec![("rates", rates)];
    // What cannot be read now may be the next time.
    if let Ok(overview) = context.overview().await {
        parts.push(("standing", StandingPart::of(&context, &overview).render().ok()?));
        parts.push(("failing", FailingPart::of(&context, &overview).render().ok()?));
        parts.push(("alarm", alarm(&overview)));
    }
    Some(parts)
}
