//! What a training reports at its end, by name: what a study may weigh and bound.

use crate::closest::closest;

/// Every number that every finished training reports, accuracies first.
pub const MEASUREMENTS: [&str; 8] = [
    "soft_accuracy",
    "binary_accuracy",
    "sharpening_finished",
    "collapsed",
    "epochs",
    "train_seconds",
    "parameters",
    "multiply_adds",
];

/// What only the best trainings report.
const OF_THE_BEST: [&str; 2] = ["test_accuracy", "test_soft_accuracy"];

/// Why a study cannot ask for a measurement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeasurementError {
    /// No training reports it.
    #[error("no training reports `{name}`; the closest that all report is `{closest}`")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// The known name that resembles it most.
        closest: &'static str,
    },
    /// A measurement that trials lack.
    #[error("`{name}` is measured for the best trials alone; choose what every trial reports")]
    OfTheBest {
        /// As it was asked for.
        name: String,
    },
}

/// Whether every training reports a measurement of this name.
pub fn check_measurement(name: &str) -> Result<(), MeasurementError> {
    if MEASUREMENTS.contains(&name) {
        return Ok(());
    }
    if OF_THE_BEST.contains(&name) {
        return Err(MeasurementError::OfTheBest { name: name.to_owned() });
    }
    let closest = closest(name, MEASUREMENTS.into_iter()).expect("there are measurements");
    Err(MeasurementError::Unknown { name: name.to_owned(), closest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_measurement_is_told_its_neighbour() {
        assert_eq!(check_measurement("multiply_adds"), Ok(()));
        let told = |name: &str| check_measurement(name).unwrap_err().to_string();
        let message = "no training reports `multiply_add`; the closest that all report is \
                       `multiply_adds`";
        assert_eq!(told("multiply_add"), message);
        assert!(told("test_accuracy").contains("the best trials alone"));
    }
}
