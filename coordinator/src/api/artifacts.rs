//! What workers store, and what they read again.

mod parts;

use std::{pin::Pin, sync::Arc, time::Duration};

use proto::v1::{
    self as wire, artifact_service_server::ArtifactService, get_response, put_request,
};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use tokio::{
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use self::parts::Parts;
use super::{admission::refusal, convert, detached_for_long};
use crate::{
    Error,
    artifact::{Announced, CHUNK_BYTES},
    error::Doing as _,
    limits::{DOWNLOADS_AT_ONCE_MAX, UPLOADS_AT_ONCE_MAX, UPLOADS_WAITING_MAX},
    scheduler::Scheduler,
    storage::{self, artifacts},
};

/// How long an upload waits for one of those places.
const PLACE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a whole upload may take: at the default limit two megabytes a second.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(120);

/// Messages that may wait for a slow reader.
const WAITING_MAX: usize = 2;

/// How long a reader may take for one message.
const READER_PATIENCE: Duration = Duration::from_secs(60);

/// The artifact service of one replica.
pub struct Artifacts {
    scheduler: Scheduler,
    bytes_max: u64,
    places: Arc<Semaphore>,
    /// Uploads that have a place or wait for one.
    uploads: Arc<Semaphore>,
    downloads: Arc<Semaphore>,
}

impl Artifacts {
    /// `bytes_max` is the longest artifact taken.
    pub fn new(scheduler: Scheduler, bytes_max: u64) -> Self {
        let places = |limit| Arc::new(Semaphore::new(limit));
        Self {
            scheduler,
            bytes_max,
            places: places(UPLOADS_AT_ONCE_MAX),
            uploads: places(UPLOADS_AT_ONCE_MAX + UPLOADS_WAITING_MAX),
            downloads: places(DOWNLOADS_AT_ONCE_MAX),
        }
    }
}

pub type Chunks = Pin<Box<dyn Stream<Item = Result<wire::GetResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ArtifactService for Artifacts {
    type GetStream = Chunks;

    async fn put(
        &self,
        request: Request<Streaming<wire::PutRequest>>,
    ) -> Result<Response<wire::PutResponse>, Status> {
        let stream = request.into_inner();
        let (scheduler, bytes_max) = (self.scheduler.clone(), self.bytes_max);
        let places = self.places.clone();
        let in_line = Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| {
            let text = format!("{UPLOADS_WAITING_MAX} artifacts wait to be stored already");
            refusal(text, PLACE_PATIENCE)
        })?;
        let is_newest = detached_for_long(async move {
            let _in_line = in_line;
            let place = timeout(PLACE_PATIENCE, places.acquire()).await;
            let Ok(Ok(_place)) = place else {
                return Err(Error::Busy("too many artifacts are being stored; ask again"));
            };
            let upload = timeout(UPLOAD_PATIENCE, upload(scheduler.pool(), stream, bytes_max));
            match scheduler.stop().run_until_cancelled(upload).await {
                None => Err(Error::Stopping),
                Some(Err(_)) => Err(Error::TooSlow("storing the artifact took too long")),
                Some(Ok(stored)) => stored,
            }
        })
        .await?;
        Ok(Response::new(wire::PutResponse { is_newest }))
    }

    async fn get(
        &self,
        request: Request<wire::GetRequest>,
    ) -> Result<Response<Self::GetStream>, Status> {
        let sha256 = convert::sha256(&request.into_inner().sha256)?;
        let place = Arc::clone(&self.downloads).try_acquire_owned().map_err(|_| {
            let text = format!("{DOWNLOADS_AT_ONCE_MAX} artifacts are being read already");
            refusal(text, PLACE_PATIENCE)
        })?;
        // Fails before the stream begins, so that a wrong name is an ordinary error.
        let bytes = storage::in_time(artifacts::bytes(self.scheduler.pool(), &sha256));
        let bytes = bytes.await?.unsigned_abs();
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let scheduler = self.scheduler.clone();
        self.scheduler.tasks().spawn(async move {
            let _place = place;
            let reading = read(scheduler.pool(), sha256, bytes, &sender);
            let outcome = scheduler.stop().run_until_cancelled(reading).await;
            if let Err(error) = outcome.unwrap_or(Err(Error::Stopping)) {
                // Whoever has hung up does not hear it.
                let _unheard = sender.send(Err(error.into())).await;
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Takes an artifact in, all of it or nothing: whatever fails rolls the transaction back.
async fn upload(
    pool: &PgPool,
    mut stream: Streaming<wire::PutRequest>,
    bytes_max: u64,
) -> Result<bool, Error> {
    let announced = match parts::message(&mut stream).await? {
        Some(put_request::Part::Header(header)) => convert::announced(header, bytes_max)?,
        _ => return Err(Error::Invalid("the first message must be the header".into())),
    };
    let mut tx = artifacts::upload(pool).await?;
    artifacts::check_fence(&mut tx, &announced).await?;
    let is_new = artifacts::begin(&mut tx, &announced).await?;
    let mut parts = Parts::of(stream, announced.bytes);
    let mut hash = Sha256::new();
    let mut part = 0;
    while let Some(data) = parts.next().await? {
        hash.update(&data);
        if is_new {
            artifacts::append(&mut tx, &announced, part, &data).await?;
        }
        part += 1;
    }
    check(&announced, &hash.finalize())?;
    let is_newest = artifacts::refer(&mut tx, &announced).await?;
    tx.commit().await.doing("store an artifact")?;
    Ok(is_newest)
}

fn check(announced: &Announced, sha256: &[u8]) -> Result<(), Error> {
    if announced.sha256 == sha256 {
        return Ok(());
    }
    Err(Error::Invalid("the artifact's SHA-256 is not that of its header; send it again".into()))
}

/// Sends an artifact part by part; ends early if the reader leaves.
async fn read(
    pool: &PgPool,
    sha256: [u8; 32],
    bytes: u64,
    sender: &mpsc::Sender<Result<wire::GetResponse, Status>>,
) -> Result<(), Error> {
    let header = get_response::Part::Header(wire::GetHeader { bytes });
    if !send(sender, header).await {
        return Ok(());
    }
    let parts = bytes.div_ceil(CHUNK_BYTES as u64);
    for part in 0..i32::try_from(parts).expect("four gigabytes have fewer parts") {
        let data = artifacts::chunk(pool, &sha256, part).await?;
        if !send(sender, get_response::Part::Chunk(data)).await {
            return Ok(());
        }
    }
    Ok(())
}

/// Whether the reader took it.
async fn send(
    sender: &mpsc::Sender<Result<wire::GetResponse, Status>>,
    part: get_response::Part,
) -> bool {
    let message = wire::GetResponse { part: Some(part) };
    matches!(timeout(READER_PATIENCE, sender.send(Ok(message))).await, Ok(Ok(())))
}
