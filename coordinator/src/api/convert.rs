//! Protocol ⇄ domain, both ways: the only place that sees both.
//!
//! Everything that comes in is checked once, here, and is a domain type afterwards.

mod artifact;
mod front;
mod goals;
mod insight;
mod lease;
mod objective;
mod space;
mod study;
mod worker;

pub use artifact::{announced, sha256};
pub use front::front_to_wire;
pub use insight::{calibration_to_wire, dependence_to_wire, importance_to_wire, place};
pub use lease::{
    asker, directive_to_wire, failure_class, fence, granted, imported, metrics, progress, report,
    resumed, span, wait,
};
pub use space::{point, source};
pub use study::{budget, overview_to_wire, priority, spec, trial_to_wire};
pub use worker::{drain_to_wire, reason, worker_name, worker_to_wire};

use crate::{Error, limits::TEXT_BYTES_MAX};

fn invalid(text: impl Into<String>) -> Error {
    Error::Invalid(text.into())
}

/// Postgres cannot store NUL, and nobody needs a name of a thousand letters.
fn text(what: &str, text: &str) -> Result<(), Error> {
    if text.contains('\0') {
        return Err(invalid(format!("{what} holds a NUL byte; take it out")));
    }
    if text.len() > TEXT_BYTES_MAX {
        let bytes = text.len();
        return Err(invalid(format!(
            "{what} has {bytes} bytes; at most {TEXT_BYTES_MAX} fit: shorten it"
        )));
    }
    Ok(())
}
