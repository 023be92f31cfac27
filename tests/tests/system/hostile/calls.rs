//! Every call of the protocol, each with a message that is in order.

use prost::Message;
use proto::v1::{
    ArtifactKind, CancelStudyRequest, CancelTrialRequest, Capabilities, CompleteRequest,
    CreateStudyRequest, DrainWorkersRequest, EnqueueTrialsRequest, ExtendStudyRequest, FailRequest,
    GetCalibrationRequest, GetDependenceRequest, GetImportanceRequest, GetParetoFrontRequest,
    GetRequest, GetStudyRequest, GetTrialRequest, HeartbeatRequest, ImportTrialsRequest,
    ImportedTrial, ImportedTrials, Lease, LeaseRequest, ListStudiesRequest, ListTrialsRequest,
    ListWorkersRequest, Metric, PauseStudyRequest, PrioritizeStudyRequest, PutHeader, PutRequest,
    ReleaseRequest, ReportMetricsRequest, ResumeStudyRequest, UndrainWorkersRequest,
    WatchStudyRequest, import_trials_request::From, put_request::Part,
    study_service_client::StudyServiceClient,
};
use tests::{Hand, space};
use tonic::transport::Channel;
use uuid::Uuid;

/// A call.
pub struct Call {
    /// Its path.
    pub path: &'static str,
    /// Whether it is answered with a stream.
    pub is_stream: bool,
    /// A message that is in order.
    pub message: Vec<u8>,
}

/// All calls, about a study of that coordinator and trials that are leased there.
pub async fn all(channel: &Channel) -> Vec<Call> {
    let spec = space::external("known", space::eight_switches(), 100);
    let create = CreateStudyRequest { spec: Some(spec.clone()), request_id: String::new() };
    StudyServiceClient::new(channel.clone()).create_study(create).await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..6 {
        leases.push(Hand::new(channel).lease().await);
    }
    let r#ref = |place: usize| leases[place].r#ref.clone();
    let name = || "known".to_owned();
    let request_id = || Uuid::new_v4().to_string();
    let point = |lease: &Lease| lease.point.clone().unwrap();
    let measured = || [("accuracy".to_owned(), 0.5)].into();
    let spec = proto::v1::StudySpec { name: "new".into(), max_trials: 1, ..spec };
    let header = PutHeader {
        r#ref: r#ref(5),
        kind: ArtifactKind::Checkpoint.into(),
        epoch: 1,
        sha256: vec![7; 32],
        bytes: 3,
    };
    let imported =
        ImportedTrial { point: Some(point(&leases[0])), value: 0.5, measurements: measured() };
    let from = From::Trials(ImportedTrials { trials: vec![imported], source: "file".into() });
    let metrics = vec![Metric { step: 1, name: "loss".into(), value: 0.5 }];
    let call =
        |path, message: &dyn Encoded| Call { path, is_stream: false, message: message.bytes() };
    let stream = |path, message: &dyn Encoded| Call { is_stream: true, ..call(path, message) };
    vec![
        call(
            "/strop.v1.WorkerService/Lease",
            &LeaseRequest {
                worker_id: request_id(),
                slot: 1,
                capabilities: Some(Capabilities {
                    objectives: vec!["external".into()],
                    studies: vec!["none".into()],
                    label: "node".into(),
                    device: "cpu".into(),
                }),
                wait: Some(Default::default()),
            },
        ),
        call(
            "/strop.v1.WorkerService/Heartbeat",
            &HeartbeatRequest { r#ref: r#ref(0), progress: 0.5 },
        ),
        call(
            "/strop.v1.WorkerService/ReportMetrics",
            &ReportMetricsRequest { r#ref: r#ref(1), metrics, ..Default::default() },
        ),
        call(
            "/strop.v1.WorkerService/Complete",
            &CompleteRequest {
                r#ref: r#ref(2),
                value: 0.5,
                measurements: measured(),
                pruned: false,
            },
        ),
        call(
            "/strop.v1.WorkerService/Fail",
            &FailRequest { r#ref: r#ref(3), failure_class: 6, detail: "it went away".into() },
        ),
        call(
            "/strop.v1.WorkerService/Release",
            &ReleaseRequest { r#ref: r#ref(4), reason: "drain".into() },
        ),
        call("/strop.v1.ArtifactService/Put", &PutRequest { part: Some(Part::Header(header)) }),
        stream("/strop.v1.ArtifactService/Get", &GetRequest { sha256: vec![7; 32] }),
        call(
            "/strop.v1.StudyService/CreateStudy",
            &CreateStudyRequest { spec: Some(spec), request_id: request_id() },
        ),
        call("/strop.v1.StudyService/GetStudy", &GetStudyRequest { name: name() }),
        call("/strop.v1.StudyService/ListStudies", &ListStudiesRequest {}),
        call(
            "/strop.v1.StudyService/PauseStudy",
            &PauseStudyRequest { name: "new".into(), request_id: request_id() },
        ),
        call(
            "/strop.v1.StudyService/ResumeStudy",
            &ResumeStudyRequest { name: "new".into(), request_id: request_id() },
        ),
        call(
            "/strop.v1.StudyService/CancelStudy",
            &CancelStudyRequest { name: "other".into(), request_id: request_id() },
        ),
        call(
            "/strop.v1.StudyService/PrioritizeStudy",
            &PrioritizeStudyRequest { name: name(), priority: -3, request_id: request_id() },
        ),
        call("/strop.v1.StudyService/GetParetoFront", &GetParetoFrontRequest { study: name() }),
        call(
            "/strop.v1.StudyService/ExtendStudy",
            &ExtendStudyRequest { name: name(), max_trials: 120, request_id: request_id() },
        ),
        call(
            "/strop.v1.StudyService/ImportTrials",
            &ImportTrialsRequest {
                study: name(),
                from: Some(from),
                skip_outside: true,
                request_id: request_id(),
            },
        ),
        call(
            "/strop.v1.StudyService/ListTrials",
            &ListTrialsRequest { study: name(), from_number: 1, limit: 5 },
        ),
        call("/strop.v1.StudyService/GetTrial", &GetTrialRequest { study: name(), number: 1 }),
        call(
            "/strop.v1.StudyService/CancelTrial",
            &CancelTrialRequest { study: name(), number: 9, request_id: request_id() },
        ),
        call(
            "/strop.v1.StudyService/EnqueueTrials",
            &EnqueueTrialsRequest {
                study: name(),
                points: vec![point(&leases[1])],
                request_id: request_id(),
            },
        ),
        stream("/strop.v1.StudyService/WatchStudy", &WatchStudyRequest { name: name() }),
        call("/strop.v1.StudyService/GetImportance", &GetImportanceRequest { study: name() }),
        call("/strop.v1.StudyService/GetCalibration", &GetCalibrationRequest { study: name() }),
        call(
            "/strop.v1.StudyService/GetDependence",
            &GetDependenceRequest { study: name(), parameter: "switch_1".into() },
        ),
        call("/strop.v1.StudyService/ListWorkers", &ListWorkersRequest { with_gone: true }),
        call(
            "/strop.v1.StudyService/DrainWorkers",
            &DrainWorkersRequest {
                worker: "node".into(),
                reason: "dust".into(),
                request_id: request_id(),
            },
        ),
        call(
            "/strop.v1.StudyService/UndrainWorkers",
            &UndrainWorkersRequest { worker: "node".into(), request_id: request_id() },
        ),
    ]
}

/// Any message.
trait Encoded {
    fn bytes(&self) -> Vec<u8>;
}

impl<M: Message> Encoded for M {
    fn bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

/// A call that is added to the protocol is sent malformed messages too.
#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_protocol_is_among_them() {
    let town = tests::Town::new().await;
    let coordinator = town.coordinator().await;
    let mut known: Vec<&str> =
        all(&coordinator.channel).await.iter().map(|call| call.path).collect();
    known.sort_unstable();
    let descriptors = proto::DESCRIPTORS;
    let set = prost_types::FileDescriptorSet::decode(descriptors).unwrap();
    let mut wanted = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                wanted.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    wanted.sort_unstable();
    assert_eq!(known, wanted);
}
