//! Which results a process is fitted to, and at which value.

use super::FitError;
use crate::history::Observation;
use crate::space::{Space, UnitPoint};
use crate::stream::{Purpose, Stream};

/// Most results that are all used. The factor costs n³/3: at 1,500 one evaluation of the
/// likelihood takes about a second, and a fit takes a hundred.
pub const RESULTS_MAX: usize = 1500;
/// Most results that hyper-parameters are learned from: 24 of them are no better known from a
/// thousand results, and a climb costs sixty times n³.
const LEARNED_MAX: usize = 300;
/// Up to so many results, hyper-parameters are learned anew with each.
const ANEW_MAX: usize = 50;
/// Beyond, whenever the results have grown by one in so many.
const ANEW_SHARE: usize = 25;

/// From how many of `results` hyper-parameters are learned: a function of the count alone, so that
/// it does not matter when anybody asked.
pub(crate) fn learned_from(results: usize) -> usize {
    let step = if results <= ANEW_MAX { 1 } else { results.div_ceil(ANEW_SHARE) };
    results - results % step
}

/// What the process sees.
pub(crate) struct Training {
    /// Canonical, `n` of them, in the order of recording, failures last.
    pub(crate) points: Vec<UnitPoint>,
    /// Objective units, one for each point.
    pub(crate) values: Vec<f64>,
    /// How many of the points, from the front, were measured; the others failed.
    pub(crate) observed_rows: usize,
}

impl Training {
    /// The points and values that hyper-parameters are learned from: of the first
    /// [`learned_from`] measured ones at most [`LEARNED_MAX`].
    pub(crate) fn lesson(&self, seed: u64) -> (Vec<&UnitPoint>, Vec<f64>) {
        let values = &self.values[..learned_from(self.observed_rows)];
        let kept = keep(values, LEARNED_MAX, seed);
        kept.into_iter().map(|row| (&self.points[row], values[row])).unzip()
    }
}

/// Gathers results and failures, the latter at the worst value seen. Beyond [`RESULTS_MAX`], the
/// best 500, the newest 500 and 500 chosen by `seed` among the rest are kept.
pub(crate) fn training(
    space: &Space,
    observed: &[Observation],
    failed: &[UnitPoint],
    seed: u64,
) -> Result<Training, FitError> {
    let dimensions = space.parameters().len();
    let given = observed.iter().map(|observation| &observation.point).chain(failed);
    for point in given {
        if point.0.len() != dimensions {
            return Err(FitError::Dimensions { expected: dimensions, found: point.0.len() });
        }
    }
    let canonical = |point| space.canonical(point);
    let points: Vec<UnitPoint> =
        observed.iter().map(|o| &o.point).chain(failed).map(canonical).collect();
    let values: Vec<f64> = observed.iter().map(|observation| observation.value).collect();
    gather(points, values, seed)
}

/// The same for points that are canonical already; those beyond `values` failed.
pub(crate) fn gather(
    points: Vec<UnitPoint>,
    mut values: Vec<f64>,
    seed: u64,
) -> Result<Training, FitError> {
    if values.is_empty() {
        return Err(FitError::NothingObserved);
    }
    if let Some(number) = values.iter().position(|value| !value.is_finite()) {
        return Err(FitError::NotFinite { number, value: values[number].to_string() });
    }
    let observed = values.len();
    let worst = values.iter().copied().fold(f64::INFINITY, f64::min);
    values.resize(points.len(), worst);
    let kept = keep(&values, RESULTS_MAX, seed);
    let observed_rows = kept.iter().filter(|&&row| row < observed).count();
    Ok(Training {
        points: kept.iter().map(|&row| points[row].clone()).collect(),
        values: kept.iter().map(|&row| values[row]).collect(),
        observed_rows,
    })
}

/// Which of the study's results, from 0, a fit to them and so many failures keeps: one for each
/// measured row of the process, ascending.
pub(crate) fn kept_results(observed: &[Observation], failed: usize, seed: u64) -> Vec<usize> {
    let mut values: Vec<f64> = observed.iter().map(|observation| observation.value).collect();
    let worst = values.iter().copied().fold(f64::INFINITY, f64::min);
    values.resize(observed.len() + failed, worst);
    let mut kept = keep(&values, RESULTS_MAX, seed);
    kept.retain(|&row| row < observed.len());
    kept
}

/// The rows that are kept, ascending: all, or a third of `most` each as the best, as the newest, and
/// at random from the rest.
fn keep(values: &[f64], most: usize, seed: u64) -> Vec<usize> {
    let n = values.len();
    if n <= most {
        return (0..n).collect();
    }
    let share = most / 3;
    let mut by_value: Vec<usize> = (0..n).collect();
    by_value.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    let mut kept = vec![false; n];
    let first_kept = |rows: &mut dyn Iterator<Item = usize>, kept: &mut Vec<bool>| {
        let rows: Vec<usize> = rows.filter(|&row| !kept[row]).take(share).collect();
        rows.into_iter().for_each(|row| kept[row] = true);
    };
    first_kept(&mut by_value.into_iter(), &mut kept);
    first_kept(&mut (0..n).rev(), &mut kept);
    let rest: Vec<usize> = (0..n).filter(|&row| !kept[row]).collect();
    let mut stream = Stream::new(seed, n as u64, Purpose::Subset);
    for place in stream.choose(share, rest.len()) {
        kept[rest[place]] = true;
    }
    (0..n).filter(|&row| kept[row]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(count: usize) -> Vec<UnitPoint> {
        (0..count).map(|i| UnitPoint(vec![i as f64 / count as f64])).collect()
    }

    #[test]
    fn failures_count_at_the_worst_value_seen_and_stand_last() {
        let training = gather(line(4), vec![0.3, 0.1], 0).unwrap();
        assert_eq!(training.values, vec![0.3, 0.1, 0.1, 0.1]);
        assert_eq!(training.observed_rows, 2);
    }

    #[test]
    fn of_too_many_results_the_best_and_the_newest_are_kept_and_the_rest_is_drawn_by_seed() {
        // The best are the oldest, so that the three groups do not overlap.
        let values: Vec<f64> = (0..4000).map(|i| -f64::from(i)).collect();
        let rows = |seed| keep(&values, RESULTS_MAX, seed);
        let kept = rows(1);
        assert_eq!(kept.len(), RESULTS_MAX);
        assert_eq!(kept[..500], (0..500).collect::<Vec<_>>()[..]);
        assert_eq!(kept[1000..], (3500..4000).collect::<Vec<_>>()[..]);
        assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(kept, rows(1));
        assert_ne!(kept, rows(2));
    }

    #[test]
    fn hyper_parameters_are_learned_anew_ever_more_rarely_and_from_no_more_than_enough() {
        let at: Vec<usize> = (1..=120).map(learned_from).collect();
        assert_eq!(at[..50], (1..=50).collect::<Vec<_>>()[..]);
        assert_eq!(at[75..84], [76, 76, 76, 76, 80, 80, 80, 80, 84]);
        assert!((1..5000).all(|n| learned_from(n) <= n && learned_from(n) > n - n / 25 - 1));
        let values: Vec<f64> = (0..700).map(f64::from).collect();
        let training = gather(line(700), values, 1).unwrap();
        let (points, values) = training.lesson(1);
        assert_eq!((points.len(), values.len()), (LEARNED_MAX, LEARNED_MAX));
        assert!(values.contains(&699.0), "the best is among them");
    }

    #[test]
    fn every_measured_row_of_too_many_results_is_known_by_its_number() {
        let space = one_float();
        let observed: Vec<Observation> = line(1700)
            .into_iter()
            .enumerate()
            .map(|(i, point)| Observation { point, value: ((i * 7919) % 1700) as f64 })
            .collect();
        let failed = line(40);
        let training = training(&space, &observed, &failed, 5).unwrap();
        let rows = kept_results(&observed, failed.len(), 5);
        assert_eq!(rows.len(), training.observed_rows);
        assert!(rows.len() < RESULTS_MAX);
        for (row, result) in rows.into_iter().enumerate() {
            assert_eq!(training.values[row], observed[result].value);
        }
    }

    fn one_float() -> Space {
        let domain =
            crate::space::Domain::Float { low: 0.0, high: 1.0, scale: crate::space::Scale::Linear };
        let name = "x".to_owned();
        let parameter = crate::space::Parameter { name, domain, condition: None, default: None };
        Space::new(vec![parameter]).unwrap()
    }

    #[test]
    fn a_result_that_is_not_a_number_is_named() {
        let error = gather(line(2), vec![0.3, f64::NAN], 0).err().unwrap();
        assert_eq!(error.to_string(), "result 1 is NaN; record it as failed instead");
    }
}
