//! A notification ready to be sent: a request by HTTP, or a message for a broker (docs/channels).

use std::time::Duration;

use bytes::Bytes;
use cresset_channel::{
    BrokerPolicy, Failure, FailureKind, Kafka, Nats, Outcome, Publication, Request, RestHook,
    Verdict,
};
use cresset_fhir::MIME_TYPE_DEFAULT;
use cresset_model::{ChannelType, PayloadContent};

use super::Letter;
use crate::bases::version_of;
use crate::error::Error;
use crate::shared::{Brokers, Shared};

/// A notification ready to be sent.
pub(super) enum Outgoing {
    /// By HTTP.
    Http(Box<Request>),
    /// To Kafka.
    Kafka(Kafka, Box<Publication>),
    /// To NATS.
    Nats(Nats, Box<Publication>),
    /// It may not be sent, for this reason.
    Refused(String),
}

impl Outgoing {
    /// Bytes of the notification.
    pub(super) fn body_bytes(&self) -> usize {
        match self {
            Self::Http(request) => request.body.len(),
            Self::Kafka(_, publication) | Self::Nats(_, publication) => publication.body.len(),
            Self::Refused(_) => 0,
        }
    }

    /// Sends it and waits for what comes of it.
    pub(super) async fn attempt(self, rest_hook: &RestHook) -> Outcome {
        match self {
            Self::Http(request) => rest_hook.attempt(*request).await,
            Self::Kafka(kafka, publication) => kafka.attempt(*publication).await,
            Self::Nats(nats, publication) => nats.attempt(*publication).await,
            Self::Refused(detail) => {
                let failure = Failure { kind: FailureKind::Refused, detail };
                let verdict = Verdict::Failure(failure);
                Outcome { verdict, duration: Duration::ZERO, text: None }
            }
        }
    }
}

impl Letter {
    /// The notification as a message for the broker of the channel.
    pub(super) fn published(&self, shared: &Shared, body: Bytes) -> Result<Outgoing, Error> {
        let Brokers { kafka, nats } = &shared.brokers;
        let built = match self.addressee.settings.channel_type {
            ChannelType::Kafka => kafka.as_ref().map(|kafka| {
                let publication = self.publication(shared, kafka.policy(), body)?;
                Ok(publication.map(|one| Outgoing::Kafka(kafka.clone(), Box::new(one))))
            }),
            ChannelType::Nats => nats.as_ref().map(|nats| {
                let publication = self.publication(shared, nats.policy(), body)?;
                Ok(publication.map(|one| Outgoing::Nats(nats.clone(), Box::new(one))))
            }),
            ChannelType::Custom(_)
            | ChannelType::Email
            | ChannelType::Message
            | ChannelType::RestHook
            | ChannelType::Websocket => Some(Err(Error::internal("a channel to no broker"))),
        };
        // There was one when the subscription was accepted.
        let none = || Ok(Err("the operator has configured no broker for this channel".to_owned()));
        Ok(built.unwrap_or_else(none)?.unwrap_or_else(Outgoing::Refused))
    }

    /// The message, or why there may not be one.
    fn publication(
        &self,
        shared: &Shared,
        policy: &BrokerPolicy,
        body: Bytes,
    ) -> Result<Result<Publication, String>, Error> {
        let (live, settings) = (&self.live, &self.addressee.settings);
        let endpoint = settings.endpoint.as_deref();
        let destination = match policy.destination(live.owner.as_str(), endpoint) {
            Ok(destination) => destination.to_owned(),
            Err(refusal) => return Ok(Err(refusal.to_string())),
        };
        if settings.content == PayloadContent::FullResource && !policy.confidential {
            return Ok(Err("full-resource is published over TLS only".to_owned()));
        }
        let version =
            version_of(live.base).ok_or_else(|| Error::internal("a base without a version"))?;
        let reference = format!("Subscription/{}", live.id);
        let mut own_headers = vec![
            ("fhir-version", version.mime().to_owned()),
            ("fhir-subscription", format!("{}/{reference}", shared.base_url(version))),
            ("fhir-notification-type", self.record.notification_type.code().to_owned()),
        ];
        let events = self.range.map(|range| format!("{}-{}", range.first, range.last));
        own_headers.extend(events.map(|events| ("fhir-event-numbers", events)));
        let mime_type = settings.mime_type.as_ref();
        let headers = settings.headers.iter();
        Ok(Ok(Publication {
            destination,
            key: format!("{}/{reference}", version.path()),
            content_type: mime_type.map_or(MIME_TYPE_DEFAULT, |one| one.as_str()).to_owned(),
            own_headers,
            headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
            body,
            deadline: self.attempt.timeout,
            now: shared.clock.now(),
            message_id: self.message.id.clone(),
            traceparent: match shared.config.delivery.traceparent {
                true => self.message.traceparent(),
                false => None,
            },
        }))
    }
}
