//! What somebody may have meant.

/// The known name that is most like `name`, if one is like it at all: a third of its letters
/// may differ.
pub fn closest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    // Names may be as long as their file, and the distance is quadratic.
    const LONGEST: usize = 100;
    if name.len() > LONGEST {
        return None;
    }
    let plain = |name: &str| name.to_ascii_lowercase().replace('-', "_");
    let wanted = plain(name);
    known
        .filter(|known| known.len() <= 2 * LONGEST)
        .map(|known| (strsim::damerau_levenshtein(&wanted, &plain(known)), known))
        .filter(|(distance, known)| *distance <= (known.len().max(2) / 3).max(1))
        .min()
        .map(|(_, known)| known)
}
