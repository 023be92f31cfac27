//! Artifacts on the wire: the header and the chunks of one, and what comes of them again.

use std::sync::Arc;

use proto::v1;
use sha2::{Digest as _, Sha256};

use crate::checkpoints::Checkpoint;

/// Bytes of one chunk; the protocol's limit.
pub const CHUNK_BYTES: usize = 256 << 10;

/// Longest artifact that is fetched. The state of a training takes 12 bytes for each number that it
/// learns: whoever announces more is broken.
pub const BYTES_MAX: u64 = 4 << 30;

/// The messages that store a checkpoint on behalf of an attempt. Hashes all of it, which takes a
/// moment for a large one.
pub fn requests(
    lease: v1::LeaseRef,
    checkpoint: Arc<Checkpoint>,
) -> impl Iterator<Item = v1::PutRequest> + Send + 'static {
    use v1::put_request::Part;
    let bytes = &checkpoint.bytes;
    let header = v1::PutHeader {
        r#ref: Some(lease),
        kind: v1::ArtifactKind::Checkpoint.into(),
        epoch: checkpoint.epoch,
        sha256: Sha256::digest(bytes).to_vec(),
        bytes: bytes.len() as u64,
    };
    let count = bytes.len().div_ceil(CHUNK_BYTES);
    let chunks = (0..count).map(move |chunk| {
        let chunk = &checkpoint.bytes[chunk * CHUNK_BYTES..];
        Part::Chunk(chunk[..chunk.len().min(CHUNK_BYTES)].to_vec())
    });
    std::iter::once(Part::Header(header))
        .chain(chunks)
        .map(|part| v1::PutRequest { part: Some(part) })
}

/// Why what came is not the artifact that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Not one header and then chunks.
    #[error("it did not come as a header and then chunks")]
    Disorder,
    /// Shorter or longer than was said.
    #[error("it has {received} bytes or more, and {announced} were announced")]
    Length {
        /// What was said.
        announced: u64,
        /// What had come when that was seen.
        received: u64,
    },
    /// As long as was said, but not what was stored.
    #[error("its SHA-256 is not its name")]
    Content,
}

/// An artifact while it comes in.
#[derive(Debug)]
pub struct Incoming {
    announced: u64,
    has_header: bool,
    bytes: Vec<u8>,
}

impl Incoming {
    /// Nothing yet, of an artifact that is said to have so many bytes.
    ///
    /// # Errors
    ///
    /// [`Damage::Length`] if that is beyond [`BYTES_MAX`].
    pub fn new(announced: u64) -> Result<Incoming, Damage> {
        if announced > BYTES_MAX {
            return Err(Damage::Length { announced, received: 0 });
        }
        // Room is made as bytes come, and not for what is said.
        Ok(Incoming { announced, has_header: false, bytes: Vec::new() })
    }

    /// Takes the next message in.
    ///
    /// # Errors
    ///
    /// [`Damage`].
    pub fn take(&mut self, message: v1::GetResponse) -> Result<(), Damage> {
        use v1::get_response::Part;
        match message.part {
            Some(Part::Header(header)) if !self.has_header => {
                self.has_header = true;
                match header.bytes == self.announced {
                    true => Ok(()),
                    false => Err(self.wrong_length(header.bytes)),
                }
            }
            Some(Part::Chunk(chunk)) if self.has_header => {
                let received = (self.bytes.len() + chunk.len()) as u64;
                if received > self.announced {
                    return Err(self.wrong_length(received));
                }
                self.bytes.extend(chunk);
                Ok(())
            }
            _ => Err(Damage::Disorder),
        }
    }

    /// The whole, once everything has come. Hashes all of it.
    ///
    /// # Errors
    ///
    /// [`Damage`].
    pub fn whole(self, sha256: &[u8]) -> Result<Vec<u8>, Damage> {
        let received = self.bytes.len() as u64;
        if received != self.announced {
            return Err(self.wrong_length(received));
        }
        match Sha256::digest(&self.bytes).as_slice() == sha256 {
            true => Ok(self.bytes),
            false => Err(Damage::Content),
        }
    }

    fn wrong_length(&self, received: u64) -> Damage {
        Damage::Length { announced: self.announced, received }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(bytes: Vec<u8>) -> (v1::PutHeader, Vec<Vec<u8>>) {
        let lease = v1::LeaseRef { trial_id: 7, ..Default::default() };
        let mut chunks = Vec::new();
        let mut header = None;
        for request in requests(lease, Checkpoint { epoch: 3, bytes }.into()) {
            match request.part.unwrap() {
                v1::put_request::Part::Header(first) => header = Some(first),
                v1::put_request::Part::Chunk(chunk) => chunks.push(chunk),
            }
        }
        (header.unwrap(), chunks)
    }

    fn message(part: v1::get_response::Part) -> v1::GetResponse {
        v1::GetResponse { part: Some(part) }
    }

    fn received(announced: u64, sha256: &[u8], chunks: &[Vec<u8>]) -> Result<Vec<u8>, Damage> {
        use v1::get_response::Part;
        let mut incoming = Incoming::new(announced)?;
        incoming.take(message(Part::Header(v1::GetHeader { bytes: announced })))?;
        for chunk in chunks {
            incoming.take(message(Part::Chunk(chunk.clone())))?;
        }
        incoming.whole(sha256)
    }

    #[test]
    fn what_is_cut_into_chunks_comes_together_again() {
        for length in [1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1] {
            let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
            let (header, chunks) = sent(bytes.clone());
            assert_eq!(header.bytes, length as u64);
            assert_eq!(chunks.len(), length.div_ceil(CHUNK_BYTES));
            assert_eq!(received(header.bytes, &header.sha256, &chunks), Ok(bytes));
        }
    }

    #[test]
    fn damage_of_every_kind_is_seen() {
        let (header, chunks) = sent(vec![5; 1_000]);
        let announced = header.bytes;
        let mut flipped = chunks.clone();
        flipped[0][999] ^= 1;
        assert_eq!(received(announced, &header.sha256, &flipped), Err(Damage::Content));
        let short = vec![chunks[0][..999].to_vec()];
        let length = |received| Err(Damage::Length { announced, received });
        assert_eq!(received(announced, &header.sha256, &short), length(999));
        let long = vec![chunks[0].clone(), vec![5]];
        assert_eq!(received(announced, &header.sha256, &long), length(1_001));
        assert!(Incoming::new(BYTES_MAX + 1).is_err(), "nobody makes room for that");
        let headless = Incoming::new(announced)
            .unwrap()
            .take(message(v1::get_response::Part::Chunk(chunks[0].clone())));
        assert_eq!(headless, Err(Damage::Disorder));
    }
}
