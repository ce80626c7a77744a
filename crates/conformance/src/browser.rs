//! A browser that a test drives: Chromium without a window, over its DevTools protocol.
//!
//! What pages complain of (exceptions, errors on the console, what the policy for content refuses) is
//! kept, for the test to look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::program::Running;
use crate::server::binary;
use crate::wait::{PATIENCE, pause, until};

/// Chromium with one page; closed when dropped.
pub struct Browser {
    _running: Running,
    /// What the browser writes down of itself.
    _profile: TempDir,
    stream: WebSocketStream<TcpStream>,
    session: String,
    calls: u64,
    complaints: Vec<String>,
}

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its name, for files.
    pub name: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Whether its reader prefers dark colours.
    pub is_dark: bool,
}

impl Look {
    /// A desk in daylight.
    pub const LIGHT: Self = Self { name: "light", width: 1280, height: 900, is_dark: false };
    /// The same at night.
    pub const DARK: Self = Self { name: "dark", is_dark: true, ..Self::LIGHT };
    /// A small phone.
    pub const PHONE: Self = Self { name: "phone", width: 360, height: 740, is_dark: false };
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LIGHT, Self::DARK, Self::PHONE];
}

impl Browser {
    /// Starts one with an empty page.
    ///
    /// # Panics
    /// If Chromium is missing, or does not start in time.
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let child = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .arg("--hide-scrollbars")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-port=0", "about:blank"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium starts; `cargo xtask test` installs it");
        let running = Running(child);
        let told = profile.path().join("DevToolsActivePort");
        let (port, path) = until("chromium tells where it is driven", || {
            let told = fs::read_to_string(&told).unwrap_or_default();
            let lines =
                told.split_once('\n').map(|(port, path)| (port.to_owned(), path.to_owned()));
            std::future::ready(lines.filter(|(_, path)| path.contains("/devtools/")))
        })
        .await;
        let address = format!("127.0.0.1:{port}");
        let tcp = TcpStream::connect(&address).await.expect("chromium listens");
        let url = format!("ws://{address}{}", path.trim());
        let (stream, _) =
            client_async(url, tcp).await.expect("chromium is driven over a websocket");
        let mut browser = Self {
            _running: running,
            _profile: profile,
            stream,
            session: String::new(),
            calls: 0,
            complaints: Vec::new(),
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"})).await;
        let asked = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.call("Target.attachToTarget", asked).await;
        browser.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        // Without a window nothing has the focus otherwise.
        browser.call("Emulation.setFocusEmulationEnabled", json!({"enabled": true})).await;
        browser
    }

    /// Has the page shown in this way from now on.
    pub async fn look(&mut self, look: Look) {
        let size = json!({
            "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", size).await;
        let scheme = if look.is_dark { "dark" } else { "light" };
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features).await;
    }

    /// Runs a script in every page before its own.
    pub async fn before_pages(&mut self, script: &str) {
        let source = json!({"source": script});
        self.call("Page.addScriptToEvaluateOnNewDocument", source).await;
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&mut self, url: &str) {
        // So that the page before is not taken for the one that is loading.
        self.evaluate("window.isLeft = true").await;
        self.call("Page.navigate", json!({"url": url})).await;
        self.wait_for("!window.isLeft && document.readyState === 'complete'").await;
    }

    /// What an expression gives.
    ///
    /// # Panics
    /// If it throws.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.try_evaluate(expression).await;
        result.unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    async fn try_evaluate(&mut self, expression: &str) -> Result<Value, Value> {
        let asked = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true,
            "userGesture": true,
        });
        let mut answer = self.try_call("Runtime.evaluate", asked).await?;
        match answer.get("exceptionDetails") {
            Some(thrown) => Err(thrown.clone()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Waits until an expression is true; one that throws meanwhile is not.
    ///
    /// # Panics
    /// If it does not become true in time; with the text of the page.
    pub async fn wait_for(&mut self, expression: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let expression = format!("Boolean({expression})");
        while self.try_evaluate(&expression).await != Ok(Value::Bool(true)) {
            if tokio::time::Instant::now() > deadline {
                let text = self.evaluate("location + '\\n' + document.body.innerText").await;
                panic!(
                    "not within {PATIENCE:?}: {expression}\n{}",
                    text.as_str().unwrap_or_default()
                );
            }
            pause().await;
        }
    }

    /// Waits until the page shows a text.
    pub async fn wait_for_text(&mut self, text: &str) {
        let text = Value::from(text);
        self.wait_for(&format!("document.body.innerText.includes({text})")).await;
    }

    /// Clicks on what a selector finds.
    pub async fn click(&mut self, selector: &str) {
        let selector = Value::from(selector);
        self.evaluate(&format!("document.querySelector({selector}).click()")).await;
    }

    /// Clicks on what a selector finds, and waits until the page that it leads to is loaded.
    pub async fn follow(&mut self, selector: &str) {
        self.evaluate("window.isLeft = true").await;
        self.click(selector).await;
        self.wait_for("!window.isLeft && document.readyState === 'complete'").await;
    }

    /// Writes into a field.
    pub async fn fill(&mut self, selector: &str, text: &str) {
        let (selector, text) = (Value::from(selector), Value::from(text));
        let fill = format!(
            "(() => {{ const field = document.querySelector({selector}); field.value = {text}; \
             field.dispatchEvent(new Event('input', {{ bubbles: true }})); }})()"
        );
        self.evaluate(&fill).await;
    }

    /// Presses a key, as its name has it (`Tab`, `Enter`).
    pub async fn press(&mut self, key: &str) {
        let code = if key == "Tab" { 9 } else { 13 };
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text,
            });
            self.call("Input.dispatchKeyEvent", event).await;
        }
    }

    /// The text that the page shows.
    pub async fn text(&mut self) -> String {
        self.evaluate("document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Writes what the whole page looks like to a file of the test's output, and tells where.
    pub async fn screenshot(&mut self, folder: &str, name: &str) -> PathBuf {
        let asked = json!({"format": "png", "captureBeyondViewport": true});
        let shot = self.call("Page.captureScreenshot", asked).await;
        let data = shot["data"].as_str().expect("a picture");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        let folder = output_folder().join(folder);
        fs::create_dir_all(&folder).expect("a folder for pictures");
        let file = folder.join(format!("{name}.png"));
        fs::write(&file, bytes).expect("a picture written");
        file
    }

    /// What pages complained of since this was last asked.
    pub async fn complaints(&mut self) -> Vec<String> {
        // What was said before the answer has come before it.
        self.call("Runtime.evaluate", json!({"expression": "0"})).await;
        std::mem::take(&mut self.complaints)
    }

    async fn call(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.try_call(method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, Value> {
        self.calls += 1;
        let id = self.calls;
        let mut asked = json!({"id": id, "method": method, "params": parameters});
        if !self.session.is_empty() {
            asked["sessionId"] = self.session.as_str().into();
        }
        self.stream.send(Message::text(asked.to_string())).await.expect("chromium is driven");
        loop {
            let next = tokio::time::timeout(PATIENCE, self.stream.next()).await;
            let next = next.unwrap_or_else(|_| panic!("no answer to {method}"));
            let Message::Text(text) = next.expect("chromium runs").expect("frames") else {
                continue;
            };
            let mut said: Value = serde_json::from_str(&text).expect("JSON");
            if said["id"] != id {
                self.note(&said);
                continue;
            }
            return match said.get("error") {
                Some(error) => Err(error.clone()),
                None => Ok(said["result"].take()),
            };
        }
    }

    /// Keeps what is a complaint.
    fn note(&mut self, said: &Value) {
        let parameters = &said["params"];
        let complaint = match said["method"].as_str().unwrap_or_default() {
            "Runtime.exceptionThrown" => parameters["exceptionDetails"].to_string(),
            "Runtime.consoleAPICalled" if is_bad(&parameters["type"]) => {
                parameters["args"].to_string()
            }
            "Log.entryAdded" if is_bad(&parameters["entry"]["level"]) => {
                let entry = &parameters["entry"];
                format!("{} ({})", entry["text"], entry["url"])
            }
            _ => return,
        };
        self.complaints.push(complaint);
    }
}

/// Whether a level is one of complaints.
fn is_bad(level: &Value) -> bool {
    matches!(level.as_str(), Some("assert" | "error" | "warning"))
}

/// Where tests put what people look at: `target/test-output`.
fn output_folder() -> PathBuf {
    let binary = binary();
    let target: &Path = binary.ancestors().nth(2).expect("target/<profile>/cresset");
    target.join("test-output")
}
