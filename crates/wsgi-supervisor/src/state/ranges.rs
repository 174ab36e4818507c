//! Ranges of indices into the slot table, given and taken back.

use std::collections::BTreeMap;

/// First-fit allocation below a limit.
#[derive(Debug)]
pub(crate) struct Ranges {
    limit: u32,
    used: BTreeMap<u32, u32>,
}

impl Ranges {
    /// All of `0..limit` is free.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, used: BTreeMap::new() }
    }

    /// The start of the lowest free range of this length. A range of length 0
    /// occupies one index, so that each has a start of its own.
    pub(crate) fn take(&mut self, length: u32) -> Option<u32> {
        let length = length.max(1);
        let mut start = 0;
        for (&begin, &taken) in &self.used {
            if begin - start >= length {
                break;
            }
            start = begin + taken;
        }
        (self.limit.checked_sub(start)? >= length).then(|| {
            self.used.insert(start, length);
            start
        })
    }

    /// Marks a given range as used; false if any of it is used or out of bounds.
    pub(crate) fn claim(&mut self, start: u32, length: u32) -> bool {
        let length = length.max(1);
        let Some(end) = start.checked_add(length).filter(|&end| end <= self.limit) else {
            return false;
        };
        let free = self.used.range(..end).next_back().is_none_or(|(&b, &taken)| b + taken <= start);
        if free {
            self.used.insert(start, length);
        }
        free
    }

    /// Frees the range that starts there.
    pub(crate) fn give_back(&mut self, start: u32) {
        self.used.remove(&start);
    }
}

#[cfg(test)]
mod tests {
    use super::Ranges;

    #[test]
    fn the_lowest_gap_that_fits_is_taken() {
        let mut ranges = Ranges::new(10);
        assert_eq!(ranges.take(4), Some(0));
        assert_eq!(ranges.take(2), Some(4));
        assert_eq!(ranges.take(5), None);
        ranges.give_back(0);
        assert_eq!(ranges.take(3), Some(0));
        assert_eq!(ranges.take(4), Some(6));
        assert_eq!(ranges.take(0), Some(3));
        assert_eq!(ranges.take(1), None);
    }

    #[test]
    fn a_claimed_range_is_not_given_again() {
        let mut ranges = Ranges::new(10);
        assert!(ranges.claim(2, 3));
        assert!(!ranges.claim(4, 1));
        assert!(!ranges.claim(0, 3));
        assert!(!ranges.claim(8, 3));
        assert!(!ranges.claim(u32::MAX, 2));
        assert_eq!(ranges.take(2), Some(0));
        assert_eq!(ranges.take(2), Some(5));
    }
}
