//! What breaks when: a function of the seed and the length of the run alone.

use std::time::Duration;

use super::{dice::Dice, fault::Kind};

/// Share of a run in which faults begin; the rest is for the last of them to end.
const BEGIN_UNTIL: f64 = 0.85;

/// One fault of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Since the begin of the run.
    pub at: Duration,
    /// What breaks.
    pub kind: Kind,
    /// Which of several; taken modulo their number.
    pub which: u64,
    /// How long it stays broken.
    pub span: Duration,
}

/// The faults of a run in their order: each kind at least once, then as its pace has it.
pub fn draw(seed: u64, length: Duration) -> Vec<Fault> {
    let mut dice = Dice::new(seed, "faults");
    let end = length.mul_f64(BEGIN_UNTIL);
    let mut first: Vec<Kind> = Kind::all().collect();
    dice.shuffle(&mut first);
    let mut faults = Vec::new();
    let share = end / u32::try_from(first.len()).expect("few kinds");
    for (place, kind) in (0..).zip(first) {
        let at = share * place + dice.between(Duration::ZERO, share);
        faults.push(one(at, kind, length, &mut dice));
    }
    for kind in Kind::all() {
        // A Poisson process: waits are exponential.
        let mut wait = || kind.pace().mul_f64(-(1.0 - dice.uniform()).ln());
        let mut at = wait();
        let mut times = Vec::new();
        while at < end {
            times.push(at);
            at += wait();
        }
        faults.extend(times.into_iter().map(|at| one(at, kind, length, &mut dice)));
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn one(at: Duration, kind: Kind, length: Duration, dice: &mut Dice) -> Fault {
    let [low, high] = kind.span();
    // A short run has no time for the long ones.
    let span = dice.between(low, high).min(length / 8);
    Fault { at, kind, which: dice.next(), span }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_schedule_and_every_kind_is_in_it() {
        for seconds in [25, 600] {
            let length = Duration::from_secs(seconds);
            let faults = draw(7, length);
            assert_eq!(faults, draw(7, length));
            assert_ne!(faults, draw(8, length));
            for kind in Kind::all() {
                assert!(faults.iter().any(|fault| fault.kind == kind), "{kind:?} in {seconds} s");
            }
            assert!(faults.iter().all(|fault| fault.at < length.mul_f64(BEGIN_UNTIL)));
            assert!(faults.is_sorted_by_key(|fault| fault.at));
        }
    }

    #[test]
    fn a_long_run_keeps_the_pace() {
        let faults = draw(3, Duration::from_secs(6_000));
        let kills = faults.iter().filter(|fault| fault.kind == Kind::WorkerKilled).count();
        assert!((1_500..1_900).contains(&kills), "{kills} of about 1,700");
    }
}
