//! How many proxies an OPTIONS may still pass (RFC 9110, 7.6.2).

use http::{HeaderMap, Method, header};

/// Whether a request is to be answered here, and not passed on.
pub fn ends_here(method: &Method, headers: &HeaderMap) -> bool {
    limit(method, headers) == Some(0)
}

/// The limit that a request goes on with, if it has one.
pub fn hops_left(method: &Method, headers: &HeaderMap) -> Option<u64> {
    limit(method, headers)?.checked_sub(1)
}

/// The limit of an OPTIONS; other methods may have one, which means nothing.
fn limit(method: &Method, headers: &HeaderMap) -> Option<u64> {
    if method != Method::OPTIONS {
        return None;
    }
    let limit = headers.get(header::MAX_FORWARDS)?;
    let limit = limit.to_str().ok()?.trim();
    let is_number = !limit.is_empty() && limit.bytes().all(|byte| byte.is_ascii_digit());
    // One that is too large to be read is as good as none.
    limit.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        for (method, value, ends, left) in [
            (Method::OPTIONS, "0", true, None),
            (Method::OPTIONS, "1", false, Some(0)),
            (Method::OPTIONS, "10", false, Some(9)),
            (Method::OPTIONS, "", false, None),
            (Method::OPTIONS, "-1", false, None),
            (Method::OPTIONS, "+0", false, None),
            (Method::OPTIONS, "99999999999999999999999", false, None),
            (Method::GET, "0", false, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::MAX_FORWARDS, value.parse().unwrap());
            assert_eq!(ends_here(&method, &headers), ends, "{method} {value}");
            assert_eq!(hops_left(&method, &headers), left, "{method} {value}");
        }
        assert!(!ends_here(&Method::OPTIONS, &HeaderMap::new()));
    }
}
