//! A trial's values, each at its stage and its place in that stage.

/// Stages in which one layer goes from soft to hard.
pub(super) const STAGES_A_LAYER: u32 = 4;

/// One report of a trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// Epoch or step, from 0.
    pub step: u32,
    /// Mean sharpness over the layers, 0 to 1; `None` where nothing sharpens.
    pub sharpness: Option<f64>,
    /// The metric: finite, larger is better.
    pub value: f64,
}

/// A report where it may be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) step: u32,
    /// Quarters of a layer that have sharpened, over all layers; 0 where nothing sharpens.
    pub(super) stage: u32,
    /// Steps since the stage was reached; the step itself where nothing sharpens.
    pub(super) place: u32,
    pub(super) value: f64,
}

/// The values of one trial, by step.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    layers: u32,
    has_ended: bool,
    reports: Vec<Placed>,
}

impl Curve {
    /// The curve of a trial whose network has `layers` layers that sharpen, 0 if nothing does, from
    /// its reports in any order. `has_ended`: with a result, be it complete or pruned.
    ///
    /// In a network that sharpens, reports without sharpness have no stage and are left out.
    pub fn new(layers: u32, has_ended: bool, mut reports: Vec<Report>) -> Curve {
        reports.sort_by_key(|report| report.step);
        let mut placed: Vec<Placed> = Vec::with_capacity(reports.len());
        let mut reached = None;
        for Report { step, sharpness, value } in reports {
            let (stage, since) = match (layers, sharpness) {
                (0, _) => (0, 0),
                (_, None) => continue,
                (layers, Some(mean)) => {
                    let stage = (f64::from(STAGES_A_LAYER * layers) * mean).round() as u32;
                    match reached {
                        Some((of, since)) if of == stage => (stage, since),
                        _ => (stage, step),
                    }
                }
            };
            reached = Some((stage, since));
            placed.push(Placed { step, stage, place: step - since, value });
        }
        Curve { layers, has_ended, reports: placed }
    }

    /// Layers that sharpen.
    pub(super) fn layers(&self) -> u32 {
        self.layers
    }

    /// Whether it has a result.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// By step.
    pub(super) fn reports(&self) -> &[Placed] {
        &self.reports
    }

    /// The newest report.
    pub(super) fn newest(&self) -> Option<Placed> {
        self.reports.last().copied()
    }

    /// The values at a stage, up to a place in it.
    pub(super) fn at(&self, stage: u32, place: u32) -> impl Iterator<Item = f64> {
        let there = self.reports.iter();
        there.filter(move |r| r.stage == stage && r.place <= place).map(|report| report.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(layers: u32, sharpness: &[f64]) -> Vec<(u32, u32)> {
        let reports = (0..).zip(sharpness).map(|(step, &mean)| Report {
            step,
            sharpness: Some(mean),
            value: 0.0,
        });
        let curve = Curve::new(layers, false, reports.collect());
        curve.reports().iter().map(|report| (report.stage, report.place)).collect()
    }

    #[test]
    fn a_stage_is_a_quarter_of_a_layer_and_a_place_counts_from_its_first_epoch() {
        // Five layers, three soft epochs, two epochs a layer, one of intermission.
        let sharpness = [0.0, 0.0, 0.0, 0.1, 0.2, 0.2, 0.3, 0.4, 0.4];
        let expected = [(0, 0), (0, 1), (0, 2), (2, 0), (4, 0), (4, 1), (6, 0), (8, 0), (8, 1)];
        assert_eq!(places(5, &sharpness), expected);
        // What single precision leaves of a third.
        assert_eq!(places(3, &[f64::from(1.0_f32) / 3.0, 0.333_333_3]), [(4, 0), (4, 1)]);
    }

    #[test]
    fn without_sharpness_the_place_is_the_step() {
        let reports = [30, 10, 20].map(|step| Report { step, sharpness: None, value: 1.0 });
        let curve = Curve::new(0, true, reports.to_vec());
        let places: Vec<_> = curve.reports().iter().map(|r| (r.stage, r.place)).collect();
        assert_eq!(places, [(0, 10), (0, 20), (0, 30)]);
        assert!(Curve::new(2, true, reports.to_vec()).newest().is_none());
    }
}
