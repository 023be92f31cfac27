//! [`Once`]: a call that may be repeated and is done once.

use prost::Message;
use sha2::{Digest as _, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{Error, storage::idempotency};

/// A call that may be repeated: nothing to it unless it carries a request id.
pub struct Once {
    request_id: Option<Uuid>,
    sha256: Vec<u8>,
}

impl Once {
    /// The call of a verb. The verb counts, because the requests of two may have the same bytes.
    pub fn of(verb: &str, request_id: &str, request: &impl Message) -> Result<Self, Error> {
        let request_id = match request_id {
            "" => None,
            text => Some(Uuid::parse_str(text).map_err(|_| {
                Error::Invalid("request_id is not a uuid; leave it empty if you need none".into())
            })?),
        };
        let mut hash = Sha256::new();
        hash.update(verb);
        hash.update([0]);
        hash.update(request.encode_to_vec());
        Ok(Self { request_id, sha256: hash.finalize().to_vec() })
    }

    /// What an earlier such call was answered, if there was one. Until the transaction ends, no other
    /// call with this id gets further than here.
    pub async fn answered(&self, db: &mut PgConnection) -> Result<Option<Vec<u8>>, Error> {
        match self.request_id {
            Some(request_id) => idempotency::answered(db, request_id, &self.sha256).await,
            None => Ok(None),
        }
    }

    /// Keeps the answer.
    pub async fn keep(&self, db: &mut PgConnection, response: &[u8]) -> Result<(), Error> {
        match self.request_id {
            Some(request_id) => idempotency::keep(db, request_id, &self.sha256, response).await,
            None => Ok(()),
        }
    }
}
