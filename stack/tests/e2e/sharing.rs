//! Who gets which requests.

use std::time::Duration;

use crate::support::{Stack, eventually, eventually_within};

/// Every ten hold exactly four and six, and nobody is asked three times in a row.
fn check_shares(order: &[String]) {
    for ten in order.chunks_exact(10) {
        let first = ten.iter().filter(|name| *name == "api_1").count();
        let second = ten.iter().filter(|name| *name == "api2_1").count();
        assert_eq!((first, second), (4, 6), "{order:?}");
    }
    for three in order.windows(3) {
        assert!(three[0] != three[1] || three[1] != three[2], "{order:?}");
    }
}

pub(crate) async fn a_hundred_requests_are_shared_exactly(stack: &Stack) {
    check_shares(&stack.order(100).await);
}

pub(crate) async fn a_returned_instance_gets_its_share_at_once(stack: &Stack) {
    stack.driver.run("stop api").await;
    assert!(!stack.answers("api_1").await);
    stack.driver.run("start api").await;
    eventually("api answers again", || async {
        stack.order(1).await == ["api_1"]
    })
    .await;
    check_shares(&stack.order(30).await);
}

pub(crate) async fn three_instances_come_and_go_without_a_lost_read(stack: &Stack) {
    let traffic = stack.traffic(0.0);
    traffic.flow(1).await;
    stack.driver.run("scale api=3").await;
    for name in ["api_1", "api_2", "api_3", "api2_1"] {
        eventually(&format!("{name} answers"), || stack.answers(name)).await;
    }
    traffic.flow(2).await;
    stack.driver.run("scale api=1").await;
    eventually("the others are gone", || async {
        !stack.answers("api_2").await && !stack.answers("api_3").await
    })
    .await;
    traffic.flow(2).await;
    let report = traffic.stop().await;
    assert_eq!(report.lost_get, 0, "{report}");
    assert_eq!(report.refused, 0, "{report}");
    eventually_within(Duration::from_secs(15), "two share again", || {
        stack.is_whole()
    })
    .await;
}
