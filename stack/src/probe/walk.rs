//! A random walk: an order of events, each possible where it comes, that follows from its seed alone.
//!
//! At any time at least one instance is healthy and takes part. Pure: whoever walks does what the
//! steps say, one after another, and waits for each until it is done.

use std::time::Duration;

/// The most instances of the service that is scaled.
const MOST: usize = 3;
/// The methods of the proxy that can be changed to at any time.
const METHODS: [&str; 4] = [
    "round-robin",
    "least-connections",
    "random-two",
    "least-time",
];

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// SIGKILL to an instance.
    Kill(String),
    /// SIGTERM to an instance.
    Stop(String),
    /// An instance that was killed or stopped is run again.
    Start(String),
    /// SIGSTOP to an instance.
    Pause(String),
    /// SIGCONT to it.
    Resume(String),
    /// The service `api` gets so many instances.
    Scale(usize),
    /// The proxy reads its settings again.
    Reload,
    /// An instance gets another weight.
    Weight(String, u32),
    /// An instance gets nothing new.
    Drain(String),
    /// It takes part again.
    Enable(String),
    /// The proxy picks by another method.
    Method(&'static str),
    /// Postgres is stopped and started.
    RestartDatabase,
}

/// An event, and the pause after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub event: Event,
    /// How long nothing more is done.
    pub pause: Duration,
}

/// The condition of an instance, as the walk left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Healthy,
    Down,
    Paused,
    Drained,
}

/// All instances by their conditions, and where the next random number comes from.
#[derive(Debug, Clone)]
pub struct Walk {
    state: u64,
    instances: Vec<(String, Condition)>,
}

impl Walk {
    /// A walk over a stack of `api_1` and `api2_1`, both healthy.
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed,
            instances: ["api2_1", "api_1"]
                .map(|name| (name.to_owned(), Condition::Healthy))
                .into(),
        }
    }

    /// The next number (the sequence of `SplitMix64`), below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let bound = u64::try_from(bound.max(1)).unwrap_or(1);
        usize::try_from(mixed % bound).unwrap_or(0)
    }

    /// The next step: one of those that are possible now, each kind as likely as any other.
    pub fn step(&mut self) -> Step {
        let mut kinds = self.possible();
        let kind = self.below(kinds.len());
        let mut kind = kinds.swap_remove(kind);
        let choice = self.below(kind.len());
        let event = kind.swap_remove(choice);
        self.apply(&event);
        let pause = Duration::from_millis(200 + 100 * self.below(9) as u64);
        Step { event, pause }
    }

    /// What brings everything back: all instances healthy, one of each service, round-robin.
    pub fn home(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for (name, condition) in &self.instances {
            match condition {
                Condition::Healthy => {}
                Condition::Down => events.push(Event::Start(name.clone())),
                Condition::Paused => events.push(Event::Resume(name.clone())),
                Condition::Drained => events.push(Event::Enable(name.clone())),
            }
        }
        events.push(Event::Scale(1));
        events.extend(
            [("api_1", 4), ("api2_1", 6)]
                .map(|(name, weight)| Event::Weight(name.to_owned(), weight)),
        );
        events.push(Event::Method("round-robin"));
        for event in &events {
            self.apply(event);
        }
        events
    }

    /// The events that leave somebody healthy, by their kinds; none of the lists is empty.
    fn possible(&mut self) -> Vec<Vec<Event>> {
        let healthy = self.with(Condition::Healthy);
        let spare = if healthy.len() > 1 { &healthy[..] } else { &[] };
        let each = |names: &[String], event: fn(String) -> Event| {
            names.iter().cloned().map(event).collect::<Vec<_>>()
        };
        let count = self.instances.len() - 1;
        let scales = (1..=MOST).filter(|&n| n != count && self.can_scale_to(n));
        let mut kinds = vec![
            each(spare, Event::Kill),
            each(spare, Event::Stop),
            each(spare, Event::Pause),
            each(spare, Event::Drain),
            each(&self.with(Condition::Down), Event::Start),
            each(&self.with(Condition::Paused), Event::Resume),
            each(&self.with(Condition::Drained), Event::Enable),
            scales.map(Event::Scale).collect(),
            vec![Event::Reload],
            METHODS.map(Event::Method).into(),
            vec![Event::RestartDatabase],
        ];
        let weight = u32::try_from(1 + self.below(10)).unwrap_or(1);
        kinds.push(
            healthy
                .into_iter()
                .map(|name| Event::Weight(name, weight))
                .collect(),
        );
        kinds.retain(|kind| !kind.is_empty());
        kinds
    }

    fn with(&self, condition: Condition) -> Vec<String> {
        let matching = self.instances.iter().filter(|(_, now)| *now == condition);
        matching.map(|(name, _)| name.clone()).collect()
    }

    /// Fewer instances must leave a healthy one; the first of `api2` is never taken away.
    fn can_scale_to(&self, count: usize) -> bool {
        let mut left = self.instances.iter().take(count + 1);
        left.any(|(_, condition)| *condition == Condition::Healthy)
    }

    fn apply(&mut self, event: &Event) {
        let (name, condition) = match event {
            Event::Kill(name) | Event::Stop(name) => (name, Condition::Down),
            Event::Pause(name) => (name, Condition::Paused),
            Event::Drain(name) => (name, Condition::Drained),
            Event::Start(name) | Event::Resume(name) | Event::Enable(name) => {
                (name, Condition::Healthy)
            }
            Event::Scale(count) => {
                self.instances.truncate(count + 1);
                for number in self.instances.len()..=*count {
                    let name = format!("api_{number}");
                    self.instances.push((name, Condition::Healthy));
                }
                return;
            }
            Event::Reload | Event::Weight(..) | Event::Method(_) | Event::RestartDatabase => return,
        };
        if let Some(instance) = self.instances.iter_mut().find(|(other, _)| other == name) {
            instance.1 = condition;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(seed: u64, steps: usize) -> Vec<Step> {
        let mut walk = Walk::new(seed);
        (0..steps).map(|_| walk.step()).collect()
    }

    #[test]
    fn a_seed_always_leads_the_same_way_and_another_one_elsewhere() {
        assert_eq!(walk(7, 200), walk(7, 200));
        assert_ne!(walk(7, 200), walk(8, 200));
    }

    #[test]
    fn somebody_is_healthy_at_any_time_and_every_step_is_possible() {
        for seed in 0..200 {
            let mut walk = Walk::new(seed);
            for _ in 0..100 {
                let before = walk.clone();
                let event = walk.step().event;
                assert!(
                    !walk.with(Condition::Healthy).is_empty(),
                    "{seed}: {event:?}"
                );
                let was = |name: &String, condition| before.with(condition).contains(name);
                let possible = match &event {
                    Event::Kill(name) | Event::Stop(name) | Event::Pause(name) => {
                        was(name, Condition::Healthy)
                    }
                    Event::Drain(name) | Event::Weight(name, _) => was(name, Condition::Healthy),
                    Event::Start(name) => was(name, Condition::Down),
                    Event::Resume(name) => was(name, Condition::Paused),
                    Event::Enable(name) => was(name, Condition::Drained),
                    Event::Scale(count) => (1..=MOST).contains(count),
                    Event::Reload | Event::Method(_) | Event::RestartDatabase => true,
                };
                assert!(possible, "{seed}: {event:?} after {before:?}");
            }
        }
    }

    #[test]
    fn every_kind_of_event_comes_up() {
        let events: Vec<_> = (0..20).flat_map(|seed| walk(seed, 100)).collect();
        let kinds: std::collections::HashSet<_> = events
            .iter()
            .map(|step| std::mem::discriminant(&step.event))
            .collect();
        assert_eq!(kinds.len(), 12);
    }

    #[test]
    fn home_is_two_healthy_instances() {
        for seed in 0..100 {
            let mut walk = Walk::new(seed);
            for _ in 0..50 {
                walk.step();
            }
            walk.home();
            assert_eq!(walk.instances.len(), 2, "{seed}");
            assert_eq!(walk.with(Condition::Healthy).len(), 2, "{seed}");
        }
    }
}
