//! A database and coordinators on it.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use coordinator::{
    config::{Database, LogFormat, Serve},
    storage::{
        invariants::{self, Finding},
        roles,
    },
};
use embedded_postgres::Server;
use proto::v1::{
    CreateStudyRequest, GetStudyRequest, ListTrialsRequest, Study, StudySpec, Trial,
    study_service_client::StudyServiceClient,
};
use sqlx::{ConnectOptions as _, PgPool, postgres::PgConnectOptions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::{
    Hand,
    chaos::proxy::{Proxy, Upstream},
};

/// One server for the tests that run at the same time; the last of them stops it.
struct Shared {
    server: Server,
    _folder: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

fn shared() -> Arc<Shared> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = shared.upgrade() {
        return shared;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = Server::open(&folder.path().join("data")).expect("a private Postgres");
    let fresh = Arc::new(Shared { server, _folder: folder });
    *shared = Arc::downgrade(&fresh);
    fresh
}

/// A database of its own, and how to reach it.
pub struct Town {
    /// Connections of its owner, for looking at what happened and for setting the scene.
    pub pool: PgPool,
    url: String,
    shared: Arc<Shared>,
}

impl Town {
    /// A fresh database with the schema and the roles, and nobody in it.
    pub async fn new() -> Self {
        let town = Self::empty().await;
        migrations::MIGRATOR.run(&town.pool).await.expect("migrates");
        let mut owner = town.pool.acquire().await.expect("connects");
        roles::grant(&mut owner).await.expect("grants");
        drop(owner);
        town
    }

    /// A fresh database without anything in it.
    pub async fn empty() -> Self {
        let shared = tokio::task::spawn_blocking(shared).await.expect("starts");
        let name = format!("town_{}", Uuid::new_v4().simple());
        let (before, after) =
            shared.server.url().split_once("/strop?").map(both).expect("the URL names `strop`");
        let admin = PgPool::connect(&shared.server.url()).await.expect("connects");
        sqlx::query(sqlx::AssertSqlSafe(format!("create database {name}")))
            .execute(&admin)
            .await
            .expect("creates a database");
        admin.close().await;
        let url = format!("{before}/{name}?{after}");
        let pool = PgPool::connect(&url).await.expect("connects");
        Self { pool, url, shared }
    }

    /// Where the owner connects.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where another role does.
    pub fn url_of(&self, role: &str) -> String {
        self.url.replacen("//strop@", &format!("//{role}@"), 1)
    }

    /// A coordinator that serves this database, with leases of a minute.
    pub async fn coordinator(&self) -> Coordinator {
        self.coordinator_with(60).await
    }

    /// A coordinator with leases of so many seconds and a reaper that looks every second.
    pub async fn coordinator_with(&self, lease_seconds: u32) -> Coordinator {
        self.start(lease_seconds, 256 << 20).await
    }

    /// A coordinator that takes artifacts of at most so many bytes.
    pub async fn coordinator_that_takes(&self, artifact_bytes_max: u64) -> Coordinator {
        self.start(60, artifact_bytes_max).await
    }

    /// Where a proxy leads to reach the database server.
    pub fn upstream(&self) -> Upstream {
        Upstream::Unix(self.shared.server.socket_folder().join(".s.PGSQL.5432"))
    }

    /// A coordinator that reaches the database by way of a proxy, with leases of a minute.
    pub async fn coordinator_behind(&self, proxy: &Proxy) -> Coordinator {
        let (_, name) = self.url.rsplit_once('/').expect("a URL has a path");
        let (name, _) = name.split_once('?').expect("this one has options");
        let role = roles::COORDINATOR;
        let url = format!("postgres://{role}@{}/{name}?sslmode=disable", proxy.address);
        Self::start_with(Self::config(url, 60, 256 << 20)).await
    }

    /// A coordinator that reaches the database in a way of the test's own, with leases of a minute.
    pub async fn coordinator_on(&self, options: PgConnectOptions) -> Coordinator {
        let url = options.to_url_lossy().to_string();
        Self::start_with(Self::config(url, 60, 256 << 20)).await
    }

    /// What a coordinator that logs in with `role` says when it cannot serve.
    pub async fn refusal(&self, role: &str) -> String {
        let config = Self::config(self.url_of(role), 60, 256 << 20);
        let serving = coordinator::serve::serve(config, CancellationToken::new(), |_| {});
        let refused = tokio::time::timeout(Duration::from_secs(30), serving).await;
        let error = refused.expect("it refuses, and does not serve").expect_err("it refuses");
        format!("{error:#}")
    }

    fn config(url: String, lease_seconds: u32, artifact_bytes_max: u64) -> Serve {
        Serve {
            database: Database {
                database_url: Some(url),
                database_url_file: None,
                data_dir: PathBuf::from("/nonexistent"),
            },
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            insecure_bind: false,
            lease_seconds,
            reaper_seconds: 1,
            artifact_bytes_max,
            log_format: LogFormat::Text,
        }
    }

    /// As the role that may do no more than its statements, so that every test is one of the grants too.
    async fn start(&self, lease_seconds: u32, artifact_bytes_max: u64) -> Coordinator {
        let url = self.url_of(roles::COORDINATOR);
        Self::start_with(Self::config(url, lease_seconds, artifact_bytes_max)).await
    }

    async fn start_with(config: Serve) -> Coordinator {
        let stop = CancellationToken::new();
        let (tell, told) = tokio::sync::oneshot::channel();
        let task = tokio::spawn(coordinator::serve::serve(config, stop.clone(), |address| {
            tell.send(address).expect("the test waits");
        }));
        let address = told.await.expect("the coordinator serves");
        let channel = connect(address).await;
        Coordinator { channel, address, stop, task }
    }

    /// How a coordinator of one's own reaches the database.
    pub fn options(&self) -> PgConnectOptions {
        self.url.parse().expect("a URL of PostgreSQL")
    }

    /// Moves every lease's expiry into the past: time is the database's, so a test moves the lease
    /// and not the clock.
    pub async fn let_every_lease_lapse(&self) {
        sqlx::query("update lease set expires_at = clock_timestamp() - interval '1 second'")
            .execute(&self.pool)
            .await
            .expect("moves the leases");
    }

    /// That every row is as it must be.
    pub async fn is_sound(&self) {
        is_sound(&self.pool).await;
    }

    /// The same, and that nothing is left open.
    pub async fn is_at_rest(&self) {
        let mut connection = self.pool.acquire().await.expect("connects");
        holds(&invariants::check_at_rest(&mut connection).await.expect("checks"));
    }

    /// One number out of the database.
    pub async fn number(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.pool).await.expect(query)
    }

    /// Waits until a query gives a number, for at most 30 s.
    pub async fn until(&self, query: &'static str, wanted: i64) {
        for _ in 0..600 {
            if self.number(query).await == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{query} is {} after 30 s, not {wanted}", self.number(query).await);
    }
}

/// That every row of a database is as it must be, one without a town among them.
pub async fn is_sound(pool: &PgPool) {
    let mut connection = pool.acquire().await.expect("connects");
    holds(&invariants::check(&mut connection).await.expect("checks"));
}

fn holds(broken: &[Finding]) {
    let told: Vec<String> = broken.iter().map(Finding::to_string).collect();
    assert!(broken.is_empty(), "{}", told.join("\n"));
}

fn both((before, after): (&str, &str)) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

async fn connect(address: SocketAddr) -> Channel {
    let url = Channel::from_shared(format!("http://{address}")).expect("a URL");
    url.connect().await.expect("connects")
}

/// One replica.
pub struct Coordinator {
    /// A connection to it.
    pub channel: Channel,
    /// Where it listens.
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Coordinator {
    /// Another connection to it.
    pub async fn connection(&self) -> Channel {
        connect(self.address).await
    }

    /// People's verbs.
    pub fn studies(&self) -> StudyServiceClient<Channel> {
        StudyServiceClient::new(self.channel.clone()).max_decoding_message_size(16 << 20)
    }

    /// A worker's slot, of a worker of its own.
    pub fn hand(&self) -> Hand {
        Hand::new(&self.channel)
    }

    /// Creates a study.
    pub async fn create(&self, spec: StudySpec) -> Study {
        let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
        let response = self.studies().create_study(request).await.expect("creates a study");
        response.into_inner().study.expect("answers with the study")
    }

    /// A study as it stands.
    pub async fn study(&self, name: &str) -> Study {
        let request = GetStudyRequest { name: name.to_owned() };
        let response = self.studies().get_study(request).await.expect("reads the study");
        response.into_inner().study.expect("answers with the study")
    }

    /// The first 1,000 trials of a study.
    pub async fn trials(&self, name: &str) -> Vec<Trial> {
        let request = ListTrialsRequest { study: name.to_owned(), from_number: 0, limit: 0 };
        let response = self.studies().list_trials(request).await.expect("lists the trials");
        response.into_inner().trials
    }

    /// Stops it as SIGTERM would, and waits.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("does not panic").expect("stops cleanly");
    }
}
