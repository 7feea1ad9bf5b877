//! The document and the code say the same.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use futures_util::future::join_all;
use http::{Method, Request, StatusCode};
use tower::ServiceExt;

use super::*;
use crate::router::{app, tests::app_without_database};

fn document() -> Value {
    value(Permission::ReadOnly)
}

/// The methods that the document has at each path.
fn described() -> Vec<(String, BTreeSet<String>)> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let methods = |item: &Value| {
        item.as_object()
            .unwrap()
            .keys()
            .map(|name| name.to_ascii_uppercase())
            .collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// The paths that the router's own source names, but for those of pages that are no part of the API.
fn routed() -> BTreeSet<String> {
    let source = include_str!("../router.rs");
    let (_, routes) = source.split_once("\nfn routes(").unwrap();
    let (routes, _) = routes.split_once("\n}\n").unwrap();
    let paths = routes
        .split(".route(")
        .skip(1)
        .map(|route| route.split('"').nth(1).unwrap());
    paths
        .filter(|path| !path.starts_with("/admin/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_route_is_described_and_nothing_else() {
    let described: BTreeSet<_> = described().into_iter().map(|(path, _)| path).collect();
    assert_eq!(described, routed());
}

async fn is_known(app: &Router, method: &str, target: &str) -> bool {
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).unwrap())
        .uri(target)
        .header("host", "music.test")
        .body(Body::empty());
    let answer = app.clone().oneshot(request.unwrap()).await.unwrap();
    answer.status() != StatusCode::METHOD_NOT_ALLOWED
}

#[tokio::test]
async fn every_method_is_described_and_nothing_else() {
    let app = app(app_without_database().await);
    for (path, described) in described() {
        let target = path.replace("{id}", "x").replace("{file}", "index.html");
        let methods = [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND",
        ];
        // All at once: where a database is asked, that it is away takes its time.
        let found = join_all(methods.map(|name| is_known(&app, name, &target))).await;
        let found = methods.into_iter().zip(found).filter(|(_, known)| *known);
        let found: BTreeSet<_> = found.map(|(name, _)| name.to_owned()).collect();
        assert_eq!(described, found, "{path}");
        if let Some(endpoint) = operations::endpoint(&path) {
            let allowed = endpoint.allow.split(", ").map(str::to_owned).collect();
            assert_eq!(described, allowed, "{path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(value: &Value, document: &Value, count: &mut usize) {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
            *count += 1;
        }
        let array = value.as_array().into_iter().flatten();
        let object = value
            .as_object()
            .into_iter()
            .flat_map(|object| object.values());
        array
            .chain(object)
            .for_each(|inner| check(inner, document, count));
    }
    let (document, mut count) = (document(), 0);
    check(&document, &document, &mut count);
    assert!(count > 100, "{count}");
}

#[test]
fn a_refusal_stands_under_the_status_that_it_has() {
    let document = document();
    let at = |path: &str, method: &str, status: &str| {
        document["paths"][path][method]["responses"][status].clone()
    };
    for (path, method, status, name) in [
        ("/api/music/", "get", "404", "NoCursor"),
        ("/api/music/", "post", "422", "OtherRequest"),
        ("/api/music/{id}/", "patch", "412", "PreconditionFailed"),
        ("/api/music/{id}/", "delete", "409", "StillRunning"),
        ("/api/music/{id}/", "put", "503", "WriteUnavailable"),
        ("/api/schema/", "get", "406", "NotAcceptable"),
    ] {
        assert_eq!(
            at(path, method, status),
            refusals::refer(name),
            "{path} {method}"
        );
    }
    let problem = &document["components"]["responses"]["WriteUnavailable"];
    for header in ["Retry-After", "X-LB-Cause", "Idempotency-Key", "X-Instance"] {
        assert!(problem["headers"].get(header).is_some(), "{header}");
    }
    let unknown = &problem["content"]["application/json"]["examples"]["unknown_outcome"]["value"];
    assert_eq!(unknown["outcome"], "unknown");
    let blank = &document["components"]["responses"]["BadWrite"]["content"]["application/json"]["examples"]
        ["blank"];
    assert_eq!(blank["value"]["song"][0], "This field may not be blank.");
}

#[test]
fn who_must_be_signed_in_depends_on_the_permission() {
    let optional = |permission, path: &str, method: &str| {
        let all = value(permission)["paths"][path][method]["security"].clone();
        all.as_array().unwrap().contains(&serde_json::json!({}))
    };
    for (permission, read, write) in [
        (Permission::Open, true, true),
        (Permission::ReadOnly, true, false),
        (Permission::Authenticated, false, false),
    ] {
        assert_eq!(
            optional(permission, "/api/music/", "get"),
            read,
            "{permission:?}"
        );
        assert_eq!(
            optional(permission, "/api/music/", "post"),
            write,
            "{permission:?}"
        );
        assert!(optional(permission, "/api/", "get"), "{permission:?}");
    }
}

#[test]
fn a_header_is_written_as_people_write_it() {
    for (name, expected) in [
        ("x-lb-drain", "X-LB-Drain"),
        ("etag", "ETag"),
        ("retry-after", "Retry-After"),
    ] {
        assert_eq!(
            headers::title(&http::HeaderName::from_static(name)),
            expected
        );
    }
}
