//! Why a server was picked, or was not, in words for `proxy explain`.

/// Why a server was picked, or was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It is out.
    Out,
    /// It is out for its 5xx answers, and another one is up.
    Ejected,
    /// Its weight is 0.
    NoWeight,
    /// It has as many requests in hand as it may.
    Full,
    /// The request was there before.
    Tried,
    /// It is a backup, and is not needed.
    Spare,
    /// The sticky cookie names it.
    Sticky,
    /// The sticky cookie names another one.
    StuckElsewhere,
    /// Its turn has come.
    ItsTurn,
    /// Its turn has not come.
    NotItsTurn,
    /// It has fewer requests in hand for its weight than any other.
    LeastBusy,
    /// Another one has fewer requests in hand for its weight.
    Busier,
    /// It comes first for the request's key.
    FirstForKey,
    /// Another one comes before it for the request's key.
    LaterForKey,
    /// It was drawn, and is not busier than the other one that was.
    LessBusyOfTwo,
    /// It was drawn, but the other one that was is less busy.
    BusierOfTwo,
    /// It was not drawn.
    NotDrawn,
    /// It promises the earliest first byte for its weight.
    Quickest,
    /// Another one promises an earlier first byte for its weight.
    Slower,
}

impl Reason {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Out => "it is out",
            Self::Ejected => "it is ejected for 5xx or broken answers, and another server is up",
            Self::NoWeight => "its weight is 0",
            Self::Full => "it has as many requests in hand as it may",
            Self::Tried => "the request was there before",
            Self::Spare => "it is a backup and is not needed",
            Self::Sticky => "the sticky cookie names it",
            Self::StuckElsewhere => "the sticky cookie names another server",
            Self::ItsTurn => "it is its turn",
            Self::NotItsTurn => "it is not its turn",
            Self::LeastBusy => "it has the fewest requests in hand for its weight",
            Self::Busier => "another server has fewer requests in hand for its weight",
            Self::FirstForKey => "it comes first for this key",
            Self::LaterForKey => "another server comes first for this key",
            Self::LessBusyOfTwo => "it was drawn and is the less busy of the two",
            Self::BusierOfTwo => "it was drawn but is the busier of the two",
            Self::NotDrawn => "it was not drawn",
            Self::Quickest => "it promises the earliest first byte for its weight",
            Self::Slower => "another server promises an earlier first byte for its weight",
        }
    }
}
