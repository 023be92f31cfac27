//! What the value of an unfinished training counts as.

use super::middle;

/// A result as it was recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Result {
    /// Finite, larger is better.
    pub value: f64,
    /// Whether the trial was stopped early.
    pub is_pruned: bool,
}

/// What each of a study's results counts as in the posterior, in the order of recording.
///
/// A finished training counts at its value. A pruned one has only the value of an unfinished network,
/// which may lie far above what it would have come to, because sharpening costs accuracy late; all that
/// is known is that it did worse than others at the same stage. It counts at its value, but at no more
/// than the median of the finished results recorded *before* it; before the first of these, at its value.
/// So it never becomes the incumbent, repels the search as a bad result does, and no more than that. The
/// bound looks back only: what a result counts as never changes again, and every suggestion can be
/// computed again from the results known when it was made.
pub fn worth(results: &[Result]) -> Vec<f64> {
    // Rising.
    let mut finished: Vec<f64> = Vec::new();
    let mut worths = Vec::with_capacity(results.len());
    for result in results {
        let bound = if result.is_pruned { middle(&finished) } else { None };
        worths.push(bound.map_or(result.value, |bound| result.value.min(bound)));
        if !result.is_pruned {
            let place = finished.partition_point(|other| *other < result.value);
            finished.insert(place, result.value);
        }
    }
    worths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(recorded: &[(f64, bool)]) -> Vec<Result> {
        recorded.iter().map(|&(value, is_pruned)| Result { value, is_pruned }).collect()
    }

    #[test]
    fn a_pruned_value_counts_at_no_more_than_the_median_of_those_finished_before_it() {
        let recorded = [
            (0.9, true),
            (0.5, false),
            (0.7, false),
            (0.95, true),
            (0.3, true),
            (0.1, false),
            (0.95, true),
        ];
        // Medians before the pruned ones: none, 0.6, 0.6, 0.5.
        assert_eq!(worth(&results(&recorded)), [0.9, 0.5, 0.7, 0.6, 0.3, 0.1, 0.5]);
    }

    #[test]
    fn what_a_result_counts_as_does_not_change_with_later_ones() {
        let recorded = results(&[(0.5, false), (0.9, true), (0.2, false), (0.8, true)]);
        for horizon in 0..=recorded.len() {
            assert_eq!(worth(&recorded[..horizon]), worth(&recorded)[..horizon]);
        }
    }
}
