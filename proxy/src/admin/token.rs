//! The token that a change through the admin listener may need, and how it is compared.

/// What a token's file must hold.
pub const EXPECTED: &str =
    "expected a token of 16 to 512 visible ASCII characters and nothing else in the file";

/// Reads the token in the text of its file; a line end behind it is allowed.
pub fn of_file(text: &str) -> Option<&str> {
    let token = text.trim_end();
    let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    ((16..=512).contains(&token.len()) && is_visible).then_some(token)
}

/// Whether an `Authorization` field carries the token.
///
/// It takes as long for a wrong token as for the right one, so that nobody can find it out letter
/// by letter; only the length shows.
pub fn is_in(authorization: &str, token: &str) -> bool {
    let Some((scheme, given)) = authorization.split_once(' ') else {
        return false;
    };
    let (given, token) = (given.trim().as_bytes(), token.as_bytes());
    let differences = given
        .iter()
        .zip(token)
        .fold(0, |found, (a, b)| std::hint::black_box(found | (a ^ b)));
    scheme.eq_ignore_ascii_case("bearer") && given.len() == token.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_taken() {
        let token = of_file("0123456789abcdef\n").unwrap();
        assert!(is_in("Bearer 0123456789abcdef", token));
        assert!(is_in("bearer 0123456789abcdef", token));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "0123456789abcdef",
            "Basic 0123456789abcdef",
            "Bearer 0123456789abcdeF",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
        ] {
            assert!(!is_in(wrong, token), "{wrong}");
        }
    }

    #[test]
    fn a_file_without_a_usable_token() {
        for wrong in [
            "",
            "\n",
            "short",
            "0123456789abcde\u{e9}",
            "0123456789 abcdef",
        ] {
            assert_eq!(of_file(wrong), None, "{wrong:?}");
        }
    }
}
