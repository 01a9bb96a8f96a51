//! "Did you mean": the known word that is closest to a misspelt one.

/// Words of other tools, and ours for the same thing.
const SYNONYMS: &[(&str, &str)] = &[
    ("database", "dbname"),
    ("db", "dbname"),
    ("file", "path"),
    ("filename", "path"),
];

/// The candidate nearest to `word`, or `None` if nothing is near enough to be meant: a third of the letters may
/// differ, or one word may start with the other (`username` for `user`).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let synonym = SYNONYMS
        .iter()
        .find(|(other, _)| *other == word)
        .map(|(_, ours)| *ours);
    let letters = word.chars().count();
    let tolerance = (letters / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let lower = candidate.to_lowercase();
            if Some(lower.as_str()) == synonym {
                return Some((0, candidate));
            }
            let distance = strsim::osa_distance(&word, &lower);
            let shorter = letters.min(lower.chars().count());
            let prefix = shorter >= 3 && (word.starts_with(&lower) || lower.starts_with(&word));
            (distance <= tolerance || prefix).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A hint that names the nearest of `candidates`, or else all of them if they fit on a line.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(meant) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{meant}`?"));
    }
    let all: Vec<String> = candidates
        .into_iter()
        .map(|candidate| format!("`{candidate}`"))
        .collect();
    match all.as_slice() {
        [] => None,
        [only] => Some(format!("only {only} is known")),
        [.., last] if all.len() <= 12 => Some(format!(
            "known are {} and {last}",
            all[..all.len() - 1].join(", ")
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn typing_errors_are_near_and_other_words_are_not() {
        let keys = [
            "partition_step",
            "partition_column",
            "user",
            "host",
            "type",
            "dbname",
        ];
        let check = |word: &str, meant: Option<&str>| assert_eq!(nearest(word, keys), meant, "{word}");
        check("partition_stp", Some("partition_step"));
        check("Partition_Step", Some("partition_step"));
        check("username", Some("user"));
        check("hots", Some("host"));
        check("tpye", Some("type"));
        check("database", Some("dbname"));
        check("colour", None);
        check("x", None);
    }
}
