//! A server as a pick sees it, and which of them a pick is among.

use std::time::Duration;

use super::{NoPick, Reason, slow_start};

/// A server as a pick sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Tells it from all others, the same in every proxy: [`super::hashing::identity`].
    pub identity: u64,
    /// Its share among the others; one of 0 is never picked.
    pub weight: u32,
    /// How much of its weight counts already: [`slow_start::warmth`].
    pub warmth: u32,
    /// It is there for when no other can be picked.
    pub backup: bool,
    /// Whether it is up.
    pub fitness: Fitness,
    /// It has as many requests in hand as it may have.
    pub full: bool,
    /// The request was there before.
    pub tried: bool,
    /// How many requests it has in hand.
    pub in_flight: u32,
    /// The moving average of its time to the first byte, as far as it is known.
    pub first_byte: Option<Duration>,
}

impl Candidate {
    /// A server that is up and has nothing to do.
    pub fn idle(identity: u64, weight: u32) -> Self {
        Self {
            identity,
            weight,
            warmth: slow_start::WARM,
            backup: false,
            fitness: Fitness::Up,
            full: false,
            tried: false,
            in_flight: 0,
            first_byte: None,
        }
    }

    fn can_be_picked(&self) -> bool {
        !self.full && !self.tried
    }
}

/// Whether a server is up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fitness {
    /// It is.
    Up,
    /// It is out, but only because it has answered with too many 5xx.
    Ejected,
    /// It is out because of a hard fact, or because somebody wants it out.
    Out,
}

/// Servers that stand in for each other; an earlier tier goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tier {
    Primary,
    Backup,
    Ejected,
}

impl Tier {
    pub(super) const COUNT: usize = 3;

    /// Finds the first tier that has a server which can be picked.
    ///
    /// Ejected servers are used only when none is up, be it a full one.
    pub(super) fn of(candidates: &[Candidate]) -> Result<Self, NoPick> {
        let exists = |tier: Self, can: fn(&Candidate) -> bool| {
            let mut members = candidates.iter().filter(|c| tier.has(c));
            members.any(can)
        };
        let full = |candidate: &Candidate| candidate.full && !candidate.tried;
        if exists(Self::Primary, Candidate::can_be_picked) {
            Ok(Self::Primary)
        } else if exists(Self::Backup, Candidate::can_be_picked) {
            Ok(Self::Backup)
        } else if exists(Self::Primary, full) || exists(Self::Backup, full) {
            Err(NoPick::Full)
        } else if exists(Self::Ejected, Candidate::can_be_picked) {
            Ok(Self::Ejected)
        } else if exists(Self::Ejected, full) {
            Err(NoPick::Full)
        } else {
            Err(NoPick::Nobody)
        }
    }

    fn has(self, candidate: &Candidate) -> bool {
        let fits = match self {
            Self::Primary => candidate.fitness == Fitness::Up && !candidate.backup,
            Self::Backup => candidate.fitness == Fitness::Up && candidate.backup,
            Self::Ejected => candidate.fitness == Fitness::Ejected,
        };
        fits && candidate.weight > 0
    }
}

/// The servers of an upstream, seen as the ones that a pick is among.
#[derive(Debug, Clone, Copy)]
pub struct Fleet<'c> {
    candidates: &'c [Candidate],
    tier: Tier,
    /// All of the tier are warm: weights need no finer unit.
    warm: bool,
}

impl<'c> Fleet<'c> {
    pub(super) fn new(candidates: &'c [Candidate], tier: Tier) -> Self {
        let mut members = candidates.iter().filter(|c| tier.has(c));
        Self {
            candidates,
            tier,
            warm: members.all(|member| member.warmth >= slow_start::WARM),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.candidates.len()
    }

    pub(super) fn candidate(&self, index: usize) -> &'c Candidate {
        &self.candidates[index]
    }

    /// What a server weighs in this pick; zero when it is not in the tier. The unit is finer while
    /// one of them starts slowly.
    pub(super) fn weight(&self, index: usize) -> u32 {
        let candidate = &self.candidates[index];
        if !self.tier.has(candidate) {
            0
        } else if self.warm {
            candidate.weight
        } else {
            candidate.weight * candidate.warmth.clamp(1, slow_start::WARM)
        }
    }

    pub(super) fn weights(&self) -> impl Iterator<Item = u32> + Clone {
        (0..self.len()).map(|index| self.weight(index))
    }

    /// Whether a server can be picked.
    pub(super) fn is_open(&self, index: usize) -> bool {
        let candidate = &self.candidates[index];
        self.tier.has(candidate) && candidate.can_be_picked()
    }

    /// All that can be picked.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.len()).filter(|&index| self.is_open(index))
    }

    /// The server with this identity, if it can be picked.
    pub(super) fn find(&self, identity: u64) -> Option<usize> {
        self.open()
            .find(|&index| self.candidates[index].identity == identity)
    }

    /// Gives the same reason for all that could have been picked but `picked`.
    pub(super) fn note_others(
        &self,
        picked: usize,
        reason: Reason,
        note: &mut impl FnMut(usize, Reason),
    ) {
        for index in self.open().filter(|&index| index != picked) {
            note(index, reason);
        }
    }

    /// Why a server cannot be picked, whatever the method says.
    pub(super) fn excluded(&self, index: usize) -> Option<Reason> {
        let candidate = &self.candidates[index];
        if candidate.weight == 0 {
            Some(Reason::NoWeight)
        } else if candidate.fitness == Fitness::Out {
            Some(Reason::Out)
        } else if candidate.fitness == Fitness::Ejected && self.tier != Tier::Ejected {
            Some(Reason::Ejected)
        } else if candidate.tried {
            Some(Reason::Tried)
        } else if candidate.full {
            Some(Reason::Full)
        } else if !self.tier.has(candidate) {
            // Up and free, so a backup; or a primary that is full next to one.
            Some(Reason::Spare)
        } else {
            None
        }
    }
}
