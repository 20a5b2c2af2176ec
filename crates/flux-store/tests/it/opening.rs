//! Several processes may create one file at the same moment.

use std::sync::Barrier;

use flux_store::{Options, SqliteStore};

#[test]
fn a_file_that_many_create_at_once_opens_for_all() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("flux.db");
        let together = Barrier::new(8);
        std::thread::scope(|scope| {
            let openers: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        together.wait();
                        SqliteStore::open(&path, Options::default()).map(drop)
                    })
                })
                .collect();
            for opener in openers {
                let opened = opener.join().expect("no panic");
                opened.expect("it opens");
            }
        });
    }
}
