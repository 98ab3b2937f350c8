//! The memory backend keeps the contract of the log.

use std::sync::Arc;

use headwater_log::contract::Keep;
use headwater_log::{Epoch, IdKey, Log, MemoryLimits, MemoryLog};

fn make(keep: Keep) -> Arc<dyn Log> {
    let bytes_max = match keep {
        Keep::Everything => MemoryLimits::default().bytes_max,
        Keep::Little | Keep::States => 64 * 1024,
    };
    let retention = keep.retention();
    let limits = MemoryLimits { bytes_max, retention, ..MemoryLimits::default() };
    Arc::new(MemoryLog::new(Epoch::new(7), IdKey::new([1; 16]), limits))
}

headwater_log::contract_tests!(make);
