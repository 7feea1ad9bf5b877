//! The words of `?search=`, as the original splits them. Pure.

/// More words than this are refused: each one costs a look at every row.
pub(crate) const MOST_WORDS: usize = 20;

/// Splits at white space and commas; what stands in quotes is one word. A word is there once.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: String| {
        if !word.is_empty() && !words.contains(&word) {
            words.push(word);
        }
    };
    for piece in pieces(text) {
        let piece = piece.trim_matches(',');
        match quoted(piece) {
            Some(word) => add(word),
            None => piece.split(',').for_each(|word| add(word.to_owned())),
        }
    }
    words
}

/// Returns the pattern of `LIKE` that finds a word anywhere.
pub(super) fn pattern(word: &str) -> String {
    let mut pattern = String::with_capacity(word.len() + 2);
    pattern.push('%');
    for character in word.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Cuts at white space outside of quotes. A quote that is not closed is a character like any other.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = end_of_piece(rest);
        let (piece, after) = rest.split_at(end);
        pieces.push(piece);
        rest = after.trim_start();
    }
    pieces
}

fn end_of_piece(text: &str) -> usize {
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if character.is_whitespace() {
            return at;
        }
        at += character.len_utf8();
        if matches!(character, '"' | '\'') {
            at += closing(&text[at..], character).map_or(0, |closing| closing + 1);
        }
    }
    at
}

/// Finds the quote that ends a quotation; one after a backslash does not.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if character == quote => return Some(at),
            _ => {}
        }
    }
    None
}

/// Takes the quotes off a piece that is one quotation.
fn quoted(piece: &str) -> Option<String> {
    let quote = piece
        .chars()
        .next()
        .filter(|first| matches!(first, '"' | '\''))?;
    let inner = piece[1..].strip_suffix(quote)?;
    let escape = format!("\\{quote}");
    Some(
        inner
            .replace(&escape, &quote.to_string())
            .replace(r"\\", r"\"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_split_as_the_original_splits_them() {
        for (text, expected) in [
            ("", &[][..]),
            (" \t ", &[]),
            ("one", &["one"]),
            (" one  two\tthree ", &["one", "two", "three"]),
            ("one,two, three,,", &["one", "two", "three"]),
            ("one one", &["one"]),
            ("\"singer A\" song", &["singer A", "song"]),
            ("'singer A',", &["singer A"]),
            (r#""a \" b""#, &["a \" b"]),
            ("\"not closed", &["\"not", "closed"]),
            ("it's", &["it's"]),
            ("\"", &["\""]),
            ("鄧麗君\u{3000}月", &["鄧麗君", "月"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn nothing_in_a_word_is_a_pattern() {
        assert_eq!(pattern(r"50%_\a"), r"%50\%\_\\a%");
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in r#"[ab"'\\, 歌]{0,24}"#) {
            for word in words(&text) {
                prop_assert!(!word.is_empty());
            }
        }
    }
}
