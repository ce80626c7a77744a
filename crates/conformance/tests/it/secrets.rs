//! Secrets and patients, marked and fed through every path: no log, metric, trace or audit entry has them.

use cresset_conformance::{
    Answer, Client, Metrics, Options, Receiver, Reply, Server, Socket, Subscribe, patient, verifies,
};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::topic_forms::topic;

const TOPIC: &str = "http://cresset.test/topics/patient-any";

/// What is nowhere but in answers to those who may see it.
const SECRETS: [&str; 23] = [
    "marker-answer",
    "marker-broken",
    "marker-bundle",
    "marker-checked",
    "marker-condition",
    "marker-explained",
    "marker-family",
    "marker-header",
    "marker-in-a-url",
    "marker-mailbox",
    "marker-patch",
    "marker-pasted",
    "marker-query",
    "marker-search",
    "marker-secret",
    "marker-title",
    "marker-tried",
    "marker-typed",
    "marker-user",
    "marker-xml",
    "author-token",
    "boss-token",
    "ward-token",
];

fn options() -> Options {
    Options::default()
        .client("ward", "ward-token-of-the-tests", &["read", "write", "subscribe"])
        .client("author", "author-token-of-the-tests", &["topics"])
        .client("boss", "boss-token-of-the-tests", &["admin"])
        .set("log.level", "trace")
        .set("rest-hook.retry-schedule", vec!["100ms"])
        .set("audit.level", "all")
}

/// The same base as one of the clients.
fn as_client(base: &Client, name: &str) -> Client {
    base.with_bearer(&format!("{name}-token-of-the-tests"))
}

fn named(id: &str, family: &str) -> Value {
    let mut named = patient(id);
    named["name"][0]["family"] = family.into();
    named
}

/// Has an endpoint told of a patient, and then answer with what it was told; gives the subscription.
async fn notify(ward: &Client, receiver: &Receiver) -> String {
    let path = format!("/marker-path/{}", ward.version);
    let asked = Subscribe::rest_hook(TOPIC, &receiver.endpoint(&format!("{path}?q=marker-query")))
        .content("full-resource")
        .header("Authorization", "Bearer marker-header");
    let id = ward.subscribe(&asked).await;
    ward.wait_for_status(&id, "active").await;
    let marked = named("marked", "marker-family");
    ward.save(&marked).await;
    receiver.event(ward.version, &path).await;
    receiver.always(&path, Answer::Refused("marker-answer".to_owned()));
    ward.save(&marked).await;
    ward.wait_for_status(&id, "error").await;
    id
}

/// Writes, reads and searches, with and without success.
async fn write(ward: &Client) {
    ward.put("Patient/marked", &named("marker-id", "marker-family")).await.refused(400);
    ward.get("Patient?name=marker-search").await.expect(200);
    ward.get("Patient?nonsense=marker-search").await.refused(400);
    ward.request(Method::POST, "Patient").body("{\"marker-broken").send().await.refused(400);
    ward.get("Patient/marker-in-a-url").await.refused(404);
    let mail = Subscribe::email(TOPIC, "marker-mailbox@example.org").json(ward.version);
    ward.post("Subscription", &mail).await.refused(422);
    let checked = json!({"resourceType": "Patient", "gender": "marker-checked"});
    ward.post("Patient/$validate", &checked).await.expect(200);
    ward.post("Patient", &checked).await.refused(400);
    for (op, status) in [("replace", 200), ("test", 422)] {
        let patch =
            json!([{"op": op, "path": "/name/0/family", "value": format!("marker-patch-{op}")}]);
        let patch = patch.to_string();
        let request = ward.request(Method::PATCH, "Patient/marked");
        request.body_as(patch, "application/json-patch+json").send().await.expect(status);
    }
    let mut bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {
            "resource": named("in-bundle", "marker-bundle"),
            "request": {"method": "PUT", "url": "Patient/in-bundle"},
        },
        {
            "resource": named("in-bundle", "marker-bundle"),
            "request": {
                "method": "POST", "url": "Patient",
                "ifNoneExist": "identifier=marker-condition",
            },
        },
    ]});
    ward.post("", &bundle).await.expect(200);
    bundle["entry"][0]["resource"]["gender"] = "marker-checked".into();
    ward.post("", &bundle).await.refused(400);
    let xml = r#"<Patient xmlns="http://hl7.org/fhir"><name><family value="marker-xml"/></name></Patient>"#;
    for (body, status) in [(xml, 201), (&xml[..xml.len() - 12], 400)] {
        let request = ward.request(Method::POST, "Patient").body_as(body, "application/fhir+xml");
        request.send().await.expect(status);
    }
}

/// Has a change that is stored and one that never was explained.
async fn explain(boss: &Client, subscription: &str) {
    let operation = format!("Subscription/{subscription}/$explain");
    boss.get(&format!("{operation}?focus=Patient/marked")).await.expect(200);
    boss.get(&format!("{operation}?focus=Patient/marker-in-a-url")).await.refused(404);
    let state = named("p", "marker-explained");
    let states = json!({"resourceType": "Parameters", "parameter": [
        {"name": "previous", "resource": state},
        {"name": "current", "resource": state},
    ]});
    boss.post(&operation, &states).await.expect(200);
}

/// The console as a browser asks it, after the login.
struct Console<'b> {
    base: &'b Client,
    url: String,
    cookie: String,
    csrf: String,
}

impl<'b> Console<'b> {
    async fn log_in(server: &Server, base: &'b Client) -> Self {
        let url = format!("{}/console", server.url());
        let mut console = Self { base, url, cookie: String::new(), csrf: String::new() };
        console.get("/subscriptions?endpoint=marker-typed", 303).await;
        for (secret, status) in [("marker-secret", 401), ("boss-token-of-the-tests", 303)] {
            let fields = [("user", "marker-user"), ("secret", secret), ("next", "/marker-typed")];
            let reply = console.post("/login", &fields, status).await;
            if status == 303 {
                let cookie = reply.header("set-cookie").split(';').next();
                console.cookie = cookie.expect("a cookie").to_owned();
            }
        }
        let page = console.get("/try", 200).await;
        let field = page.split("name=\"csrf\" value=\"").nth(1).expect("a form");
        console.csrf = field.split('"').next().expect("a value").to_owned();
        console
    }

    async fn ask(&self, method: Method, path: &str, form: String, status: u16) -> Reply {
        let request = self.base.request(method, &format!("{}{path}", self.url));
        let request = request.header("cookie", &self.cookie);
        let request = request.body_as(form, "application/x-www-form-urlencoded");
        request.send().await.expect(status)
    }

    async fn get(&self, path: &str, status: u16) -> String {
        let reply = self.ask(Method::GET, path, String::new(), status).await;
        String::from_utf8_lossy(&reply.body).into_owned()
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)], status: u16) -> Reply {
        let csrf = ("csrf", self.csrf.as_str());
        let form = fields.iter().chain([&csrf]);
        let form = Url::parse_with_params("http://form.test", form).expect("a form");
        self.ask(Method::POST, path, form.query().unwrap_or_default().to_owned(), status).await
    }

    /// Looks at what there is of a subscription, and uses the pages that take resources.
    async fn use_pages(&self, subscription: &str) {
        let version = self.base.version.to_string();
        let page = format!("/subscriptions/{version}/{subscription}");
        let shown = self.get(&page, 200).await;
        assert!(shown.contains("HTTP 422"), "{shown}");
        assert!(!shown.contains("marker-answer"), "it may repeat the content: {shown}");
        for path in [
            "/subscriptions?endpoint=marker-typed&owner=marker-typed",
            &format!("/explain?version={version}&subscription={subscription}&focus=marker-typed"),
            &format!("/try/{version}/Patient/marked/1"),
        ] {
            self.get(path, 200).await;
        }
        self.get(&format!("/subscriptions/{version}/marker-in-a-url"), 404).await;
        let (version, subscription) =
            (("version", version.as_str()), ("subscription", subscription));
        let events = [("since", "1"), ("until", "1")];
        let payload = self.post(&format!("{page}/payload"), &events, 200).await;
        assert!(String::from_utf8_lossy(&payload.body).contains("marker-family"), "{payload}");
        let pasted = named("p", "marker-pasted").to_string();
        self.post("/explain", &[version, subscription, ("current", &pasted)], 200).await;
        let tried = named("tried", "marker-tried").to_string();
        self.post("/try", &[version, ("resource", &tried)], 303).await;
        self.post("/try", &[version, ("resource", &tried[..tried.len() - 2])], 400).await;
        self.post("/topics/check", &[version, ("resource", &tried)], 200).await;
    }
}

#[tokio::test]
async fn secrets_and_patients_are_not_logged() {
    verifies!("RQ-SS-07", "RQ-SS-09");
    let (receiver, collector) = (Receiver::start().await, Receiver::start().await);
    let options = options().set("telemetry.otlp-endpoint", collector.endpoint(""));
    let mut server = Server::start_with(options).await;
    let mut secrets = SECRETS.map(str::to_owned).to_vec();
    for base in server.bases() {
        let (ward, boss) = (as_client(&base, "ward"), as_client(&base, "boss"));
        let web = ward.subscribe(&Subscribe::websocket(TOPIC)).await;
        let token = ward.token(&[&web]).await;
        let mut socket = Socket::open(base.version, &token.url).await;
        socket.bind(&token).await;
        let id = notify(&ward, &receiver).await;
        socket.next().await;
        socket.event().await;
        write(&ward).await;
        explain(&boss, &id).await;
        let members = json!({
            "title": "marker-title", "resourceTrigger": [{"resource": "Patient"}],
        });
        as_client(&base, "author").save(&topic(base.version, "titled", members)).await;
        let console = Console::log_in(&server, &base).await;
        console.use_pages(&id).await;
        let (_, session) = console.cookie.split_once('=').expect("a name and a value");
        secrets.extend([token.token.clone(), session.to_owned(), console.csrf.clone()]);
        let metrics = Metrics::of(server.url(), &boss).await.text;
        let trail = boss.read(&format!("{}/admin/audit/{}", server.url(), base.version)).await;
        for (place, text) in [("metric", metrics), ("audit entry", trail.to_string())] {
            for secret in &secrets {
                assert!(!text.contains(secret), "{secret} is in a {place}");
            }
            assert!(!text.contains("marker-path"), "a path is in a {place}");
        }
    }
    // What waits to be told is told then.
    server.terminate();
    server.ended().await;
    let traces = collector.all("/v1/traces");
    assert!(!traces.is_empty());
    let traces: Vec<_> = traces.iter().map(|sent| String::from_utf8_lossy(&sent.body)).collect();
    let log = server.log();
    let lines = log.lines().map(|line| ("log", line));
    for (place, line) in lines.chain(traces.iter().map(|text| ("trace", text.as_ref()))) {
        let told = secrets.iter().find(|secret| line.contains(secret.as_str()));
        assert_eq!(told, None, "in the {place}: {line}");
    }
}
