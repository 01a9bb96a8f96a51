//! Children of a test that are killed, stopped and continued at a chosen moment.
//!
//! A child's output is collected while it runs, so "the moment" is a line that it printed, never a pause. Children die
//! with the thread that started them, also when the test process is killed.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// Lets every file of this process grow to `bytes` and no further: writes beyond fail, as on a disk that is full.
///
/// The process has to ignore the signal that comes with it, which `trap '' XFSZ` of the shell that starts it does.
pub fn limit_file_sizes(bytes: u64) {
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).expect("a process knows its limits");
    setrlimit(Resource::RLIMIT_FSIZE, bytes, hard).expect("a process may lower its own limits");
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Known once the child was collected. From then on its id may belong to somebody else.
    status: Option<ExitStatus>,
    output: Arc<Output>,
}

impl Process {
    /// Starts `command` without input, and collects what it prints.
    ///
    /// The child is killed when the calling thread ends: keep it in the test that started it.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Process {
        end_with_parent(command, Signal::SIGKILL);
        heed_interrupts(command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start `{}`: {error}", command.get_program().display()));
        let output = Arc::new(Output::default());
        output.collect(child.stdout.take().expect("stdout is piped"), |streams| {
            &mut streams.stdout
        });
        output.collect(child.stderr.take().expect("stderr is piped"), |streams| {
            &mut streams.stderr
        });
        Process {
            child,
            status: None,
            output,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the child on the spot, as `kill -9` does, and waits until it is gone.
    pub fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.collect()
    }

    /// Sends what Ctrl-C sends.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// Freezes the child (SIGSTOP). Returns when all its threads stand still; false if it had ended before.
    pub fn stop(&self) -> bool {
        if !self.signal(Signal::SIGSTOP) {
            return false;
        }
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        matches!(waitid(Id::Pid(self.pid()), flags), Ok(WaitStatus::Stopped(..)))
    }

    /// Lets a frozen child go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits until the child has ended and all its output is here; `None` if that takes longer than `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.status.is_some() {
            return self.status;
        }
        let deadline = Instant::now() + limit;
        let (ended, end) = mpsc::channel();
        let pid = self.pid();
        // Looks without collecting the exit status, so the process id stays this child's while others signal it.
        thread::spawn(move || {
            let end = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
            ended.send(end)
        });
        end.recv_timeout(limit).ok()?.expect("a child can be waited for");
        self.output.wait_until(deadline, |streams| streams.closed == 2);
        Some(self.collect())
    }

    /// Waits until the child has printed `text` on stdout or stderr; false if it ended or `limit` passed before.
    pub fn wait_for_output(&self, text: &str, limit: Duration) -> bool {
        let printed = |streams: &Streams| {
            [&streams.stdout, &streams.stderr]
                .into_iter()
                .any(|stream| String::from_utf8_lossy(stream).contains(text))
        };
        self.output.wait_until(Instant::now() + limit, |streams| {
            printed(streams) || streams.closed == 2
        });
        printed(&self.output.streams.lock().expect("no reader panics"))
    }

    /// What the child has printed on stdout until now.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.streams.lock().expect("no reader panics").stdout).into_owned()
    }

    /// What the child has printed on stderr until now.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.streams.lock().expect("no reader panics").stderr).into_owned()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("process ids fit in 31 bits"))
    }

    /// False if the child was collected already, and there is nobody to signal.
    fn signal(&self, signal: Signal) -> bool {
        if self.status.is_some() {
            return false;
        }
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("cannot send {signal} to the child: {error}"));
        true
    }

    fn collect(&mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child can be waited for");
        self.status = Some(status);
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The kernel sends `signal` to the child when the *thread* that starts it ends, whatever ends it.
pub(crate) fn end_with_parent(command: &mut Command, signal: Signal) {
    let parent = nix::unistd::getpid();
    let arrange = move || -> io::Result<()> {
        nix::sys::prctl::set_pdeathsig(signal)?;
        // The parent may have ended before the line above.
        if nix::unistd::getppid() == parent {
            Ok(())
        } else {
            Err(nix::Error::ESRCH.into())
        }
    };
    #[expect(
        unsafe_code,
        reason = "the only way to act in the child between fork and exec"
    )]
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. These are two system calls and an error
    // made of a number; nothing allocates or takes a lock.
    unsafe {
        command.pre_exec(arrange);
    }
}

/// Lets the child hear SIGINT, also where the tests run in the background of a shell, which ignores it for them.
fn heed_interrupts(command: &mut Command) {
    let arrange = || -> io::Result<()> {
        #[expect(unsafe_code, reason = "setting what a signal does")]
        // SAFETY: the default action is no function of ours.
        unsafe {
            nix::sys::signal::signal(Signal::SIGINT, SigHandler::SigDfl)?;
        }
        Ok(())
    };
    #[expect(
        unsafe_code,
        reason = "the only way to act in the child between fork and exec"
    )]
    // SAFETY: between fork and exec only async-signal-safe calls are allowed. This is one system call.
    unsafe {
        command.pre_exec(arrange);
    }
}

#[derive(Debug, Default)]
struct Output {
    streams: Mutex<Streams>,
    grown: Condvar,
}

#[derive(Debug, Default)]
struct Streams {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    closed: u8,
}

impl Output {
    fn collect(
        self: &Arc<Output>,
        mut source: impl Read + Send + 'static,
        target: fn(&mut Streams) -> &mut Vec<u8>,
    ) {
        let output = Arc::clone(self);
        thread::spawn(move || {
            let mut chunk = [0; 8192];
            loop {
                let length = source.read(&mut chunk).unwrap_or(0);
                let mut streams = output.streams.lock().expect("no reader panics");
                target(&mut streams).extend_from_slice(&chunk[..length]);
                streams.closed += u8::from(length == 0);
                output.grown.notify_all();
                if length == 0 {
                    return;
                }
            }
        });
    }

    fn wait_until(&self, deadline: Instant, reached: impl Fn(&Streams) -> bool) {
        let streams = self.streams.lock().expect("no reader panics");
        let left = deadline.saturating_duration_since(Instant::now());
        drop(
            self.grown
                .wait_timeout_while(streams, left, |streams| !reached(streams))
                .expect("no reader panics"),
        );
    }
}
