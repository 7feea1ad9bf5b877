//! The id that ties together what client, proxy and API say of one request.

use http::HeaderMap;

/// The field that carries it.
pub const FIELD: &str = "x-request-id";
/// The longest id that is taken over from a client.
const LONGEST: usize = 64;

/// Returns the client's id if it is one that can safely be written to a log, else a new one.
pub fn of(headers: &HeaderMap) -> String {
    let mut given = headers.get_all(FIELD).iter();
    match (given.next().and_then(|id| id.to_str().ok()), given.next()) {
        (Some(id), None) if is_valid(id) => id.to_owned(),
        _ => fresh(),
    }
}

/// Makes a new id: 32 hexadecimal digits, at random.
pub fn fresh() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn is_valid(id: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[&str], kept: bool) {
        let mut headers = HeaderMap::new();
        for id in given {
            headers.append(FIELD, id.parse().unwrap());
        }
        let id = of(&headers);
        assert_eq!(given.first() == Some(&id.as_str()), kept, "{given:?} {id}");
        assert!(is_valid(&id));
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        check(&["a-Z_0.9"], true);
        check(&["x".repeat(64).as_str()], true);
        check(&["x".repeat(65).as_str()], false);
        check(&[""], false);
        check(&["a b"], false);
        check(&["a\u{e9}"], false);
        check(&["a", "b"], false);
        check(&[], false);
    }
}
