//! The memory backend keeps the contract of the log.

use std::sync::Arc;

use headwater_log::contract::Keep;
use headwater_log::{Epoch, IdKey, Log, MemoryLimits, MemoryLog};

fn make(keep: Keep) -> Arc<dyn Log> {
    let bytes_max = match keep {
        Keep::Everything => MemoryLimits::default().bytes_max,
        Keep::Little => 64 * 1024,
    };
    let limits = MemoryLimits { bytes_max, ..MemoryLimits::default() };
    Arc::new(MemoryLog::new(Epoch::new(7), IdKey::new([1; 16]), limits))
}

headwater_log::contract_tests!(make);
