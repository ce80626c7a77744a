//! Notifications as the client of Medplum reads them (docs/clients.md): with a SubscriptionStatus in
//! R4 too, where the guide has Parameters, and a reference to the Subscription that is relative.

use cresset_definitions::FhirVersion;
use cresset_model::Notification;

use super::{render_notification, subscription_url};

/// Writes a notification of R4 in this form to the end of `out`.
pub fn render_for_medplum(notification: &Notification, out: &mut Vec<u8>) {
    let mut bytes = Vec::new();
    render_notification(FhirVersion::R4B, notification, &mut bytes);
    let absolute = format!("\"reference\":\"{}\"", subscription_url(notification));
    let relative = format!("\"reference\":\"Subscription/{}\"", notification.subscription);
    // The first of them is the status resource's, which comes before all others.
    match bytes.windows(absolute.len()).position(|one| one == absolute.as_bytes()) {
        Some(at) => {
            out.extend_from_slice(&bytes[..at]);
            out.extend_from_slice(relative.as_bytes());
            out.extend_from_slice(&bytes[at + absolute.len()..]);
        }
        None => out.extend_from_slice(&bytes),
    }
}

#[cfg(test)]
mod tests {
    use cresset_model::{Interaction, NotificationType, PayloadContent};

    use super::super::tests::{event, notification, resource};
    use super::*;
    use crate::json;

    #[test]
    fn the_status_is_one_that_the_client_reads() {
        let event = event(7, resource("Patient/p", 1, Some(Interaction::Create)), Vec::new());
        let kind = NotificationType::EventNotification;
        let one = notification(kind, PayloadContent::FullResource, vec![event]);
        let mut bytes = Vec::new();
        render_for_medplum(&one, &mut bytes);
        let bundle = json::parse(&bytes).expect("JSON");
        let status = &bundle["entry"][0]["resource"];
        assert_eq!(status["resourceType"], "SubscriptionStatus");
        assert_eq!(status["type"], "event-notification");
        assert_eq!(status["subscription"]["reference"], "Subscription/s1");
        assert_eq!(bundle["entry"][1]["resource"]["id"], "p");
    }
}
