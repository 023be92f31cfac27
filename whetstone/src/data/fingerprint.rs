//! By what a data set is recognised.

use super::{Dataset, Split};
use serde::{Deserialize, Serialize};
use std::fmt;

/// By what a data set is recognised: its name, its sizes, and a digest of its labels in order.
///
/// Pixels are left out: to read 150 MB whenever a training begins would cost more than the mistake
/// it guards against is likely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    name: String,
    classes: usize,
    image: [usize; 3],
    train: usize,
    validation: usize,
    test: usize,
    labels: u64,
}

impl Dataset {
    /// By what it is recognised.
    pub fn fingerprint(&self) -> Fingerprint {
        let parts = [Some(&self.train), self.validation.as_ref(), Some(&self.test)];
        Fingerprint {
            name: self.name.clone(),
            classes: self.classes,
            image: [self.height, self.width, self.channels],
            train: self.train.len(),
            validation: self.validation.as_ref().map_or(0, Split::len),
            test: self.test.len(),
            labels: parts.into_iter().flatten().fold(OFFSET, |sum, part| fnv(sum, part.labels())),
        }
    }
}

/// Where FNV-1a begins: G. Fowler, L. Noll, K. Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
/// What it multiplies by.
const PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(sum: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(PRIME))
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, image: [height, width, channels], train, validation, test, labels, ..
        } = self;
        write!(
            f,
            "`{name}`, {train} + {validation} + {test} images of {height}×{width}×{channels}, \
             labels {labels:016x}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test vectors of the function's authors.
    #[test]
    fn the_digest_is_fnv_1a() {
        assert_eq!(fnv(OFFSET, b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv(OFFSET, b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv(OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
    }
}
