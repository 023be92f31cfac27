//! The median stopping rule.

use super::{Compared, Curve, Limits, Verdict, middle};

/// Stops a trial whose best value so far *at its stage* is strictly worse than the median, over the
/// trials that have ended, of the mean of their values at that stage up to the same place.
///
/// Where nothing sharpens this is the rule as published: the best up to step `s` against the median of
/// the running averages up to `s`. Where something does, best and means are taken within the stage, since
/// a softer network's value is no measure for a harder one's.
///
/// Reference: D. Golovin et al., "Google Vizier", KDD 2017, section 3.2.2.
pub(super) fn judge(limits: Limits, own: &Curve, peers: &[Curve]) -> Verdict {
    let Some(now) = own.newest().filter(|now| now.step >= limits.steps_min) else {
        return Verdict::TooEarly;
    };
    let mut means: Vec<f64> = peers
        .iter()
        .filter(|peer| peer.has_ended() && peer.layers() == own.layers())
        .filter_map(|peer| mean(&peer.at(now.stage, now.place).collect::<Vec<_>>()))
        .collect();
    means.sort_by(f64::total_cmp);
    let count = means.len() as u32;
    let needed = limits.trials_min.max(1);
    match middle(&means) {
        Some(threshold) if count >= needed => {
            let value = own.at(now.stage, now.place).fold(f64::NEG_INFINITY, f64::max);
            let (step, stage, place) = (now.step, now.stage, now.place);
            Compared { step, stage, place, value, threshold, peers: count }.verdict()
        }
        _ => Verdict::TooFew { peers: count, needed },
    }
}

/// `None` of nothing. Divided first, because the sum may be no double.
fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|value| value / n).sum())
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;

    const LIMITS: Limits = Limits { trials_min: 3, steps_min: 0 };

    fn steps(has_ended: bool, values: &[f64]) -> Curve {
        let reports =
            (0..).zip(values).map(|(step, &value)| Report { step, sharpness: None, value });
        Curve::new(0, has_ended, reports.collect())
    }

    /// Two layers: `soft` epochs, then one a layer.
    fn network(has_ended: bool, soft: usize, values: &[f64]) -> Curve {
        let sharpness = std::iter::repeat_n(0.0, soft).chain([0.5, 1.0]);
        let reports = (0..)
            .zip(values.iter().zip(sharpness))
            .map(|(step, (&value, mean))| Report { step, sharpness: Some(mean), value });
        Curve::new(2, has_ended, reports.collect())
    }

    #[test]
    fn by_step_it_is_the_rule_as_published() {
        // Running averages up to step 1: 0.3, 0.5, 0.7. Their median is 0.5.
        let peers =
            [steps(true, &[0.2, 0.4, 9.0]), steps(true, &[0.4, 0.6]), steps(true, &[0.6, 0.8])];
        let compared =
            |value| Compared { step: 1, stage: 0, place: 1, value, threshold: 0.5, peers: 3 };
        // The best so far counts, not the last.
        let falling = judge(LIMITS, &steps(false, &[0.5, 0.1]), &peers);
        assert_eq!(falling, Verdict::Continue(compared(0.5)));
        let low = judge(LIMITS, &steps(false, &[0.49, 0.45]), &peers);
        assert_eq!(low, Verdict::Prune(compared(0.49)));
    }

    #[test]
    fn a_value_is_compared_at_its_own_sharpness_whatever_the_epoch() {
        // Soft networks reach 0.9, half-hard ones 0.6 at most: an epoch apart it would look bad.
        let peers = [
            network(true, 4, &[0.9, 0.9, 0.9, 0.9, 0.5, 0.4]),
            network(true, 3, &[0.9, 0.9, 0.9, 0.6, 0.4]),
            network(true, 2, &[0.9, 0.9, 0.4, 0.4]),
        ];
        // Half-hard at epoch 1, where all the others were soft and at 0.9.
        let early = judge(LIMITS, &network(false, 1, &[0.9, 0.55]), &peers);
        let compared =
            Compared { step: 1, stage: 4, place: 0, value: 0.55, threshold: 0.5, peers: 3 };
        assert_eq!(early, Verdict::Continue(compared));
        // Its own soft epochs, at 0.9, are no excuse for what came after.
        let bad = judge(LIMITS, &network(false, 1, &[0.9, 0.45]), &peers);
        assert_eq!(bad, Verdict::Prune(Compared { value: 0.45, ..compared }));
    }

    #[test]
    fn those_that_run_are_of_other_depth_or_have_not_come_so_far_do_not_count() {
        let two = [steps(true, &[0.5, 0.5]), steps(true, &[0.5, 0.5])];
        let own = steps(false, &[0.1, 0.1]);
        for third in [steps(false, &[0.5, 0.5]), network(true, 2, &[0.5; 4]), steps(true, &[])] {
            let peers = [&two[..], &[third]].concat();
            assert_eq!(judge(LIMITS, &own, &peers), Verdict::TooFew { peers: 2, needed: 3 });
        }
        let peers = [&two[..], &[steps(true, &[0.5])]].concat();
        assert!(matches!(judge(LIMITS, &own, &peers), Verdict::Prune(_)));
    }

    #[test]
    fn nothing_is_said_before_the_first_step_that_counts() {
        let peers = [0.5, 0.6, 0.7].map(|value| steps(true, &[value; 4]));
        let late = Limits { steps_min: 2, ..LIMITS };
        assert_eq!(judge(late, &steps(false, &[0.0, 0.0]), &peers), Verdict::TooEarly);
        assert!(matches!(judge(late, &steps(false, &[0.0; 3]), &peers), Verdict::Prune(_)));
        assert_eq!(judge(late, &steps(false, &[]), &peers), Verdict::TooEarly);
    }
}
