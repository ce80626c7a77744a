//! Which handler answers which path.

use axum::Router;
use axum::body::HttpBody;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

use cresset_model::IssueCode;
use cresset_node::{Error, Kind};

use crate::context::{BODIES_KIB_MAX, Context};
use crate::http_figures::{Observed, Refused};
use crate::outcome::Refusal;
use crate::{
    admin, fallback, formats, health, history, mail_links, medplum, metrics, operations, patch,
    resources, search, web, websocket,
};

/// All routes of the server.
///
/// A path part that begins with `$` is an operation; the handlers of the plain routes hand those
/// over, since the router cannot tell them apart.
pub(crate) fn router(context: Context) -> Router {
    let config = context.config.clone();
    let own = routes(context.clone());
    let all = if config.medplum { medplum::with_paths(own, &context) } else { own };
    web::layered(all, &config.cors_origins)
}

fn routes(context: Context) -> Router {
    Router::new()
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route("/admin/recover", post(admin::recover))
        .route("/admin/delivery", get(admin::delivery))
        .route("/admin/audit/{version}", get(admin::audit))
        .route("/admin/subscriptions/{id}/attempts", get(admin::attempts))
        .route(
            "/email/confirm/{version}/{id}/{token}",
            get(mail_links::confirm_page).post(mail_links::confirm),
        )
        .route(
            "/email/unsubscribe/{version}/{id}/{token}",
            get(mail_links::unsubscribe_page).post(mail_links::unsubscribe),
        )
        .route("/{version}", get(search::of_system).post(resources::bundle))
        .route("/{version}/", get(search::of_system).post(resources::bundle))
        .route("/{version}/_search", post(search::of_system_by_post))
        .route("/{version}/metadata", get(resources::metadata))
        .route("/{version}/openapi.json", get(resources::openapi))
        .route("/{version}/ws", any(websocket::upgrade))
        .route("/{version}/_history", get(history::of_base))
        .route("/{version}/{type}/_history", get(history::of_type))
        .route(
            "/{version}/{type}",
            get(search::of_type)
                .post(resources::create)
                .put(patch::update_found)
                .patch(patch::patch_found)
                .delete(patch::delete_found),
        )
        .route("/{version}/{type}/_search", post(search::of_type_by_post))
        .route(
            "/{version}/{type}/{id}",
            get(resources::read)
                .put(resources::update)
                .patch(patch::patch)
                .delete(resources::delete)
                .post(operations::on_type)
                .fallback(fallback::unknown_method)
                .layer(middleware::from_fn(operations::methods)),
        )
        .route("/{version}/{type}/{id}/_history", get(history::of_instance))
        .route("/{version}/{type}/{id}/_history/{number}", get(resources::read_version))
        .route(
            "/{version}/{type}/{id}/{operation}",
            get(operations::on_instance_by_get)
                .post(operations::on_instance)
                .fallback(fallback::unknown_method)
                .layer(middleware::from_fn(operations::methods)),
        )
        .route("/{version}/{type}/{id}/{operation}/_search", post(search::of_compartment_by_post))
        .fallback(fallback::unknown_path)
        .method_not_allowed_fallback(fallback::unknown_method)
        // One layer of two, which costs each request less. Around the translation, whose bodies count too.
        .layer((
            middleware::from_fn_with_state(context.clone(), observe),
            middleware::from_fn_with_state(context.clone(), formats::translate),
        ))
        .with_state(context)
}

/// Puts around routes what holds for all requests: they are bounded, counted and traced.
pub(crate) fn bounded(routes: Router, context: &Context) -> Router {
    routes.layer(middleware::from_fn_with_state(context.clone(), observe))
}

/// Counts and traces a request, also where it is refused.
async fn observe(State(context): State<Context>, mut request: Request, next: Next) -> Response {
    let observed = Observed::begin(&context, &mut request);
    let response = limit(&context, request, next).await;
    observed.end(&context, &response);
    response
}

/// Refuses requests beyond those that may be under way, by number and by the bytes of their bodies
/// (I10). A websocket or a stream counts until it is open.
async fn limit(context: &Context, request: Request, next: Next) -> Response {
    let refused = |reason| {
        context.http.refuse(reason);
        let text = "too many requests are under way";
        Refusal(Error::of(Kind::Unavailable, IssueCode::Unavailable, text)).into_response()
    };
    let Ok(_place) = context.requests.try_acquire() else { return refused(Refused::Requests) };
    // A body of unknown length may grow to the largest that is allowed.
    let largest = context.config.body_bytes_max as u64;
    let length = request.body().size_hint().upper().unwrap_or(largest).min(largest);
    let room = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX).min(BODIES_KIB_MAX);
    let Ok(_room) = context.bodies.try_acquire_many(room) else {
        return refused(Refused::Bodies);
    };
    next.run(request).await
}
