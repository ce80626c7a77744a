//! What the notifications of one event to many subscribers have in common, rendered once.
//!
//! A change that is an event of thousands of subscriptions would otherwise be rendered thousands of times, all but a
//! few bytes the same. The second notification of an event makes a template, the others fill it in. A cache and no
//! more: whoever misses here renders. Only what depends on nothing but the change and on settings that subscriptions
//! share is kept.

use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use cresset_fhir::NotificationTemplate;
use cresset_model::{Base, Position};
use jiff::Timestamp;
use rustc_hash::FxHashMap;

use crate::notify::Origin;
use crate::settings::Common;

/// Events kept at most; all are let go when there are more.
const FRAMES_MAX: usize = 256;
/// How long a template is used: a bundle says when it was made.
const AGE_MAX: Duration = Duration::from_millis(100);

/// What a notification is of, and for whom.
#[derive(Clone)]
pub(crate) struct FrameKey {
    pub(crate) base: Base,
    pub(crate) position: Position,
    pub(crate) common: Arc<Common>,
}

impl FrameKey {
    /// Names equal keys alike, as long as one of them is held.
    fn name(&self) -> Name {
        (self.base, self.position, Arc::as_ptr(&self.common).addr())
    }
}

/// The notification of an event to anybody.
pub(crate) struct Template {
    pub(crate) notification: NotificationTemplate,
    pub(crate) origin: Origin,
    made: Timestamp,
}

/// What is known of the notifications of an event.
enum Frame {
    /// One was rendered.
    Once,
    /// A template of it.
    Template(Arc<Template>),
}

/// What names equal keys alike.
type Name = (Base, Position, usize);
/// The key is held, so that its name is no other's.
type Known = FxHashMap<Name, (FrameKey, Frame)>;

/// The newest events that were told of.
#[derive(Default)]
pub(crate) struct Frames(RwLock<Known>);

impl Frames {
    /// The template of an event, if there is one that can still be used.
    pub(crate) fn template(&self, key: &FrameKey, now: Timestamp) -> Option<Arc<Template>> {
        let frames = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (_, Frame::Template(template)) = frames.get(&key.name())? else { return None };
        let age = Duration::try_from(now.duration_since(template.made)).ok()?;
        (age <= AGE_MAX).then(|| template.clone())
    }

    /// Takes note that a notification of an event was rendered; for all but the first `make` is asked for a template.
    pub(crate) fn rendered(
        &self,
        key: FrameKey,
        now: Timestamp,
        origin: Origin,
        make: impl FnOnce() -> Option<NotificationTemplate>,
    ) {
        let name = key.name();
        let first = {
            let mut frames = self.frames();
            let first = !frames.contains_key(&name);
            if first {
                if frames.len() >= FRAMES_MAX {
                    frames.clear();
                }
                frames.insert(name, (key.clone(), Frame::Once));
            }
            first
        };
        if !first && let Some(notification) = make() {
            let template = Template { notification, origin, made: now };
            self.frames().insert(name, (key, Frame::Template(Arc::new(template))));
        }
    }

    fn frames(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
