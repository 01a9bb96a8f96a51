//! A private server that speaks S3, for tests: moto's, which `scripts/setup --tests` puts into a folder of its own. It
//! keeps everything in memory, on a free port of 127.0.0.1.
//!
//! It is stopped when the value is dropped, and by the kernel when the test process ends in any other way. It takes any
//! keys: who may do what is not its business.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::signal::Signal;
use pintail_model::Secret;
use pintail_storage::{BucketSettings, Condition, Keys, Object, Store, UrlStyle};

use crate::process::end_with_parent;

/// The version that `scripts/setup` installs.
const MOTO_VERSION: &str = "5.2.5";

/// Loading its modules takes a busy machine a few seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What it says when it listens; the address follows.
const READY: &str = "Running on http://";

/// A running server.
#[derive(Debug)]
pub struct S3Server {
    endpoint: String,
    child: Arc<Mutex<Child>>,
    watcher: Mutex<Option<JoinHandle<()>>>,
    buckets_made: AtomicU32,
}

impl S3Server {
    /// The id of the key that tests use: a word that must not be found in any output.
    pub const KEY_ID: &str = "canary-s3-id";
    /// The key itself, with every letter that an address has to encode.
    pub const SECRET: &str = "canary-s3/secret+key=";

    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot start: a test that needs a server fails without one.
    #[must_use]
    pub fn start() -> S3Server {
        let program = program();
        let mut command = Command::new(&program);
        command
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        end_with_parent(&mut command, Signal::SIGKILL);
        let (events, event) = mpsc::channel();
        let watcher = thread::Builder::new()
            .name("s3-watcher".to_owned())
            .spawn(move || watch(command, &events))
            .expect("a thread can be started");
        let (child, endpoint) = event.recv_timeout(START_LIMIT).unwrap_or_else(|_| {
            panic!(
                "the S3 server `{}` does not start; run `scripts/setup --tests`",
                program.display()
            )
        });
        S3Server {
            endpoint,
            child,
            watcher: Mutex::new(Some(watcher)),
            buckets_made: AtomicU32::new(0),
        }
    }

    /// The one server that the tests of this process share; started by the first caller. Take a
    /// [`fresh_bucket`](Self::fresh_bucket) each.
    pub fn shared() -> &'static S3Server {
        static SHARED: OnceLock<S3Server> = OnceLock::new();
        // Nothing stops it but the end of this process: it has no folder to leave behind.
        SHARED.get_or_init(S3Server::start)
    }

    /// `127.0.0.1:<port>`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Makes a bucket that no other test knows.
    #[track_caller]
    pub fn fresh_bucket(&self) -> S3Bucket {
        let number = self.buckets_made.fetch_add(1, Ordering::Relaxed) + 1;
        let bucket = S3Bucket {
            settings: Self::settings_of(&self.endpoint, &format!("fresh-{number}")),
        };
        bucket.store().create().expect("a new name makes a bucket");
        bucket
    }

    /// How a bucket is reached, for a process that was told where it is.
    #[must_use]
    pub fn settings_of(endpoint: &str, bucket: &str) -> BucketSettings {
        BucketSettings {
            name: bucket.to_owned(),
            endpoint: Some(endpoint.to_owned()),
            region: "us-east-1".to_owned(),
            url_style: UrlStyle::Path,
            tls: false,
            keys: Some(Keys {
                id: Secret::new(Self::KEY_ID),
                secret: Secret::new(Self::SECRET),
                token: None,
            }),
        }
    }

    /// Ends the server at once. A second call does nothing.
    pub fn stop(&self) {
        // It fails only if the server has ended, which is the aim.
        let _ = self.child.lock().expect("no holder panics").kill();
        if let Some(watcher) = self.watcher.lock().expect("no holder panics").take() {
            let _ = watcher.join();
        }
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A bucket of an [`S3Server`]. It goes with its server. What is asked of it panics when it fails.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    settings: BucketSettings,
}

impl S3Bucket {
    /// One that somebody else made.
    #[must_use]
    pub fn known(settings: BucketSettings) -> Self {
        Self { settings }
    }

    pub fn name(&self) -> &str {
        &self.settings.name
    }

    pub fn settings(&self) -> &BucketSettings {
        &self.settings
    }

    /// `s3://<bucket>/<key>`.
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.settings.name)
    }

    /// The options of an address that reach it; `before` stands before the name of each: `s3_` for a lake.
    pub fn parameters(&self, before: &str) -> String {
        let endpoint = self.settings.endpoint.as_deref().unwrap_or_default();
        format!(
            "{before}endpoint=http://{endpoint}&{before}region={}&{before}access_key_id={}&{before}secret_access_key={}",
            self.settings.region,
            S3Server::KEY_ID,
            S3Server::SECRET
        )
    }

    #[track_caller]
    pub fn store(&self) -> Store {
        Store::new(&self.settings).expect("the settings are ours")
    }

    #[track_caller]
    pub fn list(&self, prefix: &str) -> Vec<Object> {
        self.store().list(prefix).expect("the bucket can be listed")
    }

    /// The keys below `prefix`.
    #[track_caller]
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.list(prefix).into_iter().map(|object| object.key).collect()
    }

    #[track_caller]
    pub fn put(&self, key: &str, content: impl AsRef<[u8]>) {
        self.store()
            .put(key, content.as_ref(), Condition::Always)
            .expect("an object can be put");
    }

    #[track_caller]
    pub fn read(&self, key: &str) -> Vec<u8> {
        let found = self.store().get(key).expect("the bucket can be read");
        found.unwrap_or_else(|| panic!("there is no object `{key}`")).0
    }

    #[track_caller]
    pub fn delete(&self, key: &str) {
        self.store().delete(key).expect("an object can be deleted");
    }

    /// Turns the bits of a byte in the middle of an object: its size stays, its content is another.
    #[track_caller]
    pub fn corrupt(&self, key: &str) {
        let mut content = self.read(key);
        let middle = content.len() / 2;
        content[middle] = !content[middle];
        self.put(key, content);
    }
}

fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .expect("HOME is set");
    cache.join(format!("pintail/moto-{MOTO_VERSION}/serve"))
}

/// Runs the server and reads what it logs until its end. A thread of its own: the kernel ends the server with the thread
/// that started it. Ends without an event if the server does not come up.
fn watch(mut command: Command, events: &mpsc::Sender<(Arc<Mutex<Child>>, String)>) {
    let Ok(mut child) = command.spawn() else {
        return;
    };
    let messages = BufReader::new(child.stderr.take().expect("stderr is piped"));
    let child = Arc::new(Mutex::new(child));
    for line in messages.lines().map_while(Result::ok) {
        if let Some((_, endpoint)) = line.split_once(READY) {
            // Nobody listens after the start, and that is fine.
            let _ = events.send((Arc::clone(&child), endpoint.trim().to_owned()));
        }
    }
    let _ = child.lock().expect("no holder panics").wait();
}
