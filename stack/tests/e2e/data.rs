//! The songs: shared by all instances, and still there tomorrow.

use http::{Method, StatusCode};

use crate::driver::{Kind, until_free};
use crate::support::{Stack, eventually};

pub(crate) async fn both_instances_see_the_same_songs(stack: &Stack) {
    let id = stack.add_song("shared").await;
    let path = format!("/api/music/{id}/");
    for _ in 0..10 {
        let answer = stack.get(&path).await.unwrap();
        assert_eq!(answer.json()["song"], "shared", "{}", answer.instance());
    }
    let gone = stack.ask(Method::DELETE, &path, "*/*", "").await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    for _ in 0..10 {
        assert_eq!(
            stack.get(&path).await.unwrap().status,
            StatusCode::NOT_FOUND
        );
    }
}

pub(crate) async fn songs_survive_down_and_up(stack: &Stack) {
    let id = stack.add_song("lasting").await;
    stack.driver.down().await;
    if stack.driver.kind == Kind::Native {
        until_free(stack.driver.address).await;
    }
    stack.driver.up().await;
    eventually("it is up again", || stack.is_whole()).await;
    let answer = stack.get(&format!("/api/music/{id}/")).await.unwrap();
    assert_eq!(answer.json()["song"], "lasting");
}
