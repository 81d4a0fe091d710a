//! Names that look like one that was mistyped.

/// At most three names, the best first. Case does not matter, `_` is as good as `-`, and a part of a name finds it.
pub fn nearest<'a>(names: impl IntoIterator<Item = &'a str>, typed: &str) -> Vec<&'a str> {
    let typed = plain(typed);
    let mut scored: Vec<_> = names
        .into_iter()
        .map(|name| {
            let within = typed.len() >= 3 && plain(name).contains(&typed);
            (if within { 1.0 } else { strsim::jaro_winkler(&plain(name), &typed) }, name)
        })
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let mut nearest = Vec::new();
    for (_, name) in scored {
        if !nearest.contains(&name) && nearest.len() < 3 {
            nearest.push(name);
        }
    }
    nearest
}

/// How names are compared: without case, `_` as `-`.
pub fn plain(name: &str) -> String {
    name.trim().to_ascii_lowercase().replace('_', "-")
}

/// `; did you mean a or b`, or nothing.
pub fn suggestion(nearest: &[impl AsRef<str>]) -> String {
    let names: Vec<&str> = nearest.iter().map(AsRef::as_ref).collect();
    if names.is_empty() { String::new() } else { format!("; did you mean {}", names.join(" or ")) }
}

#[cfg(test)]
mod tests {
    use super::{nearest, suggestion};

    #[test]
    fn slips_parts_and_other_cases_are_found() {
        let names = ["three-way-close", "half-close", "handshake", "abort"];
        assert_eq!(nearest(names, "handshke"), ["handshake"]);
        assert_eq!(nearest(names, "CLOSE"), ["three-way-close", "half-close"]);
        assert_eq!(nearest(names, "half_close")[0], "half-close");
        assert_eq!(nearest(names, "xyzzy"), [""; 0]);
    }

    #[test]
    fn a_suggestion_names_them_all() {
        assert_eq!(suggestion(&["a", "b"]), "; did you mean a or b");
        assert_eq!(suggestion(&[""; 0]), "");
    }
}
