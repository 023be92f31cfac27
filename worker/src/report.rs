//! [`Report`]: how an attempt ends, as the coordinator hears it.

use proto::v1;

use crate::evaluation::{Failure, Measured};
use crate::halt::Why;

/// Longest detail of a failure, in bytes; the protocol's limit.
const DETAIL_MAX: usize = 8 << 10;

/// One of the three calls that end an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// It has a value.
    Complete(v1::CompleteRequest),
    /// It has none, and somebody should know why.
    Fail(v1::FailRequest),
    /// It was given back unharmed.
    Release(v1::ReleaseRequest),
}

/// What the coordinator answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value stands.
    Recorded {
        /// An earlier sending of the same report had got through.
        duplicate: bool,
    },
    /// The failure stands.
    Failed {
        /// The trial will be tried again.
        retried: bool,
    },
    /// The trial waits for another worker.
    Released,
}

impl Report {
    /// What to say of an attempt that ended with `outcome`, its halt raised for `why` if at all;
    /// `None` if nobody would listen.
    ///
    /// A value that was reached after the lease *may* have lapsed is still reported: it counts
    /// until somebody else holds the trial.
    pub fn of(
        lease: v1::LeaseRef,
        outcome: &Result<Measured, Failure>,
        why: Option<Why>,
    ) -> Option<Report> {
        if why == Some(Why::Lost) {
            return None;
        }
        match outcome {
            Ok(measured) => Some(Report::Complete(v1::CompleteRequest {
                r#ref: Some(lease),
                value: measured.value,
                measurements: measured.measurements.clone(),
                pruned: measured.is_pruned,
            })),
            Err(Failure::Stopped) => match why {
                // Pruned before its first value: whoever takes it up is told again.
                Some(why @ (Why::Cancelled | Why::Pruned | Why::Drain)) => {
                    let reason = why.word().to_owned();
                    Some(Report::Release(v1::ReleaseRequest { r#ref: Some(lease), reason }))
                }
                // Not lost for certain: if the coordinator returns in time, it hands the same
                // lease to the same slot again.
                Some(Why::Lapsed | Why::Lost) | None => None,
            },
            Err(failure) => Some(Report::fail(lease, failure)),
        }
    }

    /// A failed attempt.
    pub fn fail(lease: v1::LeaseRef, failure: &Failure) -> Report {
        let mut detail = failure.to_string();
        detail.truncate(detail.floor_char_boundary(DETAIL_MAX));
        let failure_class = failure.class() as i32;
        Report::Fail(v1::FailRequest { r#ref: Some(lease), failure_class, detail })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outcome: Result<Measured, Failure>, why: Option<Why>) -> Option<Report> {
        Report::of(v1::LeaseRef::default(), &outcome, why)
    }

    fn value() -> Result<Measured, Failure> {
        Ok(Measured { value: 0.5, measurements: Default::default(), is_pruned: false })
    }

    #[test]
    fn only_a_lost_lease_silences_a_value() {
        assert_eq!(of(value(), Some(Why::Lost)), None);
        for why in [None, Some(Why::Lapsed), Some(Why::Cancelled), Some(Why::Drain)] {
            assert!(matches!(of(value(), why), Some(Report::Complete(_))), "{why:?}");
        }
    }

    #[test]
    fn a_stopped_attempt_is_given_back_only_if_it_is_ours_to_give() {
        let reasons =
            [(Why::Drain, "drain"), (Why::Cancelled, "cancelled"), (Why::Pruned, "pruned")];
        for (why, reason) in reasons {
            let Some(Report::Release(release)) = of(Err(Failure::Stopped), Some(why)) else {
                panic!("no release after {why:?}");
            };
            assert_eq!(release.reason, reason);
        }
        for why in [Why::Lost, Why::Lapsed] {
            assert_eq!(of(Err(Failure::Stopped), Some(why)), None);
        }
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let Some(Report::Fail(fail)) = of(Err(Failure::Data("ä".repeat(9_000))), None) else {
            panic!("no failure");
        };
        assert_eq!(fail.failure_class(), v1::FailureClass::Data);
        assert_eq!(fail.detail, "ä".repeat(DETAIL_MAX / 2));
    }
}
