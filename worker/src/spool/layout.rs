//! The layout of a spool file: a line that says what it is, then the request as on the wire.
//!
//! ```text
//! strop-result-1 <SHA-256 of the rest, in hexadecimal> <address of the coordinator>\n<request>
//! ```

use prost::Message as _;
use proto::v1;
use sha2::{Digest as _, Sha256};

/// First word of every file, with the version of its layout.
const MAGIC: &str = "strop-result-1";

/// A result is a kilobyte or two; what exceeds the protocol's limit of a message was never one.
pub(super) const BYTES_MAX: u64 = 1 << 20;

/// Why a file is no result for this coordinator.
#[derive(Debug, PartialEq)]
pub(super) enum Unfit {
    /// It is not what was written.
    Corrupt(&'static str),
    /// It is, but the coordinator at this address is to have it.
    Elsewhere(String),
}

/// The bytes of a file that holds `request` for a coordinator.
pub(super) fn lay_out(request: &v1::CompleteRequest, coordinator: &str) -> Vec<u8> {
    let body = request.encode_to_vec();
    let mut bytes = format!("{MAGIC} {} {coordinator}\n", digest(&body)).into_bytes();
    bytes.extend(body);
    bytes
}

/// The request in a file, if it is whole and for this coordinator.
pub(super) fn parse(bytes: &[u8], coordinator: &str) -> Result<v1::CompleteRequest, Unfit> {
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Unfit::Corrupt("it is too long"));
    }
    let newline = bytes.iter().position(|b| *b == b'\n').ok_or(Unfit::Corrupt("it has no head"))?;
    let (head, body) = (&bytes[..newline], &bytes[newline + 1..]);
    let head = std::str::from_utf8(head).map_err(|_| Unfit::Corrupt("its head is not text"))?;
    let mut words = head.splitn(3, ' ');
    if words.next() != Some(MAGIC) {
        return Err(Unfit::Corrupt("its head is not that of a result"));
    }
    if words.next() != Some(digest(body).as_str()) {
        return Err(Unfit::Corrupt("its checksum does not match"));
    }
    match words.next() {
        Some(address) if address == coordinator => {}
        Some(address) => return Err(Unfit::Elsewhere(address.to_owned())),
        None => return Err(Unfit::Corrupt("it names no coordinator")),
    }
    v1::CompleteRequest::decode(body).map_err(|_| Unfit::Corrupt("it holds no result"))
}

/// A file name for an attempt, without an ending. The lease's id is opaque, so its digest stands
/// in for it.
pub(super) fn name(request: &v1::CompleteRequest) -> String {
    let lease = request.r#ref.clone().unwrap_or_default();
    let lease_digest = &digest(lease.lease_id.as_bytes())[..12];
    format!("trial-{}-attempt-{}-{lease_digest}", lease.trial_id, lease.attempt)
}

/// SHA-256, in hexadecimal.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
