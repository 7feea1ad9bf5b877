//! What an event must leave alone: nobody else is put out, and no process is started anew.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderValue, Method};
use serde_json::Value;

use super::measure::{Bound, Measure};
use super::stage::Stage;
use crate::Fault;
use crate::ask::{Address, ask, request};

/// How long the proxy may take to tell its events.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was seen of a stack at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Witness {
    /// How often a server has been put out so far.
    outs: usize,
    /// The processes of the API and of the proxy.
    processes: BTreeSet<(String, i64)>,
}

impl Witness {
    /// Looks at a stack; `None` for containers, whose proxy tells nobody outside.
    pub(super) async fn of(stage: &Stage) -> Result<Option<Self>, Fault> {
        let Stage::Native(native) = stage else {
            return Ok(None);
        };
        let address = Address::Tcp(native.admin);
        let failed = |error: String| Fault::new(format!("the proxy's events: {error}"));
        let question = request(Method::GET, &address, "/events", Bytes::new());
        let mut question = question.map_err(|error| failed(error.to_string()))?;
        let list = HeaderValue::from_static("application/json");
        question.headers_mut().insert(ACCEPT, list);
        let answer = ask(&address, question, PATIENCE).await;
        let events = answer.map_err(|error| failed(error.to_string()))?.json();
        Ok(Some(Self::new(&events, &native.instances().await?)))
    }

    fn new(events: &Value, instances: &[Value]) -> Self {
        let events = events.as_array().map_or(&[][..], Vec::as_slice);
        let outs = events.iter().filter(|event| event["event"] == "server-out");
        let processes = instances
            .iter()
            .filter(|instance| instance["service"] != "db");
        Self {
            outs: outs.count(),
            processes: processes
                .filter_map(|instance| {
                    let name = instance["instance"].as_str()?;
                    Some((name.to_owned(), instance["pid"].as_i64()?))
                })
                .collect(),
        }
    }

    /// What has changed since `before`: nothing should have.
    pub(super) fn measures(&self, before: &Self) -> Vec<Measure> {
        let none = |what, count| Measure {
            what,
            value: super::idle::as_figure(count),
            bound: Bound::AtMost(0.0),
            judged: true,
        };
        let anew = self.processes.difference(&before.processes).count();
        vec![
            none("servers put out", self.outs.saturating_sub(before.outs)),
            none("processes started anew", anew),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn witness(outs: usize, proxy: i64, db: i64) -> Witness {
        let mut events = vec![json!({ "event": "server-up" })];
        events.extend(vec![json!({ "event": "server-out" }); outs]);
        let instance = |service: &str, pid: i64| json!({ "service": service, "instance": service, "pid": pid });
        Witness::new(
            &events.into(),
            &[instance("proxy", proxy), instance("db", db)],
        )
    }

    #[test]
    fn a_new_database_is_no_change_and_all_else_is() {
        let values = |later: &Witness| {
            let measures = later.measures(&witness(1, 10, 20));
            measures
                .iter()
                .map(|measure| measure.value)
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&witness(1, 10, 21)), [0.0, 0.0]);
        assert_eq!(values(&witness(3, 11, 20)), [2.0, 1.0]);
    }
}
