//! Requests and answers as frames.

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, MetadataRequest, MetadataResponse, ProduceRequest,
    ProduceResponse, RequestHeader, ResponseHeader, SaslAuthenticateRequest,
    SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes, VersionRange};

use crate::error::Error;

/// Largest answer that is read. What the producer asks for fits in far less, also from clusters of
/// hundreds of brokers.
pub(crate) const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A request that this client makes.
pub(crate) trait Ask: Encodable + HeaderVersion {
    /// The number of the request.
    const KEY: i16;
    /// The versions that this client speaks.
    const VERSIONS: VersionRange;
    /// What is answered.
    type Answer: Decodable + HeaderVersion;
}

macro_rules! asks {
    ($($request:ident($key:literal, $min:literal..=$max:literal) -> $answer:ident;)*) => {
        $(impl Ask for $request {
            const KEY: i16 = $key;
            const VERSIONS: VersionRange = VersionRange { min: $min, max: $max };
            type Answer = $answer;
        })*
    };
}

asks! {
    // The first request of a connection: version 0 is understood by every broker.
    ApiVersionsRequest(18, 0..=0) -> ApiVersionsResponse;
    MetadataRequest(3, 0..=12) -> MetadataResponse;
    // From 13 on topics go by ids instead of names.
    ProduceRequest(0, 3..=12) -> ProduceResponse;
    SaslAuthenticateRequest(36, 0..=2) -> SaslAuthenticateResponse;
    SaslHandshakeRequest(17, 1..=1) -> SaslHandshakeResponse;
}

/// The request as a frame, its length included.
pub(crate) fn frame<A: Ask>(
    request: &A,
    version: i16,
    correlation: i32,
    client_id: &str,
) -> Result<Bytes, Error> {
    let uncodable = |_| Error::Protocol("the request cannot be coded");
    let header = RequestHeader::default()
        .with_request_api_key(A::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let size = request.compute_size(version).map_err(uncodable)?;
    let mut bytes = BytesMut::with_capacity(size + client_id.len() + 64);
    bytes.extend_from_slice(&[0; 4]);
    header.encode(&mut bytes, A::header_version(version)).map_err(uncodable)?;
    request.encode(&mut bytes, version).map_err(uncodable)?;
    let length = i32::try_from(bytes.len() - 4).map_err(|_| Error::TooLarge)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes.freeze())
}

/// The number that ties an answer, without its length, to its request.
pub(crate) fn correlation_of(answer: &Bytes) -> Option<i32> {
    answer.clone().try_get_i32().ok()
}

/// Reads an answer, without its length.
pub(crate) fn answer<A: Ask>(mut bytes: Bytes, version: i16) -> Result<A::Answer, Error> {
    let unreadable = |_| Error::Protocol("an answer cannot be read");
    ResponseHeader::decode(&mut bytes, A::Answer::header_version(version)).map_err(unreadable)?;
    A::Answer::decode(&mut bytes, version).map_err(unreadable)
}
