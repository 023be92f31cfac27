//! Asynchronous successive halving, by stopping.

use super::curve::{Placed, STAGES_A_LAYER};
use super::{Compared, Curve, Limits, Verdict};

/// Judges a trial that has just reached a rung: of the `n` trials that have, it included, the best
/// `⌈n / η⌉` go on.
///
/// Rungs are at the steps `r`, `r η`, `r η²` …, with `r = steps_min`, at least 1; where layers sharpen, at
/// the epochs in which `round(L / η)`, `round(L / η²)` … layers are hard and no other has begun. Every
/// schedule has such epochs, so that all values of a rung are at equal sharpness. Running trials count
/// from the moment they are there: nobody waits.
///
/// The published form pauses trials at a rung and promotes them later. Here a trial is a training that
/// ends or goes on, so it is decided when it arrives and never again.
///
/// Reference: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020,
/// algorithm 2 — <https://arxiv.org/abs/1810.05934>.
pub(super) fn judge(
    reduction: u32,
    limits: Limits,
    own: &Curve,
    since: u32,
    peers: &[Curve],
) -> Verdict {
    let reduction = reduction.max(2);
    let rungs = Rungs { layers: own.layers(), reduction, steps_min: limits.steps_min.max(1) };
    let Some(newest) = own.newest().filter(|now| now.step >= limits.steps_min) else {
        return Verdict::TooEarly;
    };
    let Some((rung, at)) = rungs.reached(own, since, newest) else { return Verdict::TooEarly };
    let mut values: Vec<f64> = peers
        .iter()
        .filter(|peer| peer.layers() == own.layers())
        .filter_map(|peer| rungs.value(peer, rung).map(|at| at.value))
        .collect();
    let peers = values.len() as u32;
    let needed = limits.trials_min.max(1);
    if peers < needed {
        return Verdict::TooFew { peers, needed };
    }
    values.push(at.value);
    values.sort_by(|a, b| b.total_cmp(a));
    let pass = values.len().div_ceil(reduction as usize);
    let threshold = values[pass - 1];
    let Placed { step, stage, place, value } = at;
    Compared { step, stage, place, value, threshold, peers }.verdict()
}

/// Where trials of one depth are compared.
struct Rungs {
    layers: u32,
    reduction: u32,
    steps_min: u32,
}

impl Rungs {
    /// Stages, or steps where nothing sharpens, up to `last`, rising.
    fn up_to(&self, last: u32) -> Vec<u32> {
        if self.layers == 0 {
            let next = |rung: &u32| rung.checked_mul(self.reduction);
            return std::iter::successors(Some(self.steps_min), next)
                .take_while(|rung| *rung <= last)
                .collect();
        }
        let mut share = f64::from(self.layers);
        let mut rungs = Vec::new();
        loop {
            share /= f64::from(self.reduction);
            let layers = share.round() as u32;
            if layers == 0 {
                break;
            }
            rungs.push(STAGES_A_LAYER * layers);
        }
        rungs.retain(|rung| *rung <= last && *rung < STAGES_A_LAYER * self.layers);
        rungs.sort_unstable();
        rungs.dedup();
        rungs
    }

    /// The highest rung that was first reached at step `since` or later, with the value there.
    fn reached(&self, own: &Curve, since: u32, newest: Placed) -> Option<(u32, Placed)> {
        let last = if self.layers == 0 { newest.step } else { newest.stage };
        let rungs = self.up_to(last).into_iter().rev();
        rungs
            .filter(|rung| {
                let first = own.reports().iter().find(|report| self.level(report) >= *rung);
                first.is_some_and(|first| first.step >= since)
            })
            .find_map(|rung| self.value(own, rung).map(|at| (rung, at)))
    }

    /// What a trial had at a rung; `None` if it has not reached it or was never just there.
    fn value(&self, curve: &Curve, rung: u32) -> Option<Placed> {
        let reports = curve.reports();
        if self.layers > 0 {
            return reports.iter().find(|report| report.stage == rung).copied();
        }
        // Whoever reports every so many steps is taken at the last of them up to the rung, as all
        // who report in the same rhythm are.
        reports.iter().any(|report| report.step >= rung).then(|| {
            let before = reports.iter().rev().find(|report| report.step <= rung);
            *before.unwrap_or(&reports[0])
        })
    }

    fn level(&self, report: &Placed) -> u32 {
        if self.layers == 0 { report.step } else { report.stage }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Report;
    use super::*;

    const LIMITS: Limits = Limits { trials_min: 1, steps_min: 1 };

    fn steps(values: &[f64]) -> Curve {
        let reports =
            (0..).zip(values).map(|(step, &value)| Report { step, sharpness: None, value });
        Curve::new(0, false, reports.collect())
    }

    fn rungs(layers: u32, reduction: u32, last: u32) -> Vec<u32> {
        Rungs { layers, reduction, steps_min: 1 }.up_to(last)
    }

    #[test]
    fn rungs_lie_at_powers_of_eta_and_at_whole_layers() {
        assert_eq!(rungs(0, 4, 100), [1, 4, 16, 64]);
        assert_eq!(rungs(0, 3, 27), [1, 3, 9, 27]);
        // round(5/2) = 3 layers and round(5/4) = round(5/8) = 1 of five, four stages each.
        assert_eq!(rungs(5, 2, 20), [4, 12]);
        assert_eq!(rungs(5, 4, 20), [4]);
        assert_eq!(rungs(5, 2, 11), [4]);
        assert_eq!(rungs(1, 2, 4), Vec::<u32>::new());
    }

    #[test]
    fn the_best_of_every_eta_pass() {
        // Seven others at step 4, with 0.1 … 0.7; of eight, two pass with η = 4.
        let peers: Vec<Curve> =
            (1..=7).map(|i| steps(&[0.0, 0.0, 0.0, 0.0, f64::from(i) / 10.0])).collect();
        let at =
            |value, threshold| Compared { step: 4, stage: 0, place: 4, value, threshold, peers: 7 };
        let third = judge(4, LIMITS, &steps(&[0.0, 9.0, 9.0, 9.0, 0.55]), 4, &peers);
        assert_eq!(third, Verdict::Prune(at(0.55, 0.6)));
        let second = judge(4, LIMITS, &steps(&[0.0, 0.0, 0.0, 0.0, 0.65]), 4, &peers);
        assert_eq!(second, Verdict::Continue(at(0.65, 0.65)));
        // As good as the last that passes is good enough.
        let tie = judge(4, LIMITS, &steps(&[0.0, 0.0, 0.0, 0.0, 0.7]), 4, &peers);
        assert_eq!(tie, Verdict::Continue(at(0.7, 0.7)));
    }

    #[test]
    fn a_trial_is_judged_when_it_arrives_and_not_between_rungs() {
        let peers = [steps(&[1.0; 9]), steps(&[1.0; 9])];
        let own = steps(&[0.0; 6]);
        assert_eq!(judge(4, LIMITS, &own, 5, &peers), Verdict::TooEarly);
        // Steps 3 to 5 came in one call, and 4 is a rung.
        assert!(matches!(judge(4, LIMITS, &own, 3, &peers), Verdict::Prune(by) if by.step == 4));
        let few = Limits { trials_min: 3, ..LIMITS };
        assert_eq!(judge(4, few, &own, 3, &peers), Verdict::TooFew { peers: 2, needed: 3 });
    }

    #[test]
    fn layers_are_rungs_whatever_the_schedule() {
        // Four layers, η = 2: one and two hard layers. One of the others is slow and one is quick.
        let network = |sharpness: &[f64], values: &[f64]| {
            let reports = (0..).zip(sharpness.iter().zip(values));
            let report = |(step, (&mean, &value))| Report { step, sharpness: Some(mean), value };
            Curve::new(4, false, reports.map(report).collect())
        };
        let quick = network(&[0.0, 0.25, 0.5, 0.75], &[0.9, 0.8, 0.7, 0.6]);
        let slow = network(&[0.0, 0.0, 0.125, 0.25, 0.375], &[0.9, 0.9, 0.9, 0.6, 0.5]);
        let own = network(&[0.0, 0.0, 0.0, 0.125, 0.25], &[0.9, 0.9, 0.9, 0.9, 0.7]);
        let compared =
            Compared { step: 4, stage: 4, place: 0, value: 0.7, threshold: 0.7, peers: 2 };
        assert_eq!(judge(2, LIMITS, &own, 4, &[quick.clone(), slow]), Verdict::Continue(compared));
        let one = Compared { threshold: 0.8, peers: 1, ..compared };
        assert_eq!(judge(2, LIMITS, &own, 4, &[quick]), Verdict::Prune(one));
    }
}
