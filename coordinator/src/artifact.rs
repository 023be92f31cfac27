//! What workers store: the domain, without SQL and without wire.

use crate::trial::LeaseRef;

/// Bytes of one stored part and of one message. Large enough that a statement each costs little,
/// small enough for a message.
pub const CHUNK_BYTES: usize = 256 << 10;

/// What a worker says of an artifact before it sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// On behalf of which attempt.
    pub fence: LeaseRef,
    /// Epochs trained in the checkpoint that it is, at least 1.
    pub epoch: i32,
    /// What it will hash to.
    pub sha256: [u8; 32],
    /// How long it will be, at least 1.
    pub bytes: u64,
}

/// Where a trial's training can go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Epochs trained.
    pub epoch: i32,
    /// Names the artifact that holds the state.
    pub sha256: Vec<u8>,
    /// Length of that.
    pub bytes: i64,
}
