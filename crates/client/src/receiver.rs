//! The receiving end of rest-hook subscriptions, as a `tower` service.
//!
//! It takes the body with a bound, verifies its signature if keys are given, reads it and hands it over. It keeps
//! no numbers: what a notification tells is to be given to a [`Sequence`](crate::Sequence) of its subscription, where
//! events are to be counted once. Its tests are in `receiver/tests.rs`.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use jiff::Timestamp;

use crate::notification::{NOTIFICATION_BYTES_MAX, Notification};
use crate::signature::Verifier;

/// A notification that was delivered.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The notification.
    pub notification: Arc<Notification>,
    /// Id of the message if its signature was verified; the same when it is sent again.
    pub message_id: Option<String>,
    /// The headers of the request.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// A service that answers notifications; clone it for each connection.
///
/// `take` is called for each notification, and tells the status that the sender gets: any 2xx says that it will not be
/// sent again, so what is done with it must be durable before that.
#[derive(Debug, Clone)]
pub struct Receiver<T> {
    take: T,
    verifier: Option<Arc<Verifier>>,
    bytes_max: usize,
}

impl<T> Receiver<T> {
    /// Hands notifications over to `take`, whoever sent them.
    pub const fn new(take: T) -> Self {
        Self { take, verifier: None, bytes_max: NOTIFICATION_BYTES_MAX }
    }

    /// Hands over only what is signed.
    #[must_use]
    pub fn verified(mut self, verifier: Verifier) -> Self {
        self.verifier = Some(Arc::new(verifier));
        self
    }

    /// Takes bodies of at most this many bytes.
    #[must_use]
    pub const fn bytes_max(mut self, bytes_max: usize) -> Self {
        self.bytes_max = bytes_max;
        self
    }
}

impl<T, F, B> tower::Service<Request<B>> for Receiver<T>
where
    T: Fn(Delivery) -> F + Clone + Send + 'static,
    F: Future<Output = StatusCode> + Send + 'static,
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { take, verifier, bytes_max } = self.clone();
        Box::pin(async move {
            let (status, text) = match read(request, verifier.as_deref(), bytes_max).await {
                Ok(delivery) => (take(delivery).await, String::new()),
                Err((status, text)) => (status, text),
            };
            let mut response = Response::new(Full::new(Bytes::from(text)));
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

async fn read<B>(
    request: Request<B>,
    verifier: Option<&Verifier>,
    bytes_max: usize,
) -> Result<Delivery, (StatusCode, String)>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "notifications come by POST".to_owned()));
    }
    let body = match Limited::new(body, bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            return Err((StatusCode::PAYLOAD_TOO_LARGE, "the body is too long".to_owned()));
        }
        Err(_) => return Err((StatusCode::BAD_REQUEST, "the body broke off".to_owned())),
    };
    let message_id = match verifier {
        None => None,
        Some(verifier) => {
            let now = Timestamp::now().as_second();
            let verified = verifier.verify(&head.headers, &body, now);
            let refused =
                |untrusted: crate::Untrusted| (StatusCode::UNAUTHORIZED, untrusted.to_string());
            Some(verified.map_err(refused)?.to_owned())
        }
    };
    let notification =
        Notification::parse(&body).map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    let notification = Arc::new(notification);
    Ok(Delivery { notification, message_id, headers: head.headers, body })
}

#[cfg(test)]
mod tests;
