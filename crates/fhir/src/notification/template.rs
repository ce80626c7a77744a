//! A notification of one event for many subscribers: rendered once, filled in for each.
//!
//! When a change is an event of thousands of subscriptions, their notifications differ in a few places: two random
//! ids, the subscription, and the number of the event. Everything else, perhaps a whole resource, is the same bytes.

use cresset_definitions::FhirVersion;
use cresset_model::{EventNumber, Notification, NotificationType, ResourceId};
use memchr::memmem;

use super::render_notification;
use crate::codec::Codec;
use crate::format::Format;

/// Largest notification that a template is made of; copying a larger one is most of its cost.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Lowest number that stands for the event's: as many digits as any gets.
const NUMBER_MIN: u64 = 10_000_000_000_000_000_000;

/// A rendered notification with its blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationTemplate {
    bytes: Vec<u8>,
    /// In order, apart from each other.
    blanks: Vec<Blank>,
}

/// Where something has to be filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Blank {
    start: usize,
    end: usize,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Id,
    Number,
    StatusId,
    Subscription,
}

/// What is filled in.
#[derive(Debug, Clone, Copy)]
pub struct Blanks<'b> {
    /// `Bundle.id`.
    pub id: &'b str,
    /// Id of the status resource.
    pub status_id: &'b str,
    /// Id of the Subscription.
    pub subscription: &'b ResourceId,
    /// Number of the event, which is also how many there have been.
    pub number: EventNumber,
}

impl NotificationTemplate {
    /// A template of an event notification.
    ///
    /// `salt` is drawn at random by the caller for this template alone: what stands for the blanks while rendering is
    /// made of it, so that nothing in a resource is taken for one.
    ///
    /// None for what is no notification of exactly one event that is also the last one, or for a large one.
    pub(crate) fn of(
        version: FhirVersion,
        notification: &Notification,
        format: Format,
        salt: u128,
    ) -> Option<Self> {
        let [event] = notification.events.as_slice() else { return None };
        let number = event.number.get();
        if notification.notification_type != NotificationType::EventNotification
            || notification.events_since_subscription_start != number
        {
            return None;
        }
        let id = format!("{salt:032x}-id");
        let status_id = format!("{salt:032x}-status");
        let subscription = format!("{salt:032x}-subscription");
        let [.., a, b, c, d, e, f, g] = salt.to_be_bytes();
        let stand_in = NUMBER_MIN + (u64::from_be_bytes([0, a, b, c, d, e, f, g]));
        let mut blank = notification.clone();
        blank.id.clone_from(&id);
        blank.status_id.clone_from(&status_id);
        blank.subscription = ResourceId::new(&subscription).ok()?;
        blank.events_since_subscription_start = stand_in;
        blank.events[0].number = EventNumber::new(stand_in)?;
        let mut bytes = Vec::new();
        render_notification(version, &blank, &mut bytes);
        let bytes = match format {
            Format::Json => bytes,
            Format::Xml => Codec::of(version).xml_of_json(&bytes).ok()?,
        };
        if bytes.len() > TEMPLATE_BYTES_MAX {
            return None;
        }
        let mut blanks = Vec::new();
        for (what, text) in [
            (What::Id, &id),
            (What::StatusId, &status_id),
            (What::Subscription, &subscription),
            (What::Number, &stand_in.to_string()),
        ] {
            let starts = memmem::find_iter(&bytes, text);
            blanks.extend(starts.map(|start| Blank { start, end: start + text.len(), what }));
        }
        blanks.sort_unstable_by_key(|blank| blank.start);
        Some(Self { bytes, blanks })
    }

    /// The notification for one subscriber.
    pub fn fill(&self, blanks: &Blanks<'_>) -> Vec<u8> {
        let number = blanks.number.to_string();
        let text = |what: &What| match what {
            What::Id => blanks.id.as_bytes(),
            What::Number => number.as_bytes(),
            What::StatusId => blanks.status_id.as_bytes(),
            What::Subscription => blanks.subscription.as_str().as_bytes(),
        };
        let mut length = self.bytes.len();
        for Blank { start, end, what } in &self.blanks {
            length = length + text(what).len() - (end - start);
        }
        // No more than needed: what is sent is this very buffer.
        let mut out = Vec::with_capacity(length);
        let mut copied = 0;
        for Blank { start, end, what } in &self.blanks {
            out.extend_from_slice(&self.bytes[copied..*start]);
            out.extend_from_slice(text(what));
            copied = *end;
        }
        out.extend_from_slice(&self.bytes[copied..]);
        out
    }
}

#[cfg(test)]
mod tests {
    use cresset_model::{Interaction, PayloadContent};

    use super::super::tests::{event, notification, resource};
    use super::*;

    fn one(content: PayloadContent, interaction: Interaction) -> Notification {
        let context = vec![resource("Patient/p", 3, None)];
        let event = event(7, resource("Encounter/a", 1, Some(interaction)), context);
        notification(NotificationType::EventNotification, content, vec![event])
    }

    fn whatever_it_says() -> impl Iterator<Item = Notification> {
        let interactions = [Interaction::Create, Interaction::Delete, Interaction::Update];
        let contents = PayloadContent::ALL.iter().copied();
        contents.flat_map(move |content| interactions.map(|interaction| one(content, interaction)))
    }

    #[test]
    fn a_filled_template_is_what_would_have_been_rendered() {
        for (version, format) in
            FhirVersion::ALL.into_iter().flat_map(|one| Format::ALL.map(|format| (one, format)))
        {
            for mut notification in whatever_it_says() {
                let template =
                    NotificationTemplate::of(version, &notification, format, 7 << 100 | 9);
                let template = template.expect("one event");
                notification.id = "0198-one".to_owned();
                notification.status_id = "0198-two".to_owned();
                notification.subscription = ResourceId::new("another").expect("an id");
                notification.events_since_subscription_start = 42;
                notification.events[0].number = EventNumber::new(42).expect("a number");
                let mut rendered = Vec::new();
                render_notification(version, &notification, &mut rendered);
                if format == Format::Xml {
                    rendered = Codec::of(version).xml_of_json(&rendered).expect("JSON");
                }
                let filled = template.fill(&Blanks {
                    id: &notification.id,
                    status_id: &notification.status_id,
                    subscription: &notification.subscription,
                    number: notification.events[0].number,
                });
                assert_eq!(filled.capacity(), filled.len());
                assert_eq!(String::from_utf8(filled), String::from_utf8(rendered));
            }
        }
    }

    #[test]
    fn only_a_single_last_event_has_a_template() {
        let one = one(PayloadContent::IdOnly, Interaction::Create);
        let heartbeat =
            Notification { notification_type: NotificationType::Heartbeat, ..one.clone() };
        let not_the_last = Notification {
            events_since_subscription_start: one.events[0].number.get() + 1,
            ..one.clone()
        };
        let none = Notification { events: Vec::new(), ..one };
        for other in [heartbeat, not_the_last, none] {
            assert_eq!(NotificationTemplate::of(FhirVersion::R4, &other, Format::Json, 1), None);
        }
    }
}
