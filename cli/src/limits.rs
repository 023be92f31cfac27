//! What a coordinator takes, as far as it can be told before one is asked. The names and values are those of
//! `docs/LIMITS.md`, which a test holds them against.

use std::ops::RangeInclusive;

macro_rules! limits {
    ($($name:ident: $type:ty = $value:expr;)+) => {
        $(#[allow(missing_docs, reason = "the page says what it is")] pub const $name: $type = $value;)+

        #[cfg(test)]
        const ALL: &[(&str, u64)] = &[$((stringify!($name), $value as u64)),+];
    };
}

limits! {
    TRIALS_MAX: u32 = 100_000;
    PARALLEL_MAX: u32 = 10_000;
    FAILURES_MAX: u32 = 100;
    TRIAL_SECONDS_MAX: u32 = 31_536_000;
    CHECKPOINT_EPOCHS_MAX: u32 = 10_000;
    PRIORITY_MAX: u32 = 100;
    STUDY_NAME_BYTES_MAX: usize = 63;
    PARAMETERS_MAX: usize = 64;
    OPTIONS_MAX: usize = 1_024;
    WORD_BYTES_MAX: usize = 64;
    TEXT_BYTES_MAX: usize = 200;
    ALSO_MAX: usize = 3;
    CONSTRAINTS_MAX: usize = 8;
    STOPPING_TRIALS_MAX: u32 = 10_000;
    STOPPING_STEPS_MAX: u32 = 1_000_000;
    REDUCTION_MAX: u32 = 100;
    TRIALS_A_PAGE_MAX: u32 = 1_000;
}

/// Budgets of a study.
pub const TRIALS: RangeInclusive<i64> = 1..=TRIALS_MAX as i64;

/// Priorities of a study.
pub const PRIORITIES: RangeInclusive<i64> = -(PRIORITY_MAX as i64)..=PRIORITY_MAX as i64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_those_of_the_page() {
        let page = include_str!("../../docs/LIMITS.md");
        for (name, value) in ALL {
            let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
            let row = row.unwrap_or_else(|| panic!("docs/LIMITS.md has no `{name}`"));
            let limit = row.split('|').nth(2).unwrap().trim().replace(',', "");
            assert_eq!(limit, value.to_string(), "{name}");
        }
    }
}
