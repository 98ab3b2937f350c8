//! Replays the fuzz targets' corpora: whatever fuzzing has found stays found.

mod checks;

use std::fs;
use std::path::Path;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is committed") {
        let path = entry.expect("a readable folder").path();
        let bytes = fs::read(&path).expect("a readable file");
        let holds = std::panic::catch_unwind(|| check(&bytes)).is_ok();
        assert!(holds, "{} does not hold", path.display());
        count += 1;
    }
    assert!(count >= 20, "only {count} files in {}", folder.display());
}

#[test]
fn decode() {
    replay("decode", checks::check_decode);
}

#[test]
fn encode() {
    replay("encode", checks::check_encode_bytes);
}
