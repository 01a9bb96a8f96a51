//! Extensions whose signature is checked, and what is remembered of that.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::geteuid;
use pintail_lake::extension::{self, DUCKDB_VERSION, Found, is_signed};
use pintail_lake::{Engine, EngineSettings, Error};
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
fn what_one_process_has_checked_others_load_where_nobody_else_could_say_so() {
    let (folder, copy) = copy_of_an_extension();
    forge(&copy);
    let settings = settings(&folder);
    let load = || Engine::open_own(&settings).and_then(|engine| engine.load(extension::SQLITE));
    let refused = |why: &str| assert!(matches!(load(), Err(Error::Extension { .. })), "{why}");
    refused("its signature does not fit");

    let (records, record) = (records(&folder), record_of(&folder, "sqlite_scanner"));
    fs::create_dir_all(&records).unwrap();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    set_mode(&records, 0o700);
    let write = |text: &str| {
        fs::write(&record, text).unwrap();
        set_mode(&record, 0o600);
    };
    let honest = said_of(&copy);
    let found = copy.metadata().unwrap();
    for (from, to) in [
        (format!("inode {}", found.ino()), "inode 1".to_owned()),
        (format!("{} bytes", found.size()), "7 bytes".to_owned()),
        (DUCKDB_VERSION.to_owned(), "1.0.0".to_owned()),
        ("\n".to_owned(), "\r\n".to_owned()),
    ] {
        let other = honest.replacen(&from, &to, 1);
        assert_ne!(other, honest);
        write(&other);
        refused("the record speaks of another file");
    }

    write(&honest);
    for (path, mode, why) in [
        (&record, 0o622, "others can write to the record"),
        (&records, 0o720, "others can write to the folder of records"),
        (
            &folder.path().to_path_buf(),
            0o702,
            "others can write to the folder of the extension",
        ),
    ] {
        let before = path.metadata().unwrap().mode();
        set_mode(path, mode);
        refused(why);
        set_mode(path, before);
    }
    // Only the administrator can give files away.
    let strangers = geteuid().is_root().then_some([&record, &records]);
    for path in strangers.into_iter().flatten() {
        chown(path, Some(65_534), None).unwrap();
        refused("it belongs to somebody else");
        chown(path, Some(0), None).unwrap();
    }
    load().expect("a process of this user has checked it");
    // What users say is run by engines that check always.
    let users = Engine::open(&settings).and_then(|engine| engine.load(extension::SQLITE));
    assert!(matches!(users, Err(Error::Extension { .. })));
}

#[test]
fn an_extension_that_others_can_change_is_checked_by_every_process() {
    let (folder, copy) = copy_of_an_extension();
    forge(&copy);
    let refused = |settings: &EngineSettings, why: &str| {
        let loaded = Engine::open_own(settings).and_then(|engine| engine.load(extension::SQLITE));
        assert!(matches!(loaded, Err(Error::Extension { .. })), "{why}");
    };
    let records = records(&folder);
    fs::create_dir_all(&records).unwrap();
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    set_mode(&copy, 0o666);
    fs::write(record_of(&folder, "sqlite_scanner"), said_of(&copy)).unwrap();
    refused(&settings(&folder), "others can write to it");

    // Two links lead to it, and one of them lies in a folder where everybody can put another one.
    set_mode(&copy, 0o600);
    let (open, near) = (folder.path().join("open"), folder.path().join("near"));
    for path in [&open, &near] {
        fs::create_dir(path).unwrap();
    }
    let name = "sqlite_scanner.duckdb_extension";
    symlink(&copy, open.join(name)).unwrap();
    symlink(Path::new("../open").join(name), near.join(name)).unwrap();
    set_mode(&open, 0o777);
    fs::write(record_of(&folder, "sqlite_scanner"), said_of(&near.join(name))).unwrap();
    let through_links = EngineSettings {
        extension_folder: Some(near),
        ..settings(&folder)
    };
    refused(&through_links, "others can put another link there");
    set_mode(&open, 0o755);
    Engine::open_own(&through_links)
        .and_then(|engine| engine.load(extension::SQLITE))
        .expect("nobody else can change anything on the way");
}

#[test]
fn a_load_that_does_nothing_vouches_for_nothing() {
    for open in [Engine::open, Engine::open_own] {
        let (folder, copy) = copy_of_an_extension();
        let settings = settings(&folder);
        let engine = open(&settings).unwrap();
        engine.load(extension::SQLITE).unwrap();
        let other = folder.path().join("other");
        fs::copy(&copy, &other).unwrap();
        forge(&other);
        fs::rename(&other, &copy).unwrap();
        // This engine has it already, so that DuckDB does not look at the file.
        let _ = engine.load(extension::SQLITE);
        let loaded = Engine::open_own(&settings).and_then(|engine| engine.load(extension::SQLITE));
        assert!(matches!(loaded, Err(Error::Extension { .. })));
    }
}

#[test]
fn a_checked_file_is_recorded_once_it_is_at_rest() {
    let (folder, copy) = copy_of_an_extension();
    let settings = settings(&folder);
    let load = |extension| {
        let engine = Engine::open_own(&settings).unwrap();
        engine.load(extension).unwrap();
    };
    // It may change once more in the same tick of the clock.
    let file = fs::File::options().write(true).open(&copy).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_hours(100 * 365 * 24))
        .unwrap();
    drop(file);
    load(extension::SQLITE);
    assert!(!records(&folder).exists());

    // The installed one has been there for a while. By this name, no other test has it checked.
    let Found::Installed(installed) = extension::MYSQL.find(None) else {
        panic!("the extension is installed");
    };
    let link = folder.path().join("mysql_scanner.duckdb_extension");
    symlink(&installed, &link).unwrap();
    load(extension::MYSQL);
    let record = record_of(&folder, "mysql_scanner");
    assert_eq!(fs::read_to_string(&record).unwrap(), said_of(&link));
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&records(&folder)), mode(&record)), (0o700, 0o600));
    assert_eq!(fs::read_dir(records(&folder)).unwrap().count(), 1);
}

/// Flips a bit in the signature itself: whatever loads the file runs what is sound.
fn forge(copy: &Path) {
    let mut bytes = fs::read(copy).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(copy, &bytes).unwrap();
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

fn record_of(folder: &TempDir, extension: &str) -> PathBuf {
    records(folder).join(format!("{extension}-v{DUCKDB_VERSION}"))
}

/// What a record says of a file that was checked.
fn said_of(extension: &Path) -> String {
    let found = extension.metadata().unwrap();
    format!(
        "signed with a key of DuckDB {DUCKDB_VERSION}\ndevice {}, inode {}, {} bytes\nmodified {}.{:09}, changed \
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
