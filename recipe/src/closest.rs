//! Which known name a misspelt one resembles.

/// The known name at the smallest edit distance from `name`, the first of equals; `None` only if
/// no name is known. Case does not count, and `-` and blanks are read as `_`.
pub fn closest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name
        .chars()
        .map(|c| if c == '-' || c.is_whitespace() { '_' } else { c.to_ascii_lowercase() })
        .collect();
    known.min_by_key(|candidate| distance(&name, &candidate.chars().collect::<Vec<_>>()))
}

/// Edits that turn `a` into `b`: insertions, deletions, substitutions and swaps of neighbours
/// (the restricted form of F. Damerau, "A technique for computer detection and correction of
/// spelling errors", CACM 7(3), 1964).
fn distance(a: &[char], b: &[char]) -> usize {
    let mut two_above = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut fewest = substituted.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                let swapped: usize = two_above[j - 2];
                fewest = fewest.min(swapped + 1);
            }
            row.push(fewest);
        }
        two_above = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(a: &str, b: &str) -> usize {
        distance(&a.chars().collect::<Vec<_>>(), &b.chars().collect::<Vec<_>>())
    }

    #[test]
    fn edits_are_counted_as_by_hand() {
        assert_eq!(edits("", "rho"), 3);
        assert_eq!(edits("rho", ""), 3);
        assert_eq!(edits("rho", "rho"), 0);
        assert_eq!(edits("rho", "roh"), 1);
        assert_eq!(edits("kitten", "sitting"), 3);
        // The restricted form: a swapped pair is not edited again (the free form needs 2).
        assert_eq!(edits("ca", "abc"), 3);
    }

    #[test]
    fn case_and_separators_do_not_count() {
        let known = ["rho", "dense_units", "learning_rate"];
        assert_eq!(closest("Learning-Rate", known.into_iter()), Some("learning_rate"));
        assert_eq!(closest("DENSE UNIT", known.into_iter()), Some("dense_units"));
    }
}
