//! Where a subscription begins: its start, resolved against the log.

use headwater_log::{
    Bounds, Filter, Log, LogError, Millis, Offset, OpenedId, Position, Removals, Resolved, Seek,
};

use crate::subscription::{Resume, Since, Start, Subscription};

/// A start, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// What the subscriber is told.
    pub resume: Resume,
    /// The position that the open block carries. If there is a gap to tell, coming back with it tells
    /// the gap again, because until the gap's own block has arrived the subscriber does not know of it.
    pub told: Position,
    /// Everything beyond it is to be delivered.
    pub cursor: Position,
    /// The id that the subscriber asked to go on from, to be repeated in the gap.
    pub requested: Option<String>,
    /// Up to there, only the newest event of each topic.
    pub newest_until: Option<Offset>,
    /// What the log had removed by then has been told, or was not asked for.
    pub began: Removals,
}

impl Opening {
    /// Whether the place that was asked for is one that a crash took, and what follows is what took its
    /// place.
    #[must_use]
    pub fn went_elsewhere(&self) -> bool {
        self.told != self.cursor && self.told != Position::FOREIGN
    }
}

/// Resolves a start. Asks the log once or twice; `now` is the hub's time. `held` is the window's
/// [`base`](crate::Snapshot::base): what lies beyond it is delivered even if the log has let it go.
///
/// # Errors
/// If the log cannot be read.
pub async fn open(
    log: &dyn Log,
    subscription: &Subscription,
    held: Offset,
    now: Millis,
) -> Result<Opening, LogError> {
    let Bounds { floor, tail, removals } = log.bounds();
    let filter = &subscription.filter;
    let seek = |seek| log.seek(seek, filter.clone());
    let from = |cursor: Position| Opening {
        resume: Resume::Exact,
        told: cursor,
        cursor,
        requested: None,
        newest_until: None,
        began: removals,
    };
    Ok(match &subscription.start {
        Start::Live => Opening { resume: Resume::Live, began: Removals::NONE, ..from(tail) },
        Start::Id(id) => {
            let opening = resolve(log, id, filter, held).await?;
            // Without a gap nothing is forgiven: what the log has let go the window may still hold.
            let told = opening.resume == Resume::Gap;
            Opening { began: if told { removals } else { Removals::NONE }, ..opening }
        }
        Start::Since(Since::All) => from(log.position(floor)),
        Start::Since(Since::Latest) => {
            Opening { newest_until: Some(tail.offset), ..from(log.position(floor)) }
        }
        Start::Since(Since::Last(count)) => from(log.position(seek(Seek::Last(*count)).await?)),
        Start::Since(Since::Ago(age)) => {
            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            let time = Millis(now.0.saturating_sub(age_ms));
            from(log.position(seek(Seek::Time(time)).await?))
        }
    })
}

async fn resolve(
    log: &dyn Log,
    id: &str,
    filter: &Filter,
    held: Offset,
) -> Result<Opening, LogError> {
    let resolved = log.resolve(id).await?;
    let (cursor, gap, told) = match resolved {
        Resolved::At(offset) | Resolved::Trimmed(offset) => {
            let cursor = log.position(offset);
            // A gap is told only if an event that this subscriber would have received may be gone.
            (cursor, offset < held && log.may_have_lost(offset, filter), cursor)
        }
        Resolved::Ahead(offset) => (log.position(offset), false, log.position(offset)),
        Resolved::Lost(offset) => {
            let told = match log.id_key().open(id) {
                OpenedId::Position(position) => position,
                OpenedId::Foreign | OpenedId::NotGenerated => Position::FOREIGN,
            };
            (log.position(offset), true, told)
        }
        Resolved::Foreign => (log.position(log.bounds().floor), true, Position::FOREIGN),
    };
    Ok(Opening {
        resume: if gap { Resume::Gap } else { Resume::Exact },
        told,
        cursor,
        requested: Some(id.to_owned()),
        newest_until: None,
        began: Removals::NONE,
    })
}
