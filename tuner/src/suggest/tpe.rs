//! The tree-structured Parzen estimator: look where good results are dense and bad ones are not.
//!
//! The results are split by value into a good part and the rest; each half gets a density, `l` and
//! `g`. Points are drawn from `l`, and of those that are free the one of largest `l(x) / g(x)` is
//! taken: expected improvement over the split's value rises with that ratio and with nothing else
//! (Bergstra et al. 2011, eq. 9). Only the order of the results counts, so no value is too large, and
//! a monotone change of the objective changes nothing.
//!
//! Points that are out with workers count as bad, and so do those that failed. A pending point must
//! count as something, lest every asker be sent to the same place; taking it for a bad one is the
//! constant liar of D. Ginsbourger, R. Le Riche & L. Carraro, "Kriging is well-suited to parallelize
//! optimization", 2010, section 4.2, with the worst value as its lie.
//!
//! Sources: those of [`parzen`](super::parzen).

use super::draw::Draw;
use super::parzen::Parzen;
use crate::history::History;
use crate::space::{Space, UnitPoint};
use crate::stream::{Purpose, Stream};

/// The good share of the results, as in Bergstra et al. 2011, section 4. Measured on eight mixed
/// problems of 2 to 22 dimensions, 60 seeds each: a tenth left 0.212 of normalised regret after 30 to 40
/// results, this and a fifth 0.204 and 0.199, where a difference of 0.01 is noise.
const GOOD_SHARE: f64 = 0.15;
/// Most good results: more make the density slow and no better.
const GOOD_MAX: usize = 25;
/// Most points of the bad density, the newest: a plan must not take seconds after 100,000 trials.
const BAD_MAX: usize = 1_000;
/// Points drawn from the good density. Measured likewise: 12, 64 and 200 were no better.
const CANDIDATES: usize = 24;

/// The free candidate of largest `log l(x) − log g(x)`, with that number; `None` if every candidate
/// is taken. The history must have a result.
pub(super) fn tpe(space: &Space, draw: &Draw<'_>, history: &History) -> Option<(UnitPoint, f64)> {
    let (good, bad) = split(space, history);
    let good = Parzen::of(space, &good.iter().collect::<Vec<_>>());
    let bad = Parzen::of(space, &bad.iter().collect::<Vec<_>>());
    let mut stream: Stream = draw.stream(Purpose::Parzen);
    let candidates = (0..CANDIDATES).map(|_| good.draw(&mut stream));
    let free = candidates.filter(|point| draw.is_free(point));
    let judged = free.map(|point| {
        let ratio = good.log_density(&point) - bad.log_density(&point);
        (point, ratio)
    });
    judged.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// The good results, best first, and everything else in its order, both canonical.
fn split(space: &Space, history: &History) -> (Vec<UnitPoint>, Vec<UnitPoint>) {
    let observed = &history.observed;
    let mut order: Vec<usize> = (0..observed.len()).collect();
    // Stable: of equal results the earlier ones are the good ones.
    order.sort_by(|&a, &b| observed[b].value.total_cmp(&observed[a].value));
    let good = ((GOOD_SHARE * observed.len() as f64).ceil() as usize).min(GOOD_MAX);
    let mut rest = order.split_off(good);
    rest.sort_unstable();
    let point = |&i: &usize| space.canonical(&observed[i].point);
    let results = rest.iter().map(point);
    let others = |points: &[UnitPoint]| {
        points.iter().map(|point| space.canonical(point)).collect::<Vec<_>>()
    };
    let mut bad = others(&history.failed);
    bad.extend(results);
    bad.extend(others(&history.pending));
    let excess = bad.len().saturating_sub(BAD_MAX);
    (order.iter().map(point).collect(), bad.split_off(excess))
}
