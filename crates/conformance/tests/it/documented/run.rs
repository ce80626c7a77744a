//! A page whose blocks are run.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use cresset_conformance::{Options, Server, cresset, example, until};
use tempfile::TempDir;

use super::blocks::Block;

/// Where pages say that the server is.
const DOCUMENTED: &str = "127.0.0.1:8080";
/// How readers run an example of the client library.
const EXAMPLE: &str = "cargo run -p cresset-client --example ";
/// What programs print before the address that they got.
const LISTENING: &str = "listening on http://";

/// A page, the folder of its reader, and what runs beside it.
pub(super) struct Page {
    name: String,
    folder: TempDir,
    /// The repository.
    root: PathBuf,
    /// Addresses of the page, and those that they stand for.
    addresses: Vec<(String, String)>,
    stays: Vec<Stays>,
    /// For a page that starts none itself.
    _server: Option<Server>,
}

impl Page {
    /// Opens a page; a server runs unless one of its blocks starts one.
    pub(super) async fn open(name: &str, blocks: &[Block], root: &Path) -> Self {
        let serves = |block: &Block| block.is_run() && block.text.contains("cresset serve");
        let server = if blocks.iter().any(serves) {
            None
        } else {
            let options = Options::untouched().set("rest-hook.allow-local-endpoints", true);
            Some(Server::start_with(options.set("rest-hook.handshake-delay", "0s")).await)
        };
        let of = |server: &Server| {
            (DOCUMENTED.to_owned(), server.url().trim_start_matches("http://").to_owned())
        };
        Self {
            name: name.to_owned(),
            folder: tempfile::tempdir().expect("a folder"),
            root: root.to_owned(),
            addresses: server.iter().map(of).collect(),
            stays: Vec::new(),
            _server: server,
        }
    }

    /// Does with a block what it is there for.
    pub(super) async fn block(&mut self, block: &Block) {
        let text =
            self.addresses.iter().fold(with_examples(&block.text), |text, (documented, real)| {
                text.replace(documented.as_str(), real)
            });
        if let Some(name) = block.attribute("file") {
            fs::write(self.folder.path().join(name), text).expect("a file of the page");
        } else if let (true, Some(sign)) = (block.is_run(), block.attribute("stays")) {
            self.start(block.line, &text, sign).await;
        } else if block.is_run() {
            let mut ran = Stays::new(self.command(&text), self.output(block.line));
            let what = format!("{}:{} ends", self.name, block.line);
            let status = until(&what, || std::future::ready(ran.ended())).await;
            assert!(status.success(), "{}:{}: {status}\n{}", self.name, block.line, ran.written());
        }
    }

    /// All that was to stay is still there, or ended well.
    pub(super) fn close(mut self) {
        for stays in &mut self.stays {
            let ended = stays.ended();
            assert!(
                ended.is_none_or(|status| status.success()),
                "{}: {ended:?}\n{}",
                self.name,
                stays.written()
            );
        }
    }

    async fn start(&mut self, line: usize, text: &str, sign: &str) {
        let is_real = |address: &&str| self.addresses.iter().any(|(_, real)| real == address);
        let own = addresses(text).find(|address| !is_real(address));
        let documented = own.unwrap_or(DOCUMENTED).to_owned();
        let text = text.replace(documented.as_str(), "127.0.0.1:0");
        let mut command = self.command(&text);
        command.env("CRESSET__SERVER__LISTEN", "127.0.0.1:0");
        let mut stays = Stays::new(command, self.output(line));
        let what = format!("{}:{line} writes {sign:?}", self.name);
        let written = until(&what, || {
            let (ended, written) = (stays.ended(), stays.written());
            assert!(ended.is_none_or(|status| status.success()), "{}:{line}: {written}", self.name);
            std::future::ready(written.contains(sign).then_some(written))
        })
        .await;
        if let Some((_, rest)) = written.split_once(LISTENING) {
            let real = rest.split_whitespace().next().unwrap_or_default().trim_end_matches('/');
            self.addresses.push((documented, real.to_owned()));
        }
        self.stays.push(stays);
    }

    fn output(&self, line: usize) -> PathBuf {
        self.folder.path().join(format!(".output-{line}"))
    }

    /// A shell with the binary in its path, as if it were installed.
    fn command(&self, text: &str) -> Command {
        let binary = PathBuf::from(cresset(&[]).get_program());
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = binary.parent().expect("a folder").display();
        let mut command = Command::new("sh");
        command.args(["-eu", "-c", text]).current_dir(self.folder.path());
        command.env("PATH", format!("{folder}:{path}")).env("CRESSET", &self.root);
        // Node 20 has websockets when it is asked for them.
        command.env("NODE_OPTIONS", "--experimental-websocket --no-warnings");
        command.env("PYTHONUNBUFFERED", "1").stdin(Stdio::null());
        command
    }
}

/// The text with the path of an example instead of the command that builds it.
fn with_examples(text: &str) -> String {
    let Some(rest) = text.strip_prefix(EXAMPLE) else { return text.to_owned() };
    let (name, arguments) = rest.split_once(" -- ").expect("the example's arguments");
    format!("{} {arguments}", Path::new(example(name, &[]).get_program()).display())
}

/// Addresses with a port, as programs take them.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("127.0.0.1:").map(|(start, _)| {
        let words = &text[start..];
        let end = words.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
        &words[..end.unwrap_or(words.len())]
    })
}

/// A process with all that it started; ended when dropped.
struct Stays {
    child: Child,
    output: PathBuf,
}

impl Stays {
    fn new(mut command: Command, output: PathBuf) -> Self {
        let file = File::create(&output).expect("a file for what it writes");
        command.stderr(file.try_clone().expect("the same file")).stdout(file);
        Self { child: command.process_group(0).spawn().expect("sh"), output }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the process is ours")
    }

    fn written(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Stays {
    fn drop(&mut self) {
        // The group is gone already where all of it has ended.
        let group = format!("-{}", self.child.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status());
        drop(self.child.wait());
    }
}
