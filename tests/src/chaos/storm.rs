//! Too many at once.

use std::time::Duration;

use proto::v1::{Capabilities, LeaseRequest, worker_service_client::WorkerServiceClient};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::sleep};
use tonic::transport::Endpoint;
use uuid::Uuid;

use super::{caller::within, proxy::Proxy};

/// Connections of one storm.
const CONNECTIONS: usize = 300;

/// Calls of one storm.
const ASKERS: usize = 200;

/// Opens connections that say nothing or nonsense, and lets go of them after a while.
pub async fn connections(front: &Proxy, span: Duration) {
    let mut open = Vec::new();
    for number in 0..CONNECTIONS {
        // Refused is as good as open: the storm is in the asking.
        let Ok(mut stream) = TcpStream::connect(front.address).await else { continue };
        let nonsense: &[u8] = match number % 3 {
            0 => b"",
            1 => b"GET / HTTP/1.1\r\n\r\n",
            _ => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff",
        };
        let _closed = stream.write_all(nonsense).await;
        open.push(stream);
    }
    sleep(span).await;
}

/// Workers that ask for a study which nobody has, all at once, and hang up.
pub async fn askers(url: &str, span: Duration) {
    let Ok(endpoint) = Endpoint::from_shared(url.to_owned()) else { return };
    let channel = endpoint.connect_timeout(span).connect_lazy();
    let mut calls = JoinSet::new();
    for _ in 0..ASKERS {
        let request = LeaseRequest {
            worker_id: Uuid::new_v4().to_string(),
            capabilities: Some(Capabilities {
                objectives: vec!["external".into()],
                studies: vec!["of-nobody".into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let mut client = WorkerServiceClient::new(channel.clone());
        calls.spawn(async move { client.lease(within(span * 4, request)).await });
    }
    sleep(span).await;
    // Hangs up in the middle of whatever the coordinator does for them.
    calls.abort_all();
}
