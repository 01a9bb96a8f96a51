//! An engine: one DuckDB instance with a fixed set of extensions and settings.
//!
//! Engines are cheap to open and disposable. A sync run, a tenant and a snapshot job each own one, and a fault in
//! one does not touch another. All statements go through [`Session`]s of the engine.

use std::ffi::{CStr, CString, c_char};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use duckdb::{Connection, ffi};
use pintail_model::{ErrorKind, Secret};

use crate::connector::Attachment;
use crate::error::{Error, Fault, Result};
use crate::extension::{Extension, Found};
use crate::session::{Call, Session};
use crate::signature::{self, Records, SignedFile};
use crate::tap::{GivenKey, Tap, TapRegistry};
use crate::watchdog::Watchdog;

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineSettings {
    /// Threads that DuckDB uses. Default: one per core.
    pub threads: usize,
    /// Bytes that DuckDB may use before it spills to `temp_folder`. It covers DuckDB's buffers, not the whole
    /// process. Default 256 MiB, which keeps a run below 400 MiB whatever the size of the table.
    pub memory_limit_bytes: u64,
    /// Where DuckDB spills to. Default: a folder of this process under the system's temporary folder.
    pub temp_folder: Option<PathBuf>,
    /// Where extensions are looked for first.
    pub extension_folder: Option<PathBuf>,
    /// Where it is recorded which files of extensions were checked, so that the next process does not do it again: see
    /// [`Engine::open_own`]. `None` records nothing. Default: `pintail/checked-extensions` in the user's cache.
    pub records_folder: Option<PathBuf>,
    /// When a statement is given up, unless its call says otherwise. Default: a hundred years, so never: a read takes
    /// as long as its table is large, and nobody but the user knows how long is too long.
    pub deadline: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(2, usize::from),
            memory_limit_bytes: 256 << 20,
            temp_folder: None,
            extension_folder: std::env::var_os("PINTAIL_EXTENSION_DIR").map(PathBuf::from),
            records_folder: Records::default_folder(),
            deadline: Duration::from_hours(100 * 365 * 24),
        }
    }
}

/// A DuckDB instance. Clones are handles to the same instance, which closes with the last handle and session.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<EngineShared>,
}

/// What all sessions of an engine share.
pub(crate) struct EngineShared {
    // Dropped first: no call is under way when the last handle goes.
    pub(crate) watchdog: Watchdog,
    pub(crate) taps: Arc<TapRegistry>,
    pub(crate) deadline: Duration,
    threads: usize,
    signatures: Signatures,
    /// Threads of callers that count as the engine's.
    callers: Mutex<usize>,
    /// A fault inside DuckDB ended the instance.
    pub(crate) ended: AtomicBool,
    extension_folder: Option<PathBuf>,
    records: Option<Records>,
    secrets: Mutex<Vec<String>>,
    // Closes the database, which then removes what it spilled; the folder goes after it.
    database: Database,
    _spill_folder: SpillFolder,
}

/// Who checks the signatures of extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signatures {
    /// DuckDB, with every load.
    Engine,
    /// Pintail, once as long as a file stays as it is: see [`crate::signature`].
    Own,
}

/// The folder to spill to, if the engine chose it.
struct SpillFolder(Option<PathBuf>);

impl Drop for SpillFolder {
    fn drop(&mut self) {
        if let Some(folder) = &self.0 {
            // Other engines of this process may still spill to it: then it is not empty, and theirs to remove.
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// Tells an engine to stop, from any thread.
#[derive(Clone)]
pub struct Stopper(std::sync::Weak<EngineShared>);

impl Stopper {
    /// Interrupts every statement of the engine that is not a commit, and refuses new ones.
    pub fn stop(&self) {
        if let Some(shared) = self.0.upgrade() {
            shared.watchdog.stop();
        }
    }
}

impl Engine {
    /// Opens an engine in memory. DuckDB checks the signature of every extension that it loads, whoever has it do so.
    ///
    /// # Errors
    /// `Invalid` if a setting is refused, `Unavailable` or `Unauthorized` if the temporary folder cannot be made.
    pub fn open(settings: &EngineSettings) -> Result<Self> {
        Self::open_with(settings, Signatures::Engine)
    }

    /// The same for an engine that will run Pintail's statements alone: Pintail checks the files that it loads, and each
    /// of them once as long as it stays as it is.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open_own(settings: &EngineSettings) -> Result<Self> {
        Self::open_with(settings, Signatures::Own)
    }

    fn open_with(settings: &EngineSettings, signatures: Signatures) -> Result<Self> {
        let (temp_folder, own_temp_folder) = match &settings.temp_folder {
            Some(folder) => (folder.clone(), None),
            None => {
                let folder = std::env::temp_dir().join(format!("pintail-spill-{}", std::process::id()));
                (folder.clone(), Some(folder))
            }
        };
        let database = Database::open(&[
            ("threads", settings.threads.max(1).to_string()),
            ("memory_limit", format!("{}B", settings.memory_limit_bytes)),
            ("temp_directory", temp_folder.to_string_lossy().into_owned()),
            // Extensions are named, so that a run does not depend on what happens to be installed. In particular,
            // without `icu` every instant is shown in UTC, wherever the machine stands.
            ("autoload_known_extensions", "false".to_owned()),
            ("autoinstall_known_extensions", "false".to_owned()),
            (
                "allow_unsigned_extensions",
                (signatures == Signatures::Own).to_string(),
            ),
            // Rows of a table have no order of their own; keeping one would cost memory and a thread.
            ("preserve_insertion_order", "false".to_owned()),
        ])?;
        let taps = Arc::new(TapRegistry::default());
        database.register_tap(&taps)?;
        let shared = EngineShared {
            watchdog: Watchdog::start(),
            taps,
            deadline: settings.deadline,
            threads: settings.threads.max(1),
            signatures,
            callers: Mutex::new(1),
            ended: AtomicBool::new(false),
            extension_folder: settings.extension_folder.clone(),
            records: settings.records_folder.clone().map(Records::new),
            secrets: Mutex::new(Vec::new()),
            database,
            _spill_folder: SpillFolder(own_temp_folder),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Opens a session.
    pub fn session(&self) -> Result<Session> {
        #[expect(
            unsafe_code,
            reason = "the crate offers no safe way to connect to a database that it did not open"
        )]
        // SAFETY: the raw database is open as long as `EngineShared` lives, and the session keeps it alive.
        let connection = unsafe { Connection::open_from_raw(self.shared.database.raw) };
        let connection = connection.map_err(|error| Error::Statement {
            label: "open a DuckDB session".to_owned(),
            source: self.shared.fault(&error),
        })?;
        Ok(Session::new(Arc::clone(&self.shared), connection))
    }

    /// Loads an extension, from wherever it is found first.
    pub fn load(&self, extension: Extension) -> Result<()> {
        let session = self.session()?;
        let name = extension.0;
        let label = format!("load DuckDB extension `{name}`");
        let call = Call::new(&label);
        let explicit = self.shared.extension_folder.as_deref();
        let loaded = match extension.find(explicit) {
            Found::Folder(path) | Found::Installed(path) => self.load_file(&session, call, &path),
            Found::Nowhere => match self.shared.signatures {
                Signatures::Engine => session.batch(call, &format!("install {name}; load {name}")),
                Signatures::Own => self.install(extension, &session, call),
            },
        };
        loaded.map_err(|error| match error {
            Error::Statement { source, .. } => Error::Extension {
                name: name.to_owned(),
                searched: Extension::searched(explicit),
                source,
            },
            other => other,
        })
    }

    /// Loads a file that is there.
    fn load_file(&self, session: &Session, call: Call<'_>, path: &Path) -> Result<()> {
        if self.shared.signatures == Signatures::Own {
            self.check_file(call, path)?;
        }
        let load = format!("load {}", crate::quote::literal(&path.to_string_lossy()));
        session.batch(call, &load)
    }

    /// Fails unless a file is signed by somebody whom DuckDB knows.
    fn check_file(&self, call: Call<'_>, path: &Path) -> Result<()> {
        let records = self.shared.records.as_ref();
        let found = SignedFile::look(path);
        if found.as_ref().is_some_and(|file| file.is_known(records)) || signature::check(path, records) {
            return Ok(());
        }
        let checker = Self::checker(&self.shared)?;
        checker.load_file(&checker.session()?, call, path)?;
        if let Some(file) = found.filter(SignedFile::is_at_rest) {
            file.remember();
        }
        Ok(())
    }

    /// Has an extension installed and checked by an engine that checks, and loads what is there then.
    fn install(&self, extension: Extension, session: &Session, call: Call<'_>) -> Result<()> {
        let checker = Self::checker(&self.shared)?;
        checker.load(extension)?;
        match extension.find(self.shared.extension_folder.as_deref()) {
            Found::Folder(path) | Found::Installed(path) => self.load_file(session, call, &path),
            // DuckDB keeps it elsewhere, which is for DuckDB to know.
            Found::Nowhere => session.batch(call, &format!("load {}", extension.0)),
        }
    }

    /// An engine that does nothing but check files.
    fn checker(shared: &EngineShared) -> Result<Self> {
        Self::open(&EngineSettings {
            threads: 1,
            extension_folder: shared.extension_folder.clone(),
            ..EngineSettings::default()
        })
    }

    /// Loads several extensions at once: checking the signature of a file takes time, so they are loaded side by side. What is loaded already costs nothing.
    pub fn load_all(&self, extensions: &[Extension]) -> Result<()> {
        std::thread::scope(|scope| {
            let loads: Vec<_> = extensions
                .iter()
                .map(|extension| scope.spawn(|| self.load(*extension)))
                .collect();
            loads
                .into_iter()
                .try_for_each(|load| load.join().expect("loading an extension does not panic"))
        })
    }

    /// Attaches a database. Its secrets are struck out of every error of this engine from now on.
    pub fn attach(&self, label: &str, attachment: &Attachment) -> Result<()> {
        for secret in &attachment.secrets {
            self.protect(secret);
        }
        self.load_all(&attachment.extensions)?;
        let session = self.session()?;
        attachment
            .statements
            .iter()
            .try_for_each(|statement| session.batch(Call::new(label), statement.expose()))
    }

    /// How many threads it has.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.shared.threads
    }

    /// Lets `count` threads of the caller, at most all, stand for as many of the engine's, until the guard goes.
    ///
    /// With 1, as an engine begins, its own threads help one caller with a large statement. Whoever runs several
    /// statements side by side, or small ones, is served better alone: a thread of the engine that takes the work of
    /// a caller keeps that one waiting, and DuckDB waits without rest. That was a fifth of the CPU of a partitioned
    /// read and of a run's look-ups.
    pub fn callers(&self, count: usize) -> Result<Callers> {
        let before = self.set_callers(count.clamp(1, self.shared.threads))?;
        Ok(Callers {
            engine: self.clone(),
            before,
        })
    }

    /// Returns what was set before.
    fn set_callers(&self, count: usize) -> Result<usize> {
        let mut callers = self.shared.callers.lock().expect("no holder of this lock panics");
        if *callers != count {
            let call = Call::new("share the threads of the engine").protected();
            self.session()?
                .batch(call, &format!("set global external_threads = {count}"))?;
        }
        Ok(std::mem::replace(&mut *callers, count))
    }

    /// Strikes a text out of every error of this engine from now on.
    pub fn protect(&self, secret: &Secret) {
        let mut secrets = self.shared.secrets.lock().expect("no holder of this lock panics");
        let text = secret.expose().to_owned();
        // A literal doubles its quotes, a connection string puts a backslash before them and before backslashes, and
        // the literal of a connection string does both: all spellings are struck out.
        let doubled = |text: &str| text.replace('\'', "''");
        let slashes = text.replace('\\', "\\\\");
        let escaped = slashes.replace('\'', "\\'");
        for spelling in [
            doubled(&text),
            doubled(&slashes),
            doubled(&escaped),
            escaped,
            slashes,
            text,
        ] {
            if !spelling.is_empty() && !secrets.contains(&spelling) {
                secrets.push(spelling);
            }
        }
        // Longest first, so that no part of a longer secret stays behind.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// A handle that stops this engine from another thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper(Arc::downgrade(&self.shared))
    }

    /// Whether the engine was told to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.shared.watchdog.stopped()
    }

    /// Waits. Returns whether the engine may go on: at once, and false, when it is told to stop.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        self.shared.watchdog.pause(pause)
    }

    /// A new tap: a filter that lets every row pass and keeps checksums of what passed.
    #[must_use]
    pub fn tap(&self) -> Tap {
        Tap::new(&self.shared.taps)
    }

    /// The same, where `given` says what its filter is told of each row.
    #[must_use]
    pub fn keyed_tap(&self, given: GivenKey) -> Tap {
        Tap::keyed(&self.shared.taps, given)
    }

    /// A new tap that also keeps a sketch of what passed. `given` says what its filter is told of each row.
    #[must_use]
    pub fn sketching_tap(&self, given: GivenKey) -> Tap {
        Tap::sketching(&self.shared.taps, given)
    }
}

/// Threads of callers stand for threads of the engine: see [`Engine::callers`].
pub struct Callers {
    engine: Engine,
    before: usize,
}

impl Drop for Callers {
    fn drop(&mut self) {
        if let Err(error) = self.engine.set_callers(self.before) {
            tracing::debug!(%error, "the engine is over, and with it its threads");
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Engine")
    }
}

impl EngineShared {
    pub(crate) fn secrets(&self) -> Vec<String> {
        self.secrets
            .lock()
            .expect("no holder of this lock panics")
            .clone()
    }
}

/// A raw database, closed on drop.
struct Database {
    raw: ffi::duckdb_database,
}

// SAFETY: DuckDB's database object is thread-safe; connections to it are made and used by one thread at a time.
#[expect(unsafe_code, reason = "the handle is a pointer")]
unsafe impl Send for Database {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "the handle is a pointer")]
unsafe impl Sync for Database {}

#[expect(
    unsafe_code,
    reason = "opening the database ourselves is the only way to register a C scalar function that sees NULLs"
)]
impl Database {
    fn open(settings: &[(&str, String)]) -> Result<Self> {
        let refuse = |message: String| Error::Refused {
            kind: ErrorKind::Invalid,
            message,
            hint: None,
        };
        let mut config: ffi::duckdb_config = std::ptr::null_mut();
        // SAFETY: `config` is a valid out pointer; it is destroyed below on every path.
        let created = unsafe { ffi::duckdb_create_config(&raw mut config) };
        if created != ffi::DuckDBSuccess {
            return Err(refuse("cannot configure a DuckDB engine".to_owned()));
        }
        let mut refused = None;
        for (name, value) in settings {
            let (Ok(c_name), Ok(c_value)) = (CString::new(*name), CString::new(value.as_str())) else {
                refused = Some(format!(
                    "cannot set `{name}` of a DuckDB engine: the value has a NUL byte"
                ));
                break;
            };
            // SAFETY: `config` is valid, both texts end with NUL and outlive the call.
            if unsafe { ffi::duckdb_set_config(config, c_name.as_ptr(), c_value.as_ptr()) }
                != ffi::DuckDBSuccess
            {
                refused = Some(format!("cannot set `{name}` of a DuckDB engine to `{value}`"));
                break;
            }
        }
        let mut raw: ffi::duckdb_database = std::ptr::null_mut();
        let mut error: *mut c_char = std::ptr::null_mut();
        if refused.is_none() {
            // SAFETY: a null path means "in memory"; both out pointers are valid; `config` is valid.
            let opened =
                unsafe { ffi::duckdb_open_ext(std::ptr::null(), &raw mut raw, config, &raw mut error) };
            if opened != ffi::DuckDBSuccess {
                refused = Some(if error.is_null() {
                    "cannot open a DuckDB engine".to_owned()
                } else {
                    // SAFETY: DuckDB gave a text that ends with NUL; it is freed right after.
                    let text = unsafe { CStr::from_ptr(error) }.to_string_lossy().into_owned();
                    // SAFETY: the text was allocated by DuckDB and is not used again.
                    unsafe { ffi::duckdb_free(error.cast()) };
                    format!("cannot open a DuckDB engine: {}", Fault::new(&text, &[]))
                });
            }
        }
        // SAFETY: `config` was created above and is not used again.
        unsafe { ffi::duckdb_destroy_config(&raw mut config) };
        match refused {
            Some(message) => Err(refuse(message)),
            None => Ok(Self { raw }),
        }
    }

    fn register_tap(&self, taps: &Arc<TapRegistry>) -> Result<()> {
        let mut connection: ffi::duckdb_connection = std::ptr::null_mut();
        // SAFETY: the database is open and `connection` is a valid out pointer.
        let connected = unsafe { ffi::duckdb_connect(self.raw, &raw mut connection) };
        let registered = connected == ffi::DuckDBSuccess && crate::tap::register(connection, taps);
        // SAFETY: DuckDB accepts a null connection here; a valid one is not used again.
        unsafe { ffi::duckdb_disconnect(&raw mut connection) };
        if registered {
            return Ok(());
        }
        Err(Error::Refused {
            kind: ErrorKind::Internal,
            message: "cannot register the checksum function in a DuckDB engine".to_owned(),
            hint: None,
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: every session held the shared state that owns this, so none is left.
        #[expect(unsafe_code, reason = "the counterpart of `duckdb_open_ext`")]
        unsafe {
            ffi::duckdb_close(&raw mut self.raw);
        }
    }
}
