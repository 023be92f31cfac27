//! Why a map of names and values is not a recipe.

/// Why a map of names and values is not a recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// No hyperparameter has this name. `closest` is the known name that resembles it most.
    #[error("there is no hyperparameter `{name}`; the closest known name is `{closest}`")]
    UnknownName {
        /// The name that was given.
        name: String,
        /// The known name at the smallest edit distance.
        closest: &'static str,
    },

    /// The name is known, but the value has the wrong type or lies outside the range.
    #[error("`{name}` cannot be {value}: it must be {allowed}")]
    NotAllowed {
        /// The hyperparameter's name.
        name: &'static str,
        /// The value that was given, as JSON, shortened if it is long.
        value: String,
        /// What would have been accepted, ready to end a sentence.
        allowed: String,
    },
}
