//! What workers say of an artifact before they send it.

use proto::v1 as wire;

use super::{invalid, lease::fence};
use crate::{Error, artifact::Announced};

/// A header, checked; `bytes_max` is the longest artifact taken.
pub fn announced(header: wire::PutHeader, bytes_max: u64) -> Result<Announced, Error> {
    match header.kind() {
        wire::ArtifactKind::Checkpoint => {}
        wire::ArtifactKind::Unspecified => {
            return Err(invalid(format!("there is no artifact of kind {}", header.kind)));
        }
    }
    let epoch = i32::try_from(header.epoch).ok().filter(|epoch| *epoch >= 1).ok_or_else(|| {
        invalid(format!("a checkpoint has at least one epoch behind it, not {}", header.epoch))
    })?;
    let bytes = header.bytes;
    if bytes == 0 {
        return Err(invalid("an artifact has at least one byte"));
    }
    if bytes > bytes_max {
        return Err(invalid(format!(
            "the artifact has {bytes} bytes and {bytes_max} are taken; start the coordinator with a \
             larger --artifact-bytes-max"
        )));
    }
    let sha256 = sha256(&header.sha256)?;
    Ok(Announced { fence: fence(header.r#ref)?, epoch, sha256, bytes })
}

/// An artifact's name.
pub fn sha256(name: &[u8]) -> Result<[u8; 32], Error> {
    name.try_into().map_err(|_| invalid(format!("a SHA-256 has 32 bytes, not {}", name.len())))
}
