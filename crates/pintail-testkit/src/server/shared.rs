//! Servers that all tests of a process share.

use std::sync::OnceLock;

use super::StartError;

/// The one value of `cell`, which the first caller starts. `stop` is called when the process ends.
///
/// # Panics
/// When it cannot start: a test that needs a server fails without one.
pub(crate) fn shared<Server>(
    cell: &'static OnceLock<Server>,
    start: impl FnOnce() -> Result<Server, StartError>,
    stop: extern "C" fn(),
) -> &'static Server {
    cell.get_or_init(|| {
        let server = start().unwrap_or_else(|error| panic!("{error}"));
        #[expect(
            unsafe_code,
            reason = "a static is never dropped, and the test harness offers no end hook"
        )]
        // SAFETY: `stop` has the signature that `atexit` wants and stays valid for the whole process. It runs on the
        // thread that exits, where the locks and threads of the standard library still work.
        unsafe {
            nix::libc::atexit(stop);
        }
        server
    })
}
