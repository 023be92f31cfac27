//! What the saved states of sharpeners have in common.

/// A state that no sharpener of this kind and number of layers can be in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Another sharpener was saved.
    #[error("a {found} sharpener was saved, and the recipe asks for a {needed} one")]
    OtherKind {
        /// The kind that was saved.
        found: &'static str,
        /// The kind that is needed.
        needed: &'static str,
    },
    /// A sharpness is missing, or lies outside 0 … 1.
    #[error("{layers} layers need as many sharpnesses between 0 and 1")]
    Sharpness {
        /// Layers that sharpen.
        layers: usize,
    },
}

/// Whether there is one sharpness a layer, each in [0, 1].
pub(super) fn check(host: &[f64], layers: usize) -> Result<(), StateError> {
    let sound = host.len() == layers && host.iter().all(|s| (0.0..=1.0).contains(s));
    if sound { Ok(()) } else { Err(StateError::Sharpness { layers }) }
}
