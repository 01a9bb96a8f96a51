//! Extensions whose signature is checked, and what is remembered of that.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use pintail_lake::extension::{self, DUCKDB_VERSION, Found, is_signed};
use pintail_lake::{Engine, EngineSettings, Error};
use pintail_model::checksum::bytes_word;
use tempfile::TempDir;

#[test]
fn every_official_extension_is_signed_with_the_key_that_is_known_and_no_other_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.duckdb_extension");
    for extension in [
        extension::DUCKLAKE,
        extension::POSTGRES,
        extension::MYSQL,
        extension::SQLITE,
        extension::HTTPFS,
    ] {
        let Found::Installed(installed) = extension.find(None) else {
            panic!("{extension:?} is installed");
        };
        assert!(is_signed(&installed), "{extension:?}");

        let mut bytes = fs::read(&installed).unwrap();
        let flipped = fastrand::usize(..bytes.len());
        bytes[flipped] ^= 1;
        fs::write(&copy, &bytes).unwrap();
        assert!(
            !is_signed(&copy),
            "{extension:?} with a flipped bit in byte {flipped}"
        );
    }
    for other in [&b"x"[..], b"", &[0; 256], &[0; 300]] {
        fs::write(&copy, other).unwrap();
        assert!(!is_signed(&copy), "{} bytes", other.len());
    }
    assert!(!is_signed(&folder.path().join("nowhere")));
}

#[test]
fn a_file_that_changed_since_it_was_checked_is_checked_again() {
    let (folder, copy) = copy_of_an_extension();
    let settings = settings(&folder);
    let load = || Engine::open_own(&settings).and_then(|engine| engine.load(extension::SQLITE));
    load().expect("nobody has checked the copy yet, and it is signed");
    load().expect("it was checked");

    let mut bytes = fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    // In its place, and not into it: this process runs what is in the old file.
    let other = folder.path().join("other");
    fs::write(&other, &bytes).unwrap();
    fs::rename(&other, &copy).unwrap();
    assert!(matches!(load(), Err(Error::Extension { .. })));
    // What users say is run by engines that check always.
    let users = Engine::open(&settings).and_then(|engine| engine.load(extension::SQLITE));
    assert!(matches!(users, Err(Error::Extension { .. })));
}

#[test]
fn what_one_process_has_checked_others_load_as_long_as_nobody_else_could_say_so() {
    let (folder, copy) = copy_of_an_extension();
    let mut bytes = fs::read(&copy).unwrap();
    // In the signature itself: whatever loads it runs what is sound.
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&copy, &bytes).unwrap();
    let settings = settings(&folder);
    let load = || Engine::open_own(&settings).and_then(|engine| engine.load(extension::SQLITE));
    let refused = |why: &str| assert!(matches!(load(), Err(Error::Extension { .. })), "{why}");
    refused("its signature does not fit");

    let (records, record) = (records(&folder), record_of(&folder, &copy));
    fs::create_dir_all(&records).unwrap();
    fs::set_permissions(&records, Permissions::from_mode(0o700)).unwrap();
    let honest = said_of(&copy);
    let write = |text: &str| {
        fs::write(&record, text).unwrap();
        fs::set_permissions(&record, Permissions::from_mode(0o600)).unwrap();
    };
    for (from, to) in [
        (
            format!("inode {}", copy.metadata().unwrap().ino()),
            "inode 1".to_owned(),
        ),
        (format!("{} bytes", bytes.len()), "7 bytes".to_owned()),
        (DUCKDB_VERSION.to_owned(), "1.0.0".to_owned()),
        ("\n".to_owned(), "\r\n".to_owned()),
    ] {
        let other = honest.replacen(&from, &to, 1);
        assert_ne!(other, honest);
        write(&other);
        refused("the record speaks of another file");
    }

    write(&honest);
    fs::set_permissions(&record, Permissions::from_mode(0o622)).unwrap();
    refused("others can write to the record");
    write(&honest);
    fs::set_permissions(&records, Permissions::from_mode(0o720)).unwrap();
    refused("others can write to the folder");
    fs::set_permissions(&records, Permissions::from_mode(0o700)).unwrap();
    load().expect("a process of this user has checked it");
    // What users say is run by engines that check always.
    let users = Engine::open(&settings).and_then(|engine| engine.load(extension::SQLITE));
    assert!(matches!(users, Err(Error::Extension { .. })));
}

#[test]
fn a_checked_file_is_recorded_once_it_is_at_rest() {
    let (folder, copy) = copy_of_an_extension();
    let settings = settings(&folder);
    let load = || Engine::open_own(&settings).and_then(|engine| engine.load(extension::SQLITE));
    // It may change once more in the same tick of the clock.
    let hour = Duration::from_hours(1);
    let file = fs::File::options().write(true).open(&copy).unwrap();
    file.set_modified(SystemTime::now() + hour).unwrap();
    drop(file);
    load().unwrap();
    assert!(!records(&folder).exists());

    // The installed one has been there for a while.
    let Found::Installed(installed) = extension::DUCKLAKE.find(None) else {
        panic!("the extension is installed");
    };
    Engine::open_own(&settings)
        .and_then(|engine| engine.load(extension::DUCKLAKE))
        .unwrap();
    let record = record_of(&folder, &installed);
    assert_eq!(fs::read_to_string(&record).unwrap(), said_of(&installed));
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&records(&folder)), mode(&record)), (0o700, 0o600));
    let mut found = fs::read_dir(records(&folder)).unwrap();
    assert!(found.next().is_some() && found.next().is_none());
}

/// A folder with a copy of an extension that is signed.
fn copy_of_an_extension() -> (TempDir, PathBuf) {
    let Found::Installed(installed) = extension::SQLITE.find(None) else {
        panic!("the extension is installed");
    };
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("sqlite_scanner.duckdb_extension");
    fs::copy(&installed, &copy).unwrap();
    (folder, copy)
}

/// Engines that look for extensions in `folder` first, and record there what they checked.
fn settings(folder: &TempDir) -> EngineSettings {
    EngineSettings {
        extension_folder: Some(folder.path().to_path_buf()),
        records_folder: Some(records(folder)),
        ..EngineSettings::default()
    }
}

fn records(folder: &TempDir) -> PathBuf {
    folder.path().join("cache/records")
}

fn record_of(folder: &TempDir, extension: &Path) -> PathBuf {
    let word = bytes_word(extension.as_os_str().as_encoded_bytes());
    let name = extension.file_stem().unwrap().to_str().unwrap();
    records(folder).join(format!("{name}-{word:016x}"))
}

/// What a record says of a file that was checked.
fn said_of(extension: &Path) -> String {
    let found = extension.metadata().unwrap();
    format!(
        "checked with the keys of DuckDB {DUCKDB_VERSION}\ndevice {}, inode {}, {} bytes\nmodified {}.{:09}, changed \
         {}.{:09}\n{}\n",
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
        extension.display()
    )
}
