//! A coordinator with a Postgres of its own, and clients that lease and complete.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use embedded_postgres::Server;
use proto::v1::{
    Algorithm, Capabilities, CompleteRequest, CreateStudyRequest, Direction, ExternalObjective,
    LeaseRequest, Objective, OrdinalDomain, Parameter, Space, StudySpec, objective, parameter,
    study_service_client::StudyServiceClient, worker_service_client::WorkerServiceClient,
};
use tonic::transport::Channel;
use uuid::Uuid;

/// Options of the 22 parameters of the paper's second case study, in its order.
const OPTIONS: [usize; 22] = [5, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 4, 5, 3, 2, 2, 3, 3, 2, 3];

/// A coordinator as a process of its own. Dropping it ends both.
pub struct Service {
    coordinator: Child,
    /// Where it listens.
    pub url: String,
    // Fields are dropped in this order: the server, then its files.
    server: Server,
    _folder: tempfile::TempDir,
}

impl Service {
    pub fn start(program: Option<&Path>) -> Result<Service> {
        let program = program.map_or_else(beside, |path| Ok(path.to_owned()))?;
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let server = Server::open(&data)?;
        let log = fs::File::create(folder.path().join("coordinator.log"))?;
        let coordinator = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data)
            .env_remove("DATABASE_URL")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let begun = Instant::now();
        let url = loop {
            if let Ok(url) = fs::read_to_string(data.join("coordinator.url"))
                && url.ends_with('\n')
            {
                break url.trim().to_owned();
            }
            if begun.elapsed() > Duration::from_secs(60) {
                bail!("the coordinator does not start");
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        Ok(Service { coordinator, url, server, _folder: folder })
    }

    pub fn database_url(&self) -> String {
        self.server.url()
    }

    pub async fn connect(&self) -> Result<Channel> {
        Ok(Channel::from_shared(self.url.clone())?.connect().await?)
    }

    /// Processor time that the coordinator has used.
    pub fn cpu_seconds(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.coordinator.id()))?;
        let (_, after) = stat.rsplit_once(')').context("a name ends with a parenthesis")?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / rustix::param::clock_ticks_per_second() as f64)
    }

    /// The most memory that the coordinator has held, in MiB.
    pub fn peak_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.coordinator.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("VmHWM")?;
        let kib = line.split_whitespace().nth(1).context("a number")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.coordinator.kill();
        let _ = self.coordinator.wait();
    }
}

/// The coordinator of the build that this program belongs to.
fn beside() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = this.parent().and_then(Path::parent).context("benches lie in target/…/deps")?;
    let program = folder.join("strop-coordinator");
    if !program.exists() {
        bail!("{} is missing; cargo build --release -p coordinator", program.display());
    }
    Ok(program)
}

/// What a study of so many trials at random points looks like.
pub fn study(name: &str, max_trials: u32) -> StudySpec {
    let parameters = OPTIONS.iter().enumerate().map(|(i, &options)| Parameter {
        name: format!("parameter_{i}"),
        domain: Some(parameter::Domain::Ordinal(OrdinalDomain {
            values: (0..options).map(|option| option as f64).collect(),
        })),
        ..Parameter::default()
    });
    StudySpec {
        name: name.to_owned(),
        space: Some(Space { parameters: parameters.collect() }),
        objective: Some(Objective {
            kind: Some(objective::Kind::External(ExternalObjective::default())),
        }),
        direction: Direction::Maximize.into(),
        algorithm: Algorithm::Random.into(),
        max_trials,
        ..StudySpec::default()
    }
}

/// Creates a study.
pub async fn create(channel: Channel, spec: StudySpec) -> Result<()> {
    let request = CreateStudyRequest { spec: Some(spec), request_id: String::new() };
    StudyServiceClient::new(channel).create_study(request).await?;
    Ok(())
}

/// A call for work.
pub fn call(worker: Uuid, wait: Duration) -> LeaseRequest {
    LeaseRequest {
        worker_id: worker.to_string(),
        capabilities: Some(Capabilities {
            objectives: vec!["external".to_owned()],
            label: "bench".to_owned(),
            device: "none".to_owned(),
            ..Capabilities::default()
        }),
        wait: wait.try_into().ok(),
        ..LeaseRequest::default()
    }
}

/// What a round came to.
pub struct Done {
    pub trials: usize,
    /// Trials a second.
    pub rate: f64,
    /// Of lease and complete together, rising.
    milliseconds: Vec<f64>,
}

impl Done {
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.milliseconds.len() - 1;
        self.milliseconds[(share * last as f64) as usize]
    }
}

/// So many clients lease and complete for a while.
pub async fn run(service: &Service, clients: usize, length: Duration) -> Result<Done> {
    let name = format!("round-{}", Uuid::new_v4().simple());
    create(service.connect().await?, study(&name, 100_000)).await?;
    let begun = Instant::now();
    let mut running = Vec::new();
    for _ in 0..clients {
        running.push(tokio::spawn(client(service.connect().await?, begun + length)));
    }
    let mut milliseconds = Vec::new();
    for client in running {
        milliseconds.extend(client.await??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    milliseconds.sort_by(f64::total_cmp);
    let trials = milliseconds.len();
    // The next round has the coordinator to itself.
    let cancel = proto::v1::CancelStudyRequest { name, ..Default::default() };
    StudyServiceClient::new(service.connect().await?).cancel_study(cancel).await?;
    Ok(Done { trials, rate: trials as f64 / seconds, milliseconds })
}

async fn client(channel: Channel, end: Instant) -> Result<Vec<f64>> {
    let mut client = WorkerServiceClient::new(channel);
    let worker = Uuid::new_v4();
    let mut milliseconds = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        let answer = client.lease(call(worker, Duration::from_secs(20))).await?.into_inner();
        let lease = answer.lease.context("the study has trials left")?;
        let report = CompleteRequest { r#ref: lease.r#ref, value: 0.5, ..Default::default() };
        client.complete(report).await?;
        milliseconds.push(1e3 * begun.elapsed().as_secs_f64());
    }
    Ok(milliseconds)
}
