use super::*;

fn check_accept(accept: &str, html: bool) {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
    assert_eq!(prefers_html(&headers), html, "{accept}");
}

#[test]
fn browsers_get_html_and_others_json() {
    check_accept("text/html,application/xhtml+xml,*/*;q=0.8", true);
    check_accept("*/*", false);
    check_accept("application/json, text/html", false);
    check_accept("application/json", false);
    assert!(!prefers_html(&HeaderMap::new()));
}

#[test]
fn a_page_names_the_proxy_and_closes() {
    let page = failure_page(Failure::NoServer, Form::Json, "id-1").unwrap();
    let wire = String::from_utf8(page.to_http1()).unwrap();
    let (head, body) = wire.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{head}"
    );
    for line in [
        "x-instance: proxy",
        "x-request-id: id-1",
        "retry-after: 1",
        "connection: close",
        "content-type: application/json",
    ] {
        assert!(head.contains(line), "{line} in {head}");
    }
    assert!(head.contains(&format!("content-length: {}", body.len())));
    assert_eq!(
        body,
        r#"{"detail":"No server is available at the moment.","request_id":"id-1"}"#
    );
}

#[test]
fn html_shows_the_status_and_the_sentence() {
    let body = html_body(Failure::NoRoute, true, "id-1");
    assert!(body.contains("Request <code>id-1</code>"), "{body}");
    assert!(body.contains(STYLE_SHEET));
    assert!(
        body.contains("<a href=\"/api/\">Music API</a>"),
        "the ways on"
    );
    let plain = html_body(Failure::NoRoute, false, "id-1");
    assert!(!plain.contains("/static/") && !plain.contains("href"));
    assert!(body.contains("<h1>404 Not Found</h1>"));
    assert!(body.contains("There is nothing at this address."));
    // On a phone and in the dark as well.
    assert!(body.contains("width=device-width") && body.contains("light dark"));
}
