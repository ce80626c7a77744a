//! What a subscription with a search as its criteria is sent (RQ-SB-02, docs/classic.md): a POST
//! without content, or the resource with the PUT that would make it the endpoint's own.

use std::sync::Arc;

use bytes::Bytes;
use cresset_channel::{self as channel, Method};
use cresset_fhir::{Codec, Format, MIME_TYPE_DEFAULT};
use cresset_model::NotificationResource;
use url::Url;

use super::{Letter, Unsent};
use crate::bases::version_of;
use crate::error::Error;
use crate::notify::{self, Overflow};
use crate::shared::Shared;

impl Letter {
    /// The request that tells of the one event of this attempt.
    pub(super) async fn classic(
        &mut self,
        shared: &Arc<Shared>,
    ) -> Result<channel::Request, Unsent> {
        // There is neither a handshake nor a heartbeat.
        let range = self.range.ok_or(Unsent::Nothing)?;
        let content = self.addressee.settings.content;
        let read = notify::read_events(shared, &self.live, range, content, (Overflow::Bare, false))
            .await?;
        let Some(event) = read.events.into_iter().next() else {
            notify::tell_loss(&self.live, range);
            return Err(Unsent::Nothing);
        };
        self.tells_of(read.origin);
        let endpoint = self.addressee.settings.endpoint.as_deref().unwrap_or_default();
        let endpoint = Url::parse(endpoint).map_err(Error::internal)?;
        let Some(mime_type) = self.addressee.settings.mime_type.clone() else {
            let request = self.request_to(shared, endpoint, Bytes::new())?;
            return Ok(channel::Request { content_type: None, ..request });
        };
        // A delete that was owed before the subscription had criteria: to those it is no event.
        let Some(body) = event.focus.body.clone() else { return Err(Unsent::Nothing) };
        let body = self.resource(body)?;
        let endpoint = address_of(endpoint, &event.focus);
        let request = self.request_to(shared, endpoint, body)?;
        let content_type = Some(mime_type.as_str().to_owned());
        Ok(channel::Request { method: Method::Put, content_type, ..request })
    }

    /// The resource in the form that was asked for.
    fn resource(&self, body: Bytes) -> Result<Bytes, Error> {
        let version = version_of(self.live.base)
            .ok_or_else(|| Error::internal("a base without a version"))?;
        Ok(match self.addressee.settings.format() {
            Format::Json => body,
            Format::Xml => {
                Bytes::from(Codec::of(version).xml_of_json(&body).map_err(Error::internal)?)
            }
        })
    }

    /// The MIME type of what is sent, where the subscriber named none.
    pub(super) fn content_type(&self) -> String {
        let mime_type = self.addressee.settings.mime_type.as_ref();
        mime_type.map_or(MIME_TYPE_DEFAULT, |one| one.as_str()).to_owned()
    }
}

/// `endpoint/Type/id`; what the endpoint has of a query stays.
fn address_of(mut endpoint: Url, focus: &NotificationResource) -> Url {
    let path = endpoint.path().trim_end_matches('/');
    let path = format!("{path}/{}/{}", focus.resource_type, focus.id);
    endpoint.set_path(&path);
    endpoint
}
