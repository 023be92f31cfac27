//! Who is let in: a call's rate, its place among those under way, its time.
//!
//! In front of every service and before any message is read. What does not get in is refused at once,
//! so that a storm is shed and not queued; the numbers and their reasons are in [`limits`].

mod bucket;

use std::{
    future::Future,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{
    Code, Status,
    body::Body,
    codegen::{BoxFuture, Service, http},
    metadata::MetadataValue,
};

use self::bucket::Bucket;
use crate::limits;

/// The trailer by which gRPC tells a client when to try again, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// How long one that found no place should wait: a place of some other call is free by then.
const PLACE_PAUSE: Duration = Duration::from_secs(1);

/// How long one should wait whose call for a trial found none: longer than such a call is held.
const LEASE_PAUSE: Duration = Duration::from_secs(30);

/// One connection, as its calls know it. Cheap to clone; clones share what they count.
#[derive(Clone, Debug)]
pub struct Caller {
    workers: Arc<Bucket>,
    people: Arc<Bucket>,
}

impl Caller {
    /// A connection that has made no call yet.
    pub fn new() -> Self {
        let bucket = |rate, burst| Arc::new(Bucket::new(rate, burst));
        Self {
            workers: bucket(limits::CONNECTION_CALLS_PER_S, limits::CONNECTION_CALLS_AT_ONCE),
            people: bucket(limits::PEOPLE_CALLS_PER_S, limits::PEOPLE_CALLS_AT_ONCE),
        }
    }
}

impl Default for Caller {
    fn default() -> Self {
        Caller::new()
    }
}

/// What a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A call for a trial, which may wait.
    Lease,
    /// A heartbeat or a report.
    Report,
    /// A person's question or order.
    Question,
    /// A person's question that is computed.
    Computed,
    /// A stream, which takes its own place where it is served.
    Stream,
    /// The state of a training on its way, likewise.
    Artifact,
}

impl Kind {
    fn of(path: &str) -> Kind {
        match path.strip_prefix("/strop.v1.") {
            Some("WorkerService/Lease") => Kind::Lease,
            Some(path) if path.starts_with("WorkerService/") => Kind::Report,
            Some(path) if path.starts_with("ArtifactService/") => Kind::Artifact,
            Some("StudyService/WatchStudy") => Kind::Stream,
            Some(
                "StudyService/GetImportance"
                | "StudyService/GetCalibration"
                | "StudyService/GetDependence",
            ) => Kind::Computed,
            Some(_) => Kind::Question,
            // Health and reflection.
            None => Kind::Stream,
        }
    }

    fn is_of_workers(self) -> bool {
        matches!(self, Kind::Lease | Kind::Report | Kind::Artifact)
    }

    fn patience(self) -> Option<Duration> {
        match self {
            Kind::Lease => Some(limits::WAIT_MAX + limits::CALL_PATIENCE),
            Kind::Report | Kind::Question => Some(limits::CALL_PATIENCE),
            Kind::Computed => Some(limits::COMPUTED_PATIENCE),
            Kind::Stream | Kind::Artifact => None,
        }
    }
}

/// The places of one replica.
#[derive(Debug)]
struct Places {
    leases: Arc<Semaphore>,
    reports: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

impl Places {
    /// A place for a call of a kind that takes one here.
    fn take(&self, kind: Kind) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let (places, limit, pause) = match kind {
            Kind::Lease => (&self.leases, limits::LONG_POLLS_MAX, LEASE_PAUSE),
            Kind::Report => (&self.reports, limits::REPORTS_AT_ONCE_MAX, PLACE_PAUSE),
            Kind::Question | Kind::Computed => {
                (&self.questions, limits::QUESTIONS_AT_ONCE_MAX, PLACE_PAUSE)
            }
            Kind::Stream | Kind::Artifact => return Ok(None),
        };
        match Arc::clone(places).try_acquire_owned() {
            Ok(place) => Ok(Some(place)),
            Err(_) => Err(refusal(
                format!("{limit} such calls are under way, which is as many as may be"),
                pause,
            )),
        }
    }
}

/// Puts `Admitted` in front of services.
#[derive(Clone, Debug)]
pub struct Admission {
    places: Arc<Places>,
}

impl Admission {
    /// The places of one replica, all free.
    pub fn new() -> Self {
        let places = |limit| Arc::new(Semaphore::new(limit));
        let places = Places {
            leases: places(limits::LONG_POLLS_MAX),
            reports: places(limits::REPORTS_AT_ONCE_MAX),
            questions: places(limits::QUESTIONS_AT_ONCE_MAX),
        };
        Self { places: Arc::new(places) }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Admission::new()
    }
}

impl<S> tower_layer::Layer<S> for Admission {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Admitted<S> {
        Admitted { inner, places: self.places.clone() }
    }
}

/// A service that is reached only by calls that were let in.
#[derive(Clone, Debug)]
pub struct Admitted<S> {
    inner: S,
    places: Arc<Places>,
}

impl<S, B> Service<http::Request<B>> for Admitted<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<http::Response<Body>, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let kind = Kind::of(request.uri().path());
        let caller = request.extensions().get::<Caller>();
        match counted(kind, caller).and_then(|()| self.places.take(kind)) {
            Err(refusal) => Box::pin(async { Ok(refusal.into_http()) }),
            Ok(place) => Box::pin(served(kind.patience(), place, self.inner.call(request))),
        }
    }
}

/// Counts a call of a connection.
fn counted(kind: Kind, caller: Option<&Caller>) -> Result<(), Status> {
    let Some(caller) = caller else { return Ok(()) };
    let (bucket, rate) = match kind.is_of_workers() {
        true => (&caller.workers, limits::CONNECTION_CALLS_PER_S),
        false => (&caller.people, limits::PEOPLE_CALLS_PER_S),
    };
    bucket.take(Instant::now()).map_err(|wait| {
        refusal(format!("this connection makes more than {rate} such calls a second"), wait)
    })
}

/// Waits for an answer, as long as it may take, and mends what it says.
async fn served<E>(
    patience: Option<Duration>,
    place: Option<OwnedSemaphorePermit>,
    answer: impl Future<Output = Result<http::Response<Body>, E>>,
) -> Result<http::Response<Body>, E> {
    let _place = place;
    let answered = match patience {
        None => answer.await,
        Some(patience) => match tokio::time::timeout(patience, answer).await {
            Ok(answered) => answered,
            Err(_) => {
                let seconds = patience.as_secs();
                return Ok(Status::deadline_exceeded(format!(
                    "the call was not over after {seconds} s; send its message in one go, and ask again"
                ))
                .into_http());
            }
        },
    };
    answered.map(|response| match response.extensions().get::<Status>().and_then(mended) {
        Some(status) => status.into_http(),
        None => response,
    })
}

/// What is said of a message that could not be read. The library calls a malformed one INTERNAL, which
/// reads as if it were worth another try.
fn mended(status: &Status) -> Option<Status> {
    let text = status.message();
    let is_malformed = text.starts_with("failed to decode Protobuf message")
        || text.starts_with("protocol error:")
        || text.starts_with("Missing request message")
        || text.starts_with("Unexpected EOF");
    match status.code() {
        Code::Internal if is_malformed => {
            let cause: String = text.chars().take(limits::TEXT_BYTES_MAX).collect();
            Some(Status::invalid_argument(format!(
                "the message is none of this call's ({cause}); send what strop/v1/*.proto says"
            )))
        }
        Code::OutOfRange if text.contains("message length too large") => {
            let limit = limits::MESSAGE_BYTES_MAX;
            Some(Status::out_of_range(format!(
                "the message is longer than the {limit} bytes that are taken; send less at once"
            )))
        }
        _ => None,
    }
}

/// A refusal that says when to ask again.
pub(super) fn refusal(why: String, wait: Duration) -> Status {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut status =
        Status::resource_exhausted(format!("{why}; ask again after {wait_ms} ms, or elsewhere"));
    status.metadata_mut().insert(PUSHBACK, MetadataValue::from(wait_ms));
    status
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower_layer::Layer as _;

    use super::*;

    /// Answers when it is told to.
    #[derive(Clone)]
    struct Slow(Arc<Semaphore>);

    impl Service<http::Request<()>> for Slow {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<http::Response<Body>, Infallible>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<()>) -> Self::Future {
            let told = self.0.clone();
            Box::pin(async move {
                told.acquire().await.expect("it is never closed").forget();
                Ok(http::Response::new(Body::default()))
            })
        }
    }

    fn request(path: &str, caller: Option<&Caller>) -> http::Request<()> {
        let mut request = http::Request::builder().uri(path).body(()).unwrap();
        if let Some(caller) = caller {
            request.extensions_mut().insert(caller.clone());
        }
        request
    }

    fn status(response: &http::Response<Body>) -> Option<Status> {
        response.extensions().get::<Status>().cloned()
    }

    fn is_refused(response: &http::Response<Body>) -> bool {
        let Some(status) = status(response) else { return false };
        assert_eq!(status.code(), Code::ResourceExhausted);
        let wait = status.metadata().get(PUSHBACK).unwrap().to_str().unwrap();
        assert!(wait.parse::<u64>().unwrap() >= 1, "{wait}");
        true
    }

    const QUESTION: &str = "/strop.v1.StudyService/GetStudy";
    const HEARTBEAT: &str = "/strop.v1.WorkerService/Heartbeat";

    #[tokio::test]
    async fn a_storm_of_questions_is_shed_and_leaves_heartbeats_their_places() {
        let told = Arc::new(Semaphore::new(0));
        let service = Admission::new().layer(Slow(told.clone()));
        let mut under_way = Vec::new();
        for _ in 0..limits::QUESTIONS_AT_ONCE_MAX {
            let answer = service.clone().call(request(QUESTION, None));
            under_way.push(tokio::spawn(answer));
        }
        tokio::task::yield_now().await;
        assert!(is_refused(&service.clone().call(request(QUESTION, None)).await.unwrap()));
        let heartbeat = tokio::spawn(service.clone().call(request(HEARTBEAT, None)));
        told.add_permits(under_way.len() + 1);
        assert!(!is_refused(&heartbeat.await.unwrap().unwrap()));
        for answer in under_way {
            assert!(!is_refused(&answer.await.unwrap().unwrap()));
        }
        told.add_permits(1);
        let after = service.clone().call(request(QUESTION, None)).await.unwrap();
        assert!(!is_refused(&after), "the places are free again");
    }

    #[tokio::test]
    async fn a_connection_that_asks_too_fast_slows_down_itself_alone() {
        let told = Arc::new(Semaphore::new(1_000_000));
        let service = Admission::new().layer(Slow(told));
        let (fast, slow) = (Caller::new(), Caller::new());
        let ask = |caller| service.clone().call(request(QUESTION, Some(caller)));
        let mut refused = 0;
        for _ in 0..2 * limits::PEOPLE_CALLS_AT_ONCE {
            refused += u32::from(is_refused(&ask(&fast).await.unwrap()));
        }
        assert!(refused > 0 && refused <= limits::PEOPLE_CALLS_AT_ONCE, "{refused}");
        assert!(!is_refused(&ask(&slow).await.unwrap()));
        let beat = service.clone().call(request(HEARTBEAT, Some(&fast))).await.unwrap();
        assert!(!is_refused(&beat), "workers' calls are counted apart");
    }

    #[tokio::test]
    async fn a_message_that_never_ends_holds_its_place_for_a_while_only() {
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let never = std::future::pending::<Result<http::Response<Body>, Infallible>>();
        let answer = served(Some(Duration::from_millis(10)), place, never).await.unwrap();
        assert_eq!(status(&answer).unwrap().code(), Code::DeadlineExceeded);
        assert_eq!(places.available_permits(), 1);
    }

    #[test]
    fn every_call_of_the_protocol_is_of_the_kind_that_its_service_says() {
        let path = |call: &str| format!("/strop.v1.{call}");
        assert_eq!(Kind::of(&path("WorkerService/Lease")), Kind::Lease);
        assert_eq!(Kind::of(&path("WorkerService/Complete")), Kind::Report);
        assert_eq!(Kind::of(&path("StudyService/CreateStudy")), Kind::Question);
        assert_eq!(Kind::of(&path("StudyService/GetCalibration")), Kind::Computed);
        assert_eq!(Kind::of(&path("StudyService/WatchStudy")), Kind::Stream);
        assert_eq!(Kind::of(&path("ArtifactService/Put")), Kind::Artifact);
        assert_eq!(Kind::of("/grpc.health.v1.Health/Check"), Kind::Stream);
    }
}
