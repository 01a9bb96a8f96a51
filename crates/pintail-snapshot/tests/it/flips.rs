//! What happens to files behind our back is noticed, down to a bit.

use pintail_snapshot::Problem;

use crate::place::{Place, id};

fn shop() -> Place {
    let place = Place::new();
    place.execute(
        "shop.duckdb",
        "create table orders as select i as id, hash(i) as noise, 'note ' || i as note from range(20000) as r (i);
         create table notes as select i as id from range(10) as r (i)",
    );
    place.create("shop.duckdb", "one");
    place
}

#[test]
fn one_flipped_bit_is_named_wherever_it_is() {
    let place = shop();
    let files = place.files("one");
    let sizes: Vec<u64> = files
        .iter()
        .map(|file| std::fs::metadata(file).expect("a file").len())
        .collect();
    let total: u64 = sizes.iter().sum();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut named = 0;
    for _ in 0..100 {
        let mut position = random.u64(0..total);
        let index = sizes
            .iter()
            .position(|size| {
                let inside = position < *size;
                if !inside {
                    position -= size;
                }
                inside
            })
            .expect("a position in one of the files");
        let bit = 1_u8 << random.u8(0..8);
        let at = usize::try_from(position).expect("a small file");
        let flip = || {
            let mut bytes = std::fs::read(&files[index]).expect("a file");
            bytes[at] ^= bit;
            std::fs::write(&files[index], bytes).expect("a file");
        };
        flip();
        let name = files[index]
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let findings = place.problems();
        let only = findings.len() == 1 && findings[0].0 == name;
        assert!(
            only,
            "seed {seed}: bit {bit} of byte {at} of {name}: {findings:?}"
        );
        named += 1;
        flip();
    }
    assert_eq!(named, 100);
    assert_eq!(place.problems(), []);
}

#[test]
fn files_that_are_cut_missing_extra_or_exchanged_are_named() {
    let place = shop();
    let folder = place.snapshots.snapshot(&id("one"));
    let (notes, orders) = (
        folder.join("main.notes.parquet"),
        folder.join("main.orders.parquet"),
    );
    let (small, large) = (
        std::fs::read(&notes).expect("a file"),
        std::fs::read(&orders).expect("a file"),
    );
    let name = |name: &str| name.to_owned();

    std::fs::write(&orders, &large[..1000]).expect("a file");
    let cut = Problem::Truncated {
        bytes: 1000,
        expected: large.len() as u64,
    };
    assert_eq!(place.problems(), [(name("main.orders.parquet"), cut)]);

    std::fs::write(&orders, &small).expect("a file");
    std::fs::write(&notes, &large).expect("a file");
    let holds = |file: &str| Problem::Swapped { holds: name(file) };
    assert_eq!(
        place.problems(),
        [
            (name("main.notes.parquet"), holds("main.orders.parquet")),
            (name("main.orders.parquet"), holds("main.notes.parquet")),
        ]
    );

    std::fs::write(&orders, &large).expect("a file");
    std::fs::remove_file(&notes).expect("a file");
    std::fs::write(folder.join("main.other.parquet"), &small).expect("a file");
    assert_eq!(
        place.problems(),
        [
            (name("main.notes.parquet"), Problem::Missing),
            (name("main.other.parquet"), Problem::Extra),
        ]
    );
}

#[test]
fn a_manifest_that_was_made_anew_is_named() {
    let place = shop();
    place.execute("shop.duckdb", "delete from orders");
    place.create("shop.duckdb", "two");
    let of = |snapshot: &str| place.snapshots.snapshot(&id(snapshot)).join("metadata.json");
    // Another snapshot's manifest, and the same one with a name that fits and a hash that fits.
    std::fs::copy(of("two"), of("one")).expect("a file");
    assert!(
        place
            .problems()
            .contains(&("metadata.json".to_owned(), Problem::Changed))
    );
}

#[test]
fn a_broken_manifest_does_not_hide_the_other_snapshots() {
    let place = shop();
    place.create("shop.duckdb", "two");
    std::fs::write(place.snapshots.snapshot(&id("one")).join("metadata.json"), "{}").expect("a file");
    let (manifests, broken) = place.snapshots.manifests().expect("a project");
    assert_eq!((manifests.len(), broken.len()), (1, 1));
    assert_eq!(broken[0].0, id("one"));
    place.create("shop.duckdb", "three");
}
