//! Calls of the protocol with any bytes for a message.

use prost::bytes::{Buf as _, BufMut as _};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::http::uri::PathAndQuery,
    transport::Channel,
};

/// Longest answer taken, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// Sends bytes as one message, whatever they are, and returns the bytes of the answer. Of a stream of
/// answers, nothing is read.
///
/// # Errors
///
/// What the coordinator says, or the connection.
pub async fn call(
    channel: &Channel,
    path: &'static str,
    message: Vec<u8>,
    is_stream: bool,
) -> Result<Vec<u8>, Status> {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let (request, path) = (Request::new(message), PathAndQuery::from_static(path));
    match is_stream {
        true => grpc.server_streaming(request, path, Bytes).await.map(|_| Vec::new()),
        false => grpc.unary(request, path, Bytes).await.map(tonic::Response::into_inner),
    }
}

/// Messages as they are.
#[derive(Clone, Copy, Default)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Bytes;
    type Decoder = Bytes;

    fn encoder(&mut self) -> Bytes {
        Bytes
    }

    fn decoder(&mut self) -> Bytes {
        Bytes
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, message: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&message);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length).to_vec()))
    }
}
