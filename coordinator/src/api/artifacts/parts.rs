//! [`Parts`]: a stream of chunks of any size, as the parts that are stored.

use std::time::Duration;

use proto::v1::{PutRequest, put_request::Part};
use tokio::time::timeout;
use tonic::Streaming;

use crate::{Error, artifact::CHUNK_BYTES};

/// How long a client may take for one part: below the ten seconds after which Postgres ends a
/// transaction that nothing is asked of.
const PART_PATIENCE: Duration = Duration::from_secs(8);

/// Parts of [`CHUNK_BYTES`], the last one shorter, until as many bytes as announced have come.
pub struct Parts {
    stream: Streaming<PutRequest>,
    announced: u64,
    received: u64,
    /// Received and not part of any part yet: at most two chunks.
    rest: Vec<u8>,
}

impl Parts {
    /// The parts of what is left of a stream after its header.
    pub fn of(stream: Streaming<PutRequest>, announced: u64) -> Self {
        Self { stream, announced, received: 0, rest: Vec::new() }
    }

    /// The next part; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the stream ends before or goes on after the announced length, or holds
    /// something else than chunks; [`Error::TooSlow`].
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let filling = timeout(PART_PATIENCE, self.fill());
        filling.await.map_err(|_| TOO_SLOW)??;
        if self.rest.is_empty() {
            return Ok(None);
        }
        let rest = self.rest.split_off(self.rest.len().min(CHUNK_BYTES));
        Ok(Some(std::mem::replace(&mut self.rest, rest)))
    }

    /// Receives until there is a whole part, or the end.
    async fn fill(&mut self) -> Result<(), Error> {
        while self.rest.len() < CHUNK_BYTES {
            let chunk = match message(&mut self.stream).await? {
                Some(Part::Chunk(chunk)) => chunk,
                Some(Part::Header(_)) => {
                    return Err(Error::Invalid("a second header; send one, then chunks".into()));
                }
                None if self.received == self.announced => return Ok(()),
                None => {
                    return Err(Error::Invalid(format!(
                        "the artifact ends after {} of {} bytes",
                        self.received, self.announced
                    )));
                }
            };
            if chunk.is_empty() || chunk.len() > CHUNK_BYTES {
                return Err(Error::Invalid(format!(
                    "a chunk of {} bytes; send from 1 to {CHUNK_BYTES}",
                    chunk.len()
                )));
            }
            self.received += chunk.len() as u64;
            if self.received > self.announced {
                return Err(Error::Invalid(format!(
                    "the artifact goes on after the {} bytes of its header",
                    self.announced
                )));
            }
            self.rest.extend(chunk);
        }
        Ok(())
    }
}

const TOO_SLOW: Error = Error::TooSlow("the artifact's chunks come too slowly; send it again");

/// The next message; `None` at the end of the stream.
///
/// # Errors
///
/// [`Error::Invalid`] if the stream breaks or a message is empty; [`Error::TooSlow`].
pub async fn message(stream: &mut Streaming<PutRequest>) -> Result<Option<Part>, Error> {
    let next = timeout(PART_PATIENCE, stream.message()).await.map_err(|_| TOO_SLOW)?;
    let next = next.map_err(|status| {
        Error::Invalid(format!("the stream of the artifact broke: {}", status.message()))
    })?;
    let Some(message) = next else { return Ok(None) };
    let part = message.part.ok_or_else(|| {
        Error::Invalid("a message with neither header nor chunk; send one, then chunks".into())
    })?;
    Ok(Some(part))
}
