//! Clients: they write resources, subscribe, change their minds, and ask.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cresset_definitions::FhirVersion;
use cresset_model::{ClientName, EventNumber, ResourceId};
use cresset_node::{
    Caller, Condition, Error, Kind, Node, RecoverySubject, Representation, ResendQuery, Right,
    Written,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::checkers::{Checked, Checkers, Violation};
use crate::forms::{topic_type, write};
use crate::naive::{Encounter, Filter, STATUSES, TOPIC_KINDS, UNREADABLE, topic_url};
use crate::scenario::{HOOKS, HOSTS, WEBSOCKETS};
use crate::world::World;

const TOPICS: [&str; 3] = ["t0", "t1", "t2"];
const PATIENTS: [&str; 3] = ["p0", "p1", "p2"];

/// What a request came to.
pub(crate) enum Answer {
    /// The entries of a bundle, of which some have a marker: the HTTP status of each.
    Bundle(Vec<Option<String>>, Result<Vec<u64>, Error>),
    /// Nobody looks at it.
    Done,
    /// A token for a websocket client.
    Token(usize, Option<String>),
    /// A write with this marker.
    Written(String, Result<Written, Error>),
}

/// A request that waits for its answer.
pub(crate) struct Request {
    name: String,
    future: Pin<Box<dyn Future<Output = Answer>>>,
}

/// The one client there is; it may do everything.
pub(crate) fn caller() -> Caller {
    let name = ClientName::new("admin").expect("a name");
    Caller::new(name, [Right::Admin].into_iter().collect())
}

impl World {
    /// Sends a request to the node.
    pub(crate) fn request(&mut self, name: String, future: Pin<Box<dyn Future<Output = Answer>>>) {
        self.note(&format!("  {name}"));
        self.requests.push(Request { name, future });
        self.poll_requests_quietly();
        self.plan_write();
    }

    /// Lets requests go on; what they came to is looked at with the next [`Self::take_answers`].
    fn poll_requests_quietly(&mut self) {
        let mut waiting = Vec::new();
        for mut request in std::mem::take(&mut self.requests) {
            match request.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => self.answers.push((request.name, answer)),
                Poll::Pending => waiting.push(request),
            }
        }
        self.requests = waiting;
    }

    /// Looks at what came of requests.
    pub(crate) fn take_answers(&mut self) -> Checked {
        self.poll_requests_quietly();
        for (name, answer) in std::mem::take(&mut self.answers) {
            match answer {
                Answer::Bundle(markers, statuses) => self.answered(&name, &markers, statuses)?,
                Answer::Done => {}
                Answer::Token(index, token) => self.token_came(index, token),
                Answer::Written(marker, written) => self.written(&name, &marker, written)?,
            }
        }
        Ok(())
    }

    fn written(&mut self, name: &str, marker: &str, written: Result<Written, Error>) -> Checked {
        match written {
            Ok(Written { change: Some(change), .. }) => {
                self.note(&format!("  {name}: done at {}", change.position.get()));
                self.checkers.durable.acknowledged(&change, self.disk.store())
            }
            Ok(_) => Ok(()),
            Err(error) => self.refused(name, marker, &error),
        }
    }

    fn refused(&mut self, name: &str, marker: &str, error: &Error) -> Checked {
        let kind = error.kind();
        self.note(&format!("  {name}: {kind:?}"));
        if kind == Kind::Internal {
            let text = format!("{name} was answered with {error}");
            return Err(Violation::new("assertion", text));
        }
        // After a timeout it may have been done.
        if kind == Kind::Timeout { Ok(()) } else { self.checkers.durable.refused(marker) }
    }

    fn answered(
        &mut self,
        name: &str,
        markers: &[Option<String>],
        statuses: Result<Vec<u64>, Error>,
    ) -> Checked {
        let statuses = match statuses {
            Ok(statuses) => statuses,
            Err(error) => {
                let mut marked = markers.iter().flatten();
                return marked.try_for_each(|marker| self.refused(name, marker, &error));
            }
        };
        self.note(&format!("  {name}: {statuses:?}"));
        if statuses.len() != markers.len() {
            let text = format!("{name} was answered with {statuses:?}");
            return Err(Violation::new("assertion", text));
        }
        for (marker, status) in markers.iter().zip(statuses) {
            let Checkers { durable, facts, .. } = &mut self.checkers;
            match (marker, status) {
                (Some(marker), 200..300) => {
                    durable.acknowledged_by_marker(marker, facts, self.disk.store())?;
                }
                (Some(marker), 400..500) => durable.refused(marker)?,
                // Whether it was done is not known.
                (Some(_) | None, _) => {}
            }
        }
        Ok(())
    }

    /// A client does something.
    pub(crate) fn client_turn(&mut self) {
        match self.draws.clients.below(1_000) {
            0..590 => {
                let (encounter, marker) = self.encounter();
                let version = self.version();
                self.put(version, &encounter, marker);
            }
            590..640 => self.write_bundle(),
            640..700 => self.delete("Encounter"),
            700..750 => {
                let (patient, marker) = self.patient();
                let version = self.version();
                self.put(version, &patient, marker);
            }
            750..840 => {
                let id = self.subscription_id();
                self.write_subscription(&id);
            }
            840..910 => self.change_status(),
            910..930 => self.delete("Subscription"),
            930..950 => self.write_topic(),
            950..956 => self.delete("SubscriptionTopic"),
            956..970 => self.resend(),
            970..973 => self.recover(),
            _ => self.change_socket(),
        }
        let draw = &mut self.draws.clients;
        let pause = match draw.below(1_000) {
            0..850 => draw.between(0, 80),
            850..970 => draw.between(0, 10_000),
            970..996 => draw.between(0, 600_000),
            _ => draw.between(0, 4 * 3_600_000),
        };
        self.plan_client(pause);
    }

    /// Writes every topic and every subscription once.
    pub(crate) fn settle_in(&mut self) {
        for version in self.scenario.versions {
            for id in TOPICS {
                let kind = self.draws.clients.pick(&TOPIC_KINDS);
                let marker = self.marker();
                self.put(*version, &kind.json(id, &marker), marker);
            }
        }
        for number in 0..HOOKS {
            self.write_subscription(&format!("h{number}"));
        }
        for number in 0..WEBSOCKETS {
            self.write_subscription(&format!("w{number}"));
        }
    }

    /// Sees to it that every topic is there and every subscription is switched on.
    pub(crate) fn make_well(&mut self) {
        for version in self.scenario.versions {
            for id in TOPICS {
                if !self.checkers.facts.has_topic(*version, id) {
                    let marker = self.marker();
                    let topic = TOPIC_KINDS[0].json(id, &marker);
                    self.put(*version, &topic, marker);
                }
            }
        }
        let alive = self.checkers.facts.subscriptions.values().filter(|one| one.is_alive);
        let off: Vec<String> = alive
            .filter(|one| !one.is_active() && one.status != "requested")
            .map(|one| one.id.clone())
            .collect();
        for id in off {
            self.switch(&id, "requested");
        }
    }

    fn marker(&mut self) -> String {
        self.markers += 1;
        format!("w{}", self.markers)
    }

    fn node_now(&self) -> Option<std::sync::Arc<Node>> {
        self.node.as_ref().map(|node| node.node().clone())
    }

    /// The version of the base that a client writes to, where nothing else says it.
    fn version(&mut self) -> FhirVersion {
        self.draws.clients.pick(self.scenario.versions)
    }

    fn put(&mut self, version: FhirVersion, resource: &Value, marker: String) {
        self.put_as_is(version, &write(version, resource), marker);
    }

    /// Writes a resource that has the form of its version.
    fn put_as_is(&mut self, version: FhirVersion, resource: &Value, marker: String) {
        let Some(node) = self.node_now() else { return };
        let text = |name: &str| resource[name].as_str().unwrap_or_default().to_owned();
        let (kind, id) = (text("resourceType"), text("id"));
        let bytes = Bytes::from(resource.to_string());
        let name = format!("PUT {kind}/{id} {marker}");
        let put = async move {
            let target = (kind.as_str(), id.as_str());
            let written = node.update(&caller(), version, target, Condition::None, bytes).await;
            Answer::Written(marker, written)
        };
        self.request(name, Box::pin(put));
    }

    fn delete(&mut self, kind: &'static str) {
        let mut version = self.version();
        let id = match kind {
            "Encounter" => format!("e{}", self.draws.clients.below(8)),
            "Subscription" => {
                let id = self.subscription_id();
                version = self.scenario.version_of(&id);
                id
            }
            _ => self.draws.clients.pick(&TOPICS).to_owned(),
        };
        let kind = if kind == "SubscriptionTopic" { topic_type(version) } else { kind };
        let Some(node) = self.node_now() else { return };
        let marker = self.marker();
        let name = format!("DELETE {kind}/{id} {marker}");
        let delete = async move {
            let target = (kind, id.as_str());
            let deleted = node.delete(&caller(), version, target, Condition::None).await;
            Answer::Written(marker, deleted)
        };
        self.request(name, Box::pin(delete));
    }

    /// Several writes at once: together or not at all, or each for itself.
    fn write_bundle(&mut self) {
        let kind = self.draws.clients.pick(&["batch", "transaction", "transaction"]);
        let version = self.version();
        let mut entries = BTreeMap::new();
        for _ in 0..self.draws.clients.between(2, 5) {
            let written = match self.draws.clients.below(10) {
                0 => {
                    let url = format!("Encounter/e{}", self.draws.clients.below(8));
                    let entry = json!({"request": {"method": "DELETE", "url": url}});
                    entries.insert(url, (entry, None));
                    continue;
                }
                1..3 => self.patient(),
                3 => {
                    let id = self.subscription_id();
                    if self.scenario.version_of(&id) != version {
                        continue;
                    }
                    self.subscription(&id)
                }
                _ => self.encounter(),
            };
            let (resource, marker) = (write(version, &written.0), written.1);
            let name = |member: &str| resource[member].as_str().unwrap_or_default().to_owned();
            let url = format!("{}/{}", name("resourceType"), name("id"));
            let entry = json!({"resource": resource, "request": {"method": "PUT", "url": url}});
            entries.insert(url, (entry, Some(marker)));
        }
        let (entries, markers): (Vec<Value>, Vec<Option<String>>) = entries.into_values().unzip();
        if kind == "transaction" {
            let marked: Vec<String> = markers.iter().flatten().cloned().collect();
            self.checkers.durable.asked_together(&marked);
        }
        let Some(node) = self.node_now() else { return };
        let name = format!("{kind} {markers:?}");
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        let ask = async move {
            let (bytes, form) = (Bytes::from(bundle.to_string()), Representation::None);
            let answer = node.bundle(&caller(), version, bytes, form).await;
            Answer::Bundle(markers, answer.map(|bytes| statuses(&bytes)))
        };
        self.request(name, Box::pin(ask));
    }

    fn encounter(&mut self) -> (Value, String) {
        let draw = &mut self.draws.clients;
        let id = format!("e{}", draw.below(8));
        let start = match draw.below(10) {
            0 => Some(UNREADABLE),
            1..4 => Some("2019-05-01"),
            4..8 => Some("2021-05-01"),
            _ => None,
        };
        let encounter = Encounter {
            status: draw.pick(&STATUSES).to_owned(),
            subject: draw.pick(&PATIENTS).to_owned(),
            start: start.map(str::to_owned),
        };
        let marker = self.marker();
        (encounter.json(&id, &marker), marker)
    }

    fn patient(&mut self) -> (Value, String) {
        let id = self.draws.clients.pick(&PATIENTS);
        let gender = self.draws.clients.pick(&["female", "male"]);
        let marker = self.marker();
        let patient = json!({
            "resourceType": "Patient", "id": id, "gender": gender,
            "identifier": [{"value": marker}],
        });
        (patient, marker)
    }

    fn write_topic(&mut self) {
        let id = self.draws.clients.pick(&TOPICS);
        let kind = self.draws.clients.pick(&TOPIC_KINDS);
        let marker = self.marker();
        let version = self.version();
        self.put(version, &kind.json(id, &marker), marker);
    }

    fn subscription_id(&mut self) -> String {
        let draw = &mut self.draws.clients;
        match draw.below(HOOKS + WEBSOCKETS) {
            number if number < HOOKS => format!("h{number}"),
            number => format!("w{}", number - HOOKS),
        }
    }

    fn write_subscription(&mut self, id: &str) {
        let (subscription, marker) = self.subscription(id);
        self.put(self.scenario.version_of(id), &subscription, marker);
    }

    fn subscription(&mut self, id: &str) -> (Value, String) {
        let draw = &mut self.draws.clients;
        let filter = match draw.below(6) {
            0 => Filter::Date,
            1 => Filter::Female,
            2 => Filter::Status(draw.pick(&STATUSES).to_owned()),
            3 => Filter::Subject(draw.pick(&PATIENTS).to_owned()),
            _ => Filter::None,
        };
        let mut subscription = json!({
            "resourceType": "Subscription", "id": id,
            "status": draw.pick(&["requested", "requested", "active"]),
            "topic": topic_url(draw.pick(&TOPICS)),
            "contentType": "application/fhir+json",
            "content": draw.pick(&["empty", "id-only", "full-resource"]),
        });
        if id.starts_with('h') {
            let host = draw.index(HOSTS);
            subscription["channelType"] = json!({"code": "rest-hook"});
            subscription["endpoint"] = format!("https://host{host}.test/{id}").into();
        } else {
            subscription["channelType"] = json!({"code": "websocket"});
        }
        let mut options = [
            ("filterBy", filter.json()),
            ("heartbeatPeriod", draw.pick(&[0_u64, 60, 600]).into()),
            ("timeout", draw.pick(&[0_u64, 1, 5]).into()),
            ("maxCount", draw.pick(&[0_u64, 1, 2, 50]).into()),
        ];
        for (name, value) in &mut options {
            if !value.is_null() && *value != json!(0) {
                subscription[*name] = value.take();
            }
        }
        let marker = self.marker();
        subscription["reason"] = marker.clone().into();
        (subscription, marker)
    }

    fn change_status(&mut self) {
        let id = self.subscription_id();
        let status = self.draws.clients.pick(&["active", "off", "requested", "requested"]);
        self.switch(&id, status);
    }

    /// Writes a subscription as it is, with another status.
    fn switch(&mut self, id: &str, status: &str) {
        let facts = &self.checkers.facts;
        let Some(position) = facts.find(id).map(|found| found.version) else { return };
        let index = usize::try_from(position.get() - 1).expect("a position");
        let Ok(mut body) = serde_json::from_slice::<Value>(&facts.log[index].change.body) else {
            return;
        };
        let version = self.scenario.version_of(id);
        let marker = self.marker();
        body["status"] = status.into();
        body["reason"] = marker.clone().into();
        self.put_as_is(version, &body, marker);
    }

    fn resend(&mut self) {
        let id = self.subscription_id();
        let Some(found) = self.checkers.facts.find(&id) else { return };
        let (key, last) = (found.key, found.last());
        let Some(node) = self.node_now() else { return };
        let since = EventNumber::new(self.draws.clients.between(1, last.max(1)));
        let version = self.scenario.version_of(&id);
        self.checkers.order.resend(key);
        let ask = async move {
            let Ok(id) = ResourceId::new(&id) else { return Answer::Done };
            let query = ResendQuery { since, ..ResendQuery::default() };
            drop(node.resend_events(&caller(), version, &id, query).await);
            Answer::Done
        };
        self.request(format!("$resend for {key}"), Box::pin(ask));
        self.plan_deliver(0);
        self.plan_sockets();
    }

    fn recover(&mut self) {
        let topic = topic_url(self.draws.clients.pick(&TOPICS));
        let Some(node) = self.node_now() else { return };
        let concerned: Vec<_> = self.checkers.facts.subscriptions.keys().copied().collect();
        concerned.into_iter().for_each(|key| self.checkers.order.resend(key));
        let back = i64::try_from(self.draws.clients.between(0, 600_000)).expect("small");
        let since = Timestamp::from_millisecond(self.node_clock() - back).unwrap_or_default();
        let name = format!("recover {topic}");
        let ask = async move {
            drop(node.recover(&caller(), &RecoverySubject::Topic(topic), since).await);
            Answer::Done
        };
        self.request(name, Box::pin(ask));
        self.plan_recover(6);
    }

    fn change_socket(&mut self) {
        let index = self.draws.sockets.index(self.sockets.len());
        let slowness = self.draws.sockets.pick(&[0, 50, 20_000]);
        self.sockets[index].slowness = slowness;
        self.plan_socket(index, self.now);
    }
}

/// The HTTP status of each entry of a bundle's answer.
fn statuses(answer: &[u8]) -> Vec<u64> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    let entries = answer["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    let status = |entry: &Value| {
        let status = entry["response"]["status"].as_str()?;
        status.split(' ').next()?.parse().ok()
    };
    entries.iter().map(|entry| status(entry).unwrap_or(0)).collect()
}
