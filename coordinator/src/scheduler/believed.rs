//! A study's posterior with the results it was fitted to, and what it says: pure functions, called off
//! the async threads.

use tuner::{
    Observation, Space, UnitPoint,
    gp::Posterior,
    insight::{self, CalibrationError, Dependence, Importance, RESULTS_MIN},
};

use super::plan;
use crate::{
    error::Error,
    insight::{Calibration, Insight},
    storage::posterior::{Fitted, Snapshot, Tried},
    study::Direction,
    trial::TrialState,
};

/// Most results that are fitted for insight alone, where no posterior is stored: one that searches at
/// random has none. More are thinned out evenly. A fit to so many takes seconds.
const FITTED_MAX: usize = 500;

/// Most results that are cross-validated: the folds then cost some seconds.
const CROSS_VALIDATED_MAX: usize = 300;

/// A posterior, and what it was fitted to.
pub struct Believed {
    name: String,
    space: Space,
    direction: Direction,
    seed: u64,
    horizon: i32,
    /// Trial numbers of `observed`; `None` of a result from elsewhere.
    numbers: Vec<Option<i32>>,
    /// Oriented, so that larger is better.
    observed: Vec<Observation>,
    failed: usize,
    posterior: Posterior,
}

impl Believed {
    /// Puts the stored posterior together again, or fits one if none is stored.
    ///
    /// # Errors
    ///
    /// [`Error::TooFewResults`] with fewer than [`RESULTS_MIN`]; [`Error::Plan`] if they cannot be
    /// fitted.
    pub fn of(snapshot: &Snapshot, stored: Option<Fitted>) -> Result<Self, Error> {
        let spec = &snapshot.study.spec;
        let results = snapshot.study.next_obs;
        if results.unsigned_abs() < RESULTS_MIN {
            let name = spec.name.clone();
            return Err(Error::TooFewResults { name, results, needed: RESULTS_MIN });
        }
        let enough = |fitted: &Fitted| fitted.horizon.unsigned_abs() >= RESULTS_MIN;
        let built = stored.filter(enough).and_then(|stored| Self::stored(snapshot, stored));
        match built {
            Some(built) => Ok(built),
            None => Self::fitted(snapshot),
        }
    }

    /// `None` if the stored posterior is none of this study: then it is fitted again.
    fn stored(snapshot: &Snapshot, stored: Fitted) -> Option<Self> {
        let Fitted { horizon, failed, parts } = stored;
        let (numbers, observed) = observed(snapshot, horizon);
        let failed = failed_points(snapshot, |trial| failed.contains(&trial.number));
        let space = &snapshot.study.spec.space;
        match Posterior::from_parts(space, &observed, &failed, parts) {
            Ok(posterior) => {
                Some(Self::new(snapshot, horizon, numbers, observed, failed.len(), posterior))
            }
            Err(error) => {
                let cause: &dyn std::error::Error = &error;
                tracing::warn!(error = cause, horizon, "the stored posterior is fitted again");
                None
            }
        }
    }

    fn fitted(snapshot: &Snapshot) -> Result<Self, Error> {
        let spec = &snapshot.study.spec;
        let horizon = snapshot.study.next_obs;
        let (numbers, observed) = observed(snapshot, horizon);
        let (numbers, observed) = (thinned(numbers), thinned(observed));
        let failed = failed_points(snapshot, |trial| trial.state == TrialState::Failed);
        let failed = thinned(failed);
        let posterior = Posterior::fit(&spec.space, &observed, &failed, spec.seed)
            .map_err(|error| Error::Plan(error.to_string()))?;
        Ok(Self::new(snapshot, horizon, numbers, observed, failed.len(), posterior))
    }

    fn new(
        snapshot: &Snapshot,
        horizon: i32,
        numbers: Vec<Option<i32>>,
        observed: Vec<Observation>,
        failed: usize,
        posterior: Posterior,
    ) -> Self {
        let spec = &snapshot.study.spec;
        Self {
            name: spec.name.clone(),
            space: spec.space.clone(),
            direction: spec.direction,
            seed: spec.seed,
            horizon,
            numbers,
            observed,
            failed,
            posterior,
        }
    }

    /// Observations 0 … horizon−1 were known.
    pub fn horizon(&self) -> i32 {
        self.horizon
    }

    /// What is searched.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// How much each parameter matters.
    pub fn importance(&self) -> Importance {
        insight::importance(&self.space, &self.posterior, self.seed)
    }

    /// How far the predictions can be believed.
    ///
    /// # Errors
    ///
    /// [`Error::ResultsEqual`].
    pub fn calibration(&self) -> Result<Calibration, Error> {
        let refused = |error| {
            let name = self.name.clone();
            match error {
                CalibrationError::TooFew { results } => {
                    let results = i32::try_from(results).unwrap_or(i32::MAX);
                    Error::TooFewResults { name, results, needed: RESULTS_MIN }
                }
                CalibrationError::Equal { results } => Error::ResultsEqual { name, results },
            }
        };
        let mut judged =
            insight::calibration(&self.posterior, &self.observed, self.failed).map_err(refused)?;
        // What comes from elsewhere counts in the whole, and has no trial to be shown with.
        let of_trials = judged.left_out.into_iter();
        let of_trials = of_trials.filter_map(|one| Some((self.numbers[one.result]?, one)));
        let (numbers, left_out) = of_trials.unzip();
        judged.left_out = left_out;
        if self.direction == Direction::Minimize {
            judged.z_mean = -judged.z_mean;
            for one in &mut judged.left_out {
                (one.value, one.mean, one.z) = (-one.value, -one.mean, -one.z);
            }
        }
        let cross_validation = match self.observed.len() {
            ..=CROSS_VALIDATED_MAX => Some(
                insight::cross_validation(&self.space, &self.posterior, self.seed)
                    .map_err(|error| Error::Plan(error.to_string()))?,
            ),
            _ => None,
        };
        Ok(Calibration { judged, numbers, cross_validation })
    }

    /// How the objective changes along the parameter at a place of the space.
    pub fn dependence(&self, place: usize) -> Dependence {
        let (space, posterior) = (&self.space, &self.posterior);
        let mut dependence =
            insight::dependence(space, posterior, &self.observed, place, self.seed);
        for place in &mut dependence.places {
            place.mean = self.direction.orient(place.mean);
        }
        dependence
    }

    /// All of it, unless `go_on` says no between two parts.
    pub fn insight(&self, go_on: impl Fn() -> bool) -> Result<Option<Insight>, Error> {
        let importance = self.importance();
        let calibration = match self.calibration() {
            _ if !go_on() => return Ok(None),
            Ok(calibration) => Some(calibration),
            Err(Error::ResultsEqual { .. }) => None,
            Err(error) => return Err(error),
        };
        let mut dependences = Vec::new();
        for place in 0..self.space.parameters().len() {
            if !go_on() {
                return Ok(None);
            }
            dependences.push(self.dependence(place));
        }
        Ok(Some(Insight { horizon: self.horizon, importance, calibration, dependences }))
    }
}

/// The first `horizon` results in the order of recording, as they were learned, with the numbers of
/// their trials.
fn observed(snapshot: &Snapshot, horizon: i32) -> (Vec<Option<i32>>, Vec<Observation>) {
    let results = plan::results(snapshot, horizon).into_iter();
    results.map(|result| (result.number, result.observation)).unzip()
}

fn failed_points(snapshot: &Snapshot, is_failed: impl Fn(&Tried) -> bool) -> Vec<UnitPoint> {
    snapshot.tried.iter().filter(|trial| is_failed(trial)).map(Tried::point).collect()
}

/// At most [`FITTED_MAX`] of a list, evenly spaced.
fn thinned<T>(all: Vec<T>) -> Vec<T> {
    let count = all.len();
    let kept = |place: usize| place * FITTED_MAX / count != (place + 1) * FITTED_MAX / count;
    let is_short = count <= FITTED_MAX;
    let places = all.into_iter().enumerate();
    places.filter(|(place, _)| is_short || kept(*place)).map(|(_, one)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_thinned_evenly() {
        assert_eq!(thinned((0..500).collect::<Vec<_>>()).len(), 500);
        let thin = thinned((0..1_700).collect::<Vec<i32>>());
        assert_eq!(thin.len(), FITTED_MAX);
        assert!(thin.windows(2).all(|pair| (3..=4).contains(&(pair[1] - pair[0]))));
    }
}
