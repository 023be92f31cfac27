//! Bytes that are no message, or not the one that is expected. The same seed gives the same bytes.

use super::calls::Call;

/// A source of messages.
pub struct Bodies {
    state: u64,
}

impl Bodies {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A message for a call whose good message is known, as is everybody else's.
    pub fn next(&mut self, good: &[u8], calls: &[Call]) -> Vec<u8> {
        let mut body = good.to_vec();
        match self.below(10) {
            0 => (0..self.below(300)).map(|_| self.below(256) as u8).collect(),
            1 => {
                body.truncate(self.below(body.len() + 1));
                body
            }
            2 | 3 => {
                self.flip(&mut body, 1);
                body
            }
            4 => {
                let count = 1 + self.below(16);
                self.flip(&mut body, count);
                body
            }
            // A field of another kind, number or length in the middle of a good one.
            5 => {
                let at = self.below(body.len() + 1);
                let field = (0..1 + self.below(12)).map(|_| self.below(256) as u8);
                let field: Vec<u8> = field.collect();
                body.splice(at..at, field);
                body
            }
            // Twice, which protobuf takes for one message with its fields put together.
            6 => [good, good].concat(),
            // Somebody else's.
            7 => calls[self.below(calls.len())].message.clone(),
            8 => match self.below(4) {
                0 => nested(self.below(2_000)),
                1 => groups(self.below(2_000)),
                // A length beyond the end, and one beyond 64 bits.
                2 => vec![0x0a, 0xff, 0xff, 0xff, 0x7f],
                _ => vec![0xff; 1 + self.below(40)],
            },
            _ => body,
        }
    }

    fn flip(&mut self, body: &mut [u8], count: usize) {
        for _ in 0..count {
            if !body.is_empty() {
                let at = self.below(body.len());
                body[at] ^= 1 << self.below(8);
            }
        }
    }

    /// A number below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        // SplitMix64: G. Steele et al., OOPSLA 2014.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z % end.max(1) as u64) as usize
    }
}

/// Field 1 with a length, within field 1, and so on.
pub fn nested(depth: usize) -> Vec<u8> {
    let mut reversed = Vec::new();
    for _ in 0..depth {
        // Written from its end: content, then length, then key.
        let mut length = Vec::new();
        let mut left = reversed.len();
        loop {
            length.push((left & 0x7f) as u8 | if left > 0x7f { 0x80 } else { 0 });
            left >>= 7;
            if left == 0 {
                break;
            }
        }
        reversed.extend(length.iter().rev());
        reversed.push(0x0a);
    }
    reversed.reverse();
    reversed
}

/// Groups that begin and never end: a stack of them.
pub fn groups(depth: usize) -> Vec<u8> {
    vec![0x0b; depth]
}

/// A study of so many parameters without names, in as few bytes as there are.
pub fn parameters(count: usize) -> Vec<u8> {
    use prost::Message as _;
    use proto::v1::{CreateStudyRequest, Parameter, Space, StudySpec};
    let space = Some(Space { parameters: vec![Parameter::default(); count] });
    let spec = Some(StudySpec { name: "large".into(), space, ..Default::default() });
    CreateStudyRequest { spec, request_id: String::new() }.encode_to_vec()
}

/// A report of so many metrics.
pub fn metrics(count: usize) -> Vec<u8> {
    use prost::Message as _;
    use proto::v1::{LeaseRef, Metric, ReportMetricsRequest};
    let lease_id = "00000000-0000-4000-8000-000000000000".to_owned();
    let r#ref = Some(LeaseRef { trial_id: 1, attempt: 1, lease_id });
    let metric = Metric { step: 1, name: "loss".into(), value: 0.5 };
    let metrics = vec![metric; count];
    ReportMetricsRequest { r#ref, metrics, ..Default::default() }.encode_to_vec()
}
