//! A broker of one topic, as far as the producer can tell.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::produce_response::{PartitionProduceResponse, TopicProduceResponse};
use kafka_protocol::messages::{
    ApiVersionsResponse, BrokerId, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use kafka_protocol::records::RecordBatchDecoder;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use ring::{digest, hmac, pbkdf2};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::config::{Mechanism, ServerAddress};

/// Partitions of every topic.
pub(super) const PARTITIONS: usize = 3;
const PASSWORD: &str = "pencil";
const ROUNDS: u32 = 4096;
const SALT: &[u8] = b"salt of the tests";

/// What becomes of a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed {
    /// It is answered with this code.
    Answer(i16),
    /// The connection is closed.
    Close,
    /// Neither it nor what comes after it on the connection is ever answered.
    Hang,
    /// It is answered after [`Broker::go_on`], and so is what comes after it on the connection.
    Wait,
}

/// A record as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) acks: i16,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) record: kafka_protocol::records::Record,
}

#[derive(Default)]
struct State {
    deeds: VecDeque<Deed>,
    seen: Vec<Seen>,
    /// Told of each record that is seen.
    news: Arc<Notify>,
    go_on: Arc<Notify>,
    connections: usize,
    leader: Option<ServerAddress>,
    greeting: &'static [u8],
    mechanism: Option<Mechanism>,
    pretends: bool,
}

/// A broker on loopback; it ends with its runtime.
pub(super) struct Broker {
    address: ServerAddress,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Broker {
    pub(super) async fn start() -> Self {
        Self::start_as(None, None).await
    }

    /// With a certificate of its own, and the configuration of a client that trusts it.
    pub(super) async fn start_with_tls(mechanism: Option<Mechanism>) -> (Self, Arc<ClientConfig>) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        (Self::start_as(Some(acceptor), mechanism).await, Arc::new(client))
    }

    async fn start_as(acceptor: Option<TlsAcceptor>, mechanism: Option<Mechanism>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let address = ServerAddress { host: "127.0.0.1".to_owned(), port };
        let leader = Some(address.clone());
        let state = Arc::new(Mutex::new(State { leader, mechanism, ..State::default() }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                lock(&shared).connections += 1;
                let (state, acceptor) = (shared.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(tcp, &state).await,
                        Some(acceptor) => match acceptor.accept(tcp).await {
                            Ok(tls) => serve(tls, &state).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        Self { address, state, task }
    }

    pub(super) fn address(&self) -> ServerAddress {
        self.address.clone()
    }

    /// What becomes of the next records; those after them are written.
    pub(super) fn will(&self, deeds: impl IntoIterator<Item = Deed>) {
        lock(&self.state).deeds.extend(deeds);
    }

    /// Names another broker as the leader of all partitions.
    pub(super) fn lead_to(&self, leader: ServerAddress) {
        lock(&self.state).leader = Some(leader);
    }

    /// Answers everybody with these bytes.
    pub(super) fn greet(&self, greeting: &'static [u8]) {
        lock(&self.state).greeting = greeting;
    }

    /// Says that a login is good without knowing the password.
    pub(super) fn pretend(&self) {
        lock(&self.state).pretends = true;
    }

    /// Answers what waits for it.
    pub(super) fn go_on(&self) {
        lock(&self.state).go_on.notify_one();
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        lock(&self.state).seen.clone()
    }

    pub(super) fn connections(&self) -> usize {
        lock(&self.state).connections
    }

    pub(super) async fn until_seen(&self, count: usize) {
        let news = lock(&self.state).news.clone();
        let seen = async {
            while self.seen().len() < count {
                news.notified().await;
            }
        };
        tokio::time::timeout(super::PATIENCE, seen).await.expect("seen in time");
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap()
}

/// Answers until the connection ends; `None` is its end.
async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    state: &Mutex<State>,
) -> Option<()> {
    let greeting = lock(state).greeting;
    if !greeting.is_empty() {
        stream.write_all(greeting).await.ok()?;
    }
    let mut exchange = Exchange::default();
    let mut hangs = false;
    loop {
        let length = usize::try_from(stream.read_i32().await.ok()?).ok()?;
        let mut bytes = vec![0; length];
        stream.read_exact(&mut bytes).await.ok()?;
        let mut bytes = Bytes::from(bytes);
        let (key, version) = (bytes.clone().get_i16(), bytes.slice(2..).get_i16());
        let header = match key {
            0 => ProduceRequest::header_version(version),
            3 => MetadataRequest::header_version(version),
            17 => SaslHandshakeRequest::header_version(version),
            36 => SaslAuthenticateRequest::header_version(version),
            _ => 1,
        };
        let header = RequestHeader::decode(&mut bytes, header).unwrap();
        let id = header.correlation_id;
        let answer = match key {
            0 => {
                let request = ProduceRequest::decode(&mut bytes, version).unwrap();
                match produced(&request, state) {
                    Deed::Answer(code) => framed(&written(&request, code), version, id),
                    Deed::Close => return None,
                    Deed::Hang => {
                        hangs = true;
                        Bytes::new()
                    }
                    Deed::Wait => {
                        let go_on = lock(state).go_on.clone();
                        go_on.notified().await;
                        framed(&written(&request, 0), version, id)
                    }
                }
            }
            3 => {
                let request = MetadataRequest::decode(&mut bytes, version).unwrap();
                framed(&metadata(&request, state), version, id)
            }
            17 => {
                let request = SaslHandshakeRequest::decode(&mut bytes, version).unwrap();
                let offered = lock(state).mechanism.map(Mechanism::name);
                let unknown = offered != Some(&*request.mechanism);
                let code = if unknown { 33 } else { 0 };
                framed(&SaslHandshakeResponse::default().with_error_code(code), version, id)
            }
            18 => framed(&versions(), version, id),
            36 => {
                let request = SaslAuthenticateRequest::decode(&mut bytes, version).unwrap();
                let mechanism = lock(state).mechanism.unwrap();
                let pretends = lock(state).pretends;
                let answer = exchange.answer(mechanism, &request.auth_bytes, pretends);
                framed(&answer, version, id)
            }
            other => panic!("request {other}"),
        };
        if !hangs {
            stream.write_all(&answer).await.ok()?;
        }
    }
}

fn framed<A: Encodable + HeaderVersion>(answer: &A, version: i16, correlation: i32) -> Bytes {
    let mut bytes = BytesMut::from(&[0; 4][..]);
    let header = ResponseHeader::default().with_correlation_id(correlation);
    header.encode(&mut bytes, A::header_version(version)).unwrap();
    answer.encode(&mut bytes, version).unwrap();
    let length = u32::try_from(bytes.len() - 4).unwrap();
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes.freeze()
}

fn versions() -> ApiVersionsResponse {
    let ranges = [(0, 3, 13), (3, 0, 13), (17, 0, 1), (18, 0, 4), (36, 0, 2)];
    let keys = ranges.map(|(key, min, max)| {
        ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.to_vec())
}

fn metadata(request: &MetadataRequest, state: &Mutex<State>) -> MetadataResponse {
    assert!(!request.allow_auto_topic_creation);
    let leader = lock(state).leader.clone().unwrap();
    let broker = MetadataResponseBroker::default()
        .with_node_id(BrokerId(1))
        .with_host(StrBytes::from_string(leader.host))
        .with_port(i32::from(leader.port));
    let partitions = (0..i32::try_from(PARTITIONS).unwrap()).rev().map(|index| {
        MetadataResponsePartition::default().with_partition_index(index).with_leader_id(BrokerId(1))
    });
    let asked = request.topics.iter().flatten();
    let topics = asked.map(|topic| {
        MetadataResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.clone().collect())
    });
    MetadataResponse::default().with_brokers(vec![broker]).with_topics(topics.collect())
}

fn produced(request: &ProduceRequest, state: &Mutex<State>) -> Deed {
    let topic = &request.topic_data[0];
    let data = &topic.partition_data[0];
    let mut records = data.records.clone().unwrap();
    let set = RecordBatchDecoder::decode(&mut records).unwrap();
    let mut state = lock(state);
    state.news.notify_one();
    state.seen.push(Seen {
        acks: request.acks,
        topic: topic.name.to_string(),
        partition: data.index,
        record: set.records[0].clone(),
    });
    state.deeds.pop_front().unwrap_or(Deed::Answer(0))
}

fn written(request: &ProduceRequest, code: i16) -> ProduceResponse {
    let topic = &request.topic_data[0];
    let partition = PartitionProduceResponse::default()
        .with_index(topic.partition_data[0].index)
        .with_error_code(code)
        .with_base_offset(7);
    let topic = TopicProduceResponse::default()
        .with_name(topic.name.clone())
        .with_partition_responses(vec![partition]);
    ProduceResponse::default().with_responses(vec![topic])
}

/// The broker's side of a login, by the standard and not by the client's code.
#[derive(Default)]
struct Exchange {
    first: Option<(String, String)>,
}

impl Exchange {
    fn answer(
        &mut self,
        mechanism: Mechanism,
        message: &[u8],
        pretends: bool,
    ) -> SaslAuthenticateResponse {
        let message = std::str::from_utf8(message).unwrap();
        let told = match mechanism {
            Mechanism::Plain => (message == format!("\0cres,set\0{PASSWORD}")).then(String::new),
            Mechanism::ScramSha256 | Mechanism::ScramSha512 => match self.first.take() {
                None => Some(self.begin(message)),
                Some(_) if pretends => Some(format!("v={}", STANDARD.encode([0; 32]))),
                Some(first) => proven(mechanism, &first, message),
            },
        };
        match told {
            Some(told) => SaslAuthenticateResponse::default().with_auth_bytes(Bytes::from(told)),
            None => SaslAuthenticateResponse::default().with_error_code(58),
        }
    }

    fn begin(&mut self, message: &str) -> String {
        let bare = message.strip_prefix("n,,").unwrap();
        let nonce = bare.strip_prefix("n=cres=2Cset,r=").unwrap();
        let first = format!("r={nonce}of-the-broker,s={},i={ROUNDS}", STANDARD.encode(SALT));
        self.first = Some((bare.to_owned(), first.clone()));
        first
    }
}

fn proven(mechanism: Mechanism, first: &(String, String), message: &str) -> Option<String> {
    let (hash, mac, derive) = match mechanism {
        Mechanism::ScramSha512 => (&digest::SHA512, hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        Mechanism::Plain | Mechanism::ScramSha256 => {
            (&digest::SHA256, hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256)
        }
    };
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text);
    let mut salted = vec![0; hash.output_len()];
    pbkdf2::derive(derive, ROUNDS.try_into().unwrap(), SALT, PASSWORD.as_bytes(), &mut salted);
    let stored = digest::digest(hash, sign(&salted, b"Client Key").as_ref());
    let (without_proof, proof) = message.rsplit_once(",p=").unwrap();
    let signed = format!("{},{},{without_proof}", first.0, first.1);
    let signature = sign(stored.as_ref(), signed.as_bytes());
    let proof = STANDARD.decode(proof).unwrap();
    let key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
    if digest::digest(hash, &key).as_ref() != stored.as_ref() {
        return None;
    }
    let server_key = sign(&salted, b"Server Key");
    let signature = sign(server_key.as_ref(), signed.as_bytes());
    Some(format!("v={}", STANDARD.encode(signature)))
}
