//! Websocket clients: they ask for a token, bind, read at their own pace, and come back.

use bytes::Bytes;
use cresset_model::{ResourceId, SubscriptionKey};
use cresset_node::{Socket, SocketOutput};
use serde_json::Value;

use crate::agenda::Step;
use crate::checkers::{Checked, Checkers, Violation};
use crate::clients::{Answer, caller};
use crate::wire::Notification;
use crate::world::World;

/// How long a client does nothing when there is nothing to read, in milliseconds.
const IDLE: u64 = 30_000;
/// How long it waits before it tries again.
const PAUSE: u64 = 2_000;

/// One client.
#[derive(Default)]
pub(crate) struct SocketClient {
    /// Subscriptions that it binds to.
    ids: Vec<String>,
    token: Option<String>,
    is_asking: bool,
    socket: Option<Socket>,
    /// Names the connection.
    connection: u64,
    /// It takes this long to read a frame.
    pub(crate) slowness: u64,
    /// When its next turn is planned.
    planned: Option<u64>,
}

impl SocketClient {
    /// A client of these subscriptions.
    pub(crate) fn new(ids: Vec<String>) -> Self {
        Self { ids, ..Self::default() }
    }

    /// The node is gone, and the connection with it.
    pub(crate) fn cut(&mut self) {
        self.socket = None;
        self.is_asking = false;
    }
}

impl World {
    /// Plans a turn, unless there is one before.
    pub(crate) fn plan_socket(&mut self, index: usize, at: u64) {
        let client = &mut self.sockets[index];
        if client.planned.is_none_or(|planned| at < planned) {
            client.planned = Some(at);
            self.agenda.plan_once(at, Step::Socket(index));
        }
    }

    /// Clients with something new to read take a turn.
    pub(crate) fn plan_sockets(&mut self) {
        for index in 0..self.sockets.len() {
            if self.sockets[index].socket.as_ref().is_some_and(Socket::is_hinted) {
                let delay = self.draws.sockets.between(0, 5) + self.sockets[index].slowness;
                self.plan_socket(index, self.now + delay);
            }
        }
    }

    /// One turn of a client.
    pub(crate) fn socket_turn(&mut self, index: usize) -> Checked {
        // A nearer turn was planned after this one.
        if self.sockets[index].planned != Some(self.now) {
            return Ok(());
        }
        self.sockets[index].planned = None;
        let pause = if self.node.is_none() {
            PAUSE
        } else if self.sockets[index].token.is_none() {
            self.ask_for_token(index)
        } else if self.sockets[index].socket.is_none() {
            self.connect(index);
            1
        } else {
            self.read(index)?
        };
        self.plan_socket(index, self.now + pause);
        Ok(())
    }

    /// Tells how long the client does nothing then.
    fn ask_for_token(&mut self, index: usize) -> u64 {
        let idle = if self.is_calm { PAUSE } else { IDLE };
        // Most know what is on; some ask all the same.
        let asks_for_all = self.draws.sockets.chance(200);
        let client = &mut self.sockets[index];
        let alive = client.ids.iter().filter(|id| {
            let found = self.checkers.facts.find(id);
            found.is_some_and(|found| asks_for_all || found.is_active())
        });
        let ids: Vec<ResourceId> = alive.filter_map(|id| ResourceId::new(id).ok()).collect();
        let node = self.node.as_ref().map(|node| node.node().clone());
        let Some(node) = node.filter(|_| !client.is_asking && !ids.is_empty()) else { return idle };
        client.is_asking = true;
        let version = self.scenario.version_of(ids[0].as_str());
        let ask = async move {
            let answer = node.binding_token(&caller(), version, &ids).await;
            Answer::Token(index, answer.ok().and_then(|bytes| token(&bytes)))
        };
        self.request(format!("socket {index} asks for a token"), Box::pin(ask));
        idle
    }

    /// A token, or none, has come.
    pub(crate) fn token_came(&mut self, index: usize, token: Option<String>) {
        self.sockets[index].is_asking = false;
        self.sockets[index].token = token;
        self.plan_socket(index, self.now + 1);
    }

    fn connect(&mut self, index: usize) {
        let Some(node) = &self.node else { return };
        let client = &mut self.sockets[index];
        let Some(token) = &client.token else { return };
        let Ok(mut socket) = node.node().open_socket() else { return };
        socket.receive_now(&format!("bind-with-token {token}"));
        self.connections += 1;
        client.connection = self.connections;
        client.socket = Some(socket);
    }

    /// Reads what there is; tells how long the client does nothing then.
    fn read(&mut self, index: usize) -> Result<u64, Violation> {
        let loses_hints = !self.is_calm && self.draws.hints.chance(self.scenario.hints_lost);
        let client = &mut self.sockets[index];
        let Some(socket) = &mut client.socket else { return Ok(PAUSE) };
        if loses_hints {
            socket.lose_hints();
        }
        match socket.next_now() {
            None => Ok(IDLE),
            Some(SocketOutput::Close { code, reason }) => {
                client.socket = None;
                client.token = None;
                self.note(&format!("  socket {index} is closed: {code} {reason}"));
                Ok(PAUSE)
            }
            Some(SocketOutput::Frame(bytes)) => {
                if !self.is_calm && self.draws.sockets.chance(self.scenario.sockets_break) {
                    self.sockets[index].socket = None;
                    self.note(&format!("  socket {index} breaks before its frame is written"));
                    return Ok(PAUSE);
                }
                if let Some(socket) = &mut self.sockets[index].socket {
                    socket.written();
                }
                self.frame(index, &bytes)?;
                self.plan_cursors();
                Ok(self.sockets[index].slowness)
            }
        }
    }

    fn frame(&mut self, index: usize, bytes: &Bytes) -> Checked {
        let Some(notification) = Notification::read(bytes) else {
            return Err(Violation::new("gapless", format!("socket {index} gets no notification")));
        };
        self.note(&format!(
            "  socket {index}: {} of {} {:?}",
            notification.kind,
            notification.subscription,
            notification.range()
        ));
        self.report.frames += 1;
        // While a hint is lost, a socket may speak of a life that has ended meanwhile.
        let lives = self.checkers.facts.lives(&notification.subscription);
        let Some(newest) = lives.first().copied() else {
            let text = format!("socket {index} tells of {}", notification.subscription);
            return Err(Violation::new("durable", text));
        };
        let silent = notification.range().is_none();
        let fits = |key: &SubscriptionKey| {
            // Which life it is of only its events tell.
            let contained = || self.checkers.contained(*key, &notification, false).is_ok();
            self.checkers.told(*key, &notification).is_ok() && (!silent || contained())
        };
        let key = lives.into_iter().find(fits).unwrap_or(newest);
        self.checkers.told(key, &notification)?;
        self.checkers.contained(key, &notification, false)?;
        self.checkers.count_told(key, &notification);
        if let Some(range) = notification.range() {
            let connection = self.sockets[index].connection;
            let Checkers { order, facts, .. } = &mut self.checkers;
            order.framed(connection, key, range, facts)?;
        }
        self.checkers.taken(key, &notification)
    }
}

fn token(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let parameters = answer["parameter"].as_array()?;
    let token = parameters.iter().find(|one| one["name"] == "token")?;
    token["valueString"].as_str().map(str::to_owned)
}
