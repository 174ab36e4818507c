//! httpd's command table: one entry for each directive, one way into safe code.

use std::borrow::Cow;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use super::configuration::{Merge, Node};
use super::guard::guard;
use super::pool::Pool;
use super::server::{Server, bytes};
use super::sys;

/// Who understands the directives.
pub(crate) trait Commands {
    type Server: Merge;
    type Directory: Merge + 'static;

    /// Applies one line of the configuration.
    ///
    /// # Errors
    /// The message for the administrator; httpd adds file and line.
    fn apply(
        command: &Command<'_>,
        server: &mut Self::Server,
        directory: &mut Self::Directory,
    ) -> Result<(), String>;
}

/// Where httpd lets a directive stand.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Allowed {
    Server,
    ServerAndSections,
    FileInfo,
    AuthConfig,
}

impl Allowed {
    const fn mask(self) -> c_int {
        #[allow(clippy::cast_possible_wrap)] // bits of a small mask
        let mask = match self {
            Self::Server => sys::RSRC_CONF,
            Self::ServerAndSections => sys::RSRC_CONF | sys::ACCESS_CONF,
            Self::FileInfo => sys::OR_FILEINFO,
            Self::AuthConfig => sys::OR_AUTHCFG,
        };
        mask as c_int
    }
}

/// The command table; `N` is one more than there are directives.
pub(crate) struct Table<const N: usize>([sys::command_rec; N]);

// SAFETY: constant pointers that httpd reads.
unsafe impl<const N: usize> Sync for Table<N> {}

impl<const N: usize> Table<N> {
    /// A table whose entries are all the terminating one.
    pub(crate) const fn new() -> Self {
        Self(
            [sys::command_rec {
                name: std::ptr::null(),
                func: sys::cmd_func { raw_args: None },
                cmd_data: std::ptr::null_mut(),
                req_override: 0,
                args_how: sys::RAW_ARGS,
                errmsg: std::ptr::null(),
            }; N],
        )
    }

    /// The table with a directive at `index`, which its line is applied with.
    #[must_use]
    pub(crate) const fn with<C: Commands>(
        mut self,
        index: usize,
        name: &'static CStr,
        allowed: Allowed,
    ) -> Self {
        assert!(index + 1 < N, "the last entry ends the table");
        self.0[index] = sys::command_rec {
            name: name.as_ptr(),
            func: sys::cmd_func { raw_args: Some(apply::<C>) },
            cmd_data: std::ptr::without_provenance_mut(index),
            req_override: allowed.mask(),
            args_how: sys::RAW_ARGS,
            errmsg: c"see docs/directives.md".as_ptr(),
        };
        self
    }

    pub(super) const fn as_ptr(&self) -> *const sys::command_rec {
        self.0.as_ptr()
    }
}

/// One line of the configuration while it is read.
#[derive(Debug)]
pub(crate) struct Command<'c> {
    raw: NonNull<sys::cmd_parms>,
    /// Position of the directive in the table.
    pub(crate) index: usize,
    /// What follows the directive's name.
    pub(crate) text: &'c str,
    lifetime: PhantomData<&'c ()>,
}

impl<'c> Command<'c> {
    fn parms(&self) -> &sys::cmd_parms {
        // SAFETY: alive while httpd applies the line.
        unsafe { self.raw.as_ref() }
    }

    /// The server or virtual host that the line stands in.
    pub(crate) fn server(&self) -> Server<'c> {
        // SAFETY: httpd sets it, and keeps servers longer than lines.
        unsafe { Server::new(NonNull::new_unchecked(self.parms().server)) }
    }

    /// The pool that the result lives in: the configuration's, or the request's for
    /// a .htaccess file.
    pub(crate) fn pool(&self) -> Pool<'c> {
        // SAFETY: httpd sets it, and keeps it longer than the line.
        unsafe { Pool::new(NonNull::new_unchecked(self.parms().pool)) }
    }

    /// File and line.
    pub(crate) fn origin(&self) -> (Cow<'c, str>, u32) {
        match NonNull::new(self.parms().directive) {
            Some(directive) => {
                // SAFETY: alive while httpd applies the line.
                let directive = unsafe { directive.as_ref() };
                let line = u32::try_from(directive.line_num).unwrap_or(0);
                (String::from_utf8_lossy(bytes(directive.filename)), line)
            }
            None => (Cow::Borrowed("?"), 0),
        }
    }

    /// Whether the line stands in a section such as `<Directory>`.
    pub(crate) fn is_in_section(&self) -> bool {
        !self.parms().path.is_null()
    }

    /// Whether the line stands in a .htaccess file, read during a request.
    pub(crate) fn is_in_htaccess(&self) -> bool {
        self.server().config_pool().is_none_or(|pconf| pconf.raw() != self.parms().pool)
    }

    /// Applies the lines inside of this section.
    ///
    /// # Errors
    /// The message of the first line that is wrong.
    pub(crate) fn apply_section(&self) -> Result<(), String> {
        let parms = self.raw.as_ptr();
        // SAFETY: the directive and its children are alive while httpd applies the
        // line; httpd's own sections do the same.
        let message = unsafe {
            let Some(directive) = NonNull::new((*parms).directive) else { return Ok(()) };
            sys::ap_walk_config(directive.as_ref().first_child, parms, (*parms).context)
        };
        if message.is_null() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(bytes(message)).into_owned())
    }
}

// SAFETY: httpd calls this, with arguments as the field or hook that it is stored in says.
unsafe extern "C" fn apply<C: Commands>(
    parms: *mut sys::cmd_parms,
    directory: *mut c_void,
    text: *const c_char,
) -> *const c_char {
    let Some(raw) = NonNull::new(parms) else { return std::ptr::null() };
    let result = guard(|| {
        let text = std::str::from_utf8(bytes(text))
            .map_err(|_| "MWR1901: the line is not UTF-8".to_owned())?;
        // SAFETY: `info` is the command's data, an index.
        let index = unsafe { raw.as_ref() }.info.addr();
        let command = Command { raw, index, text, lifetime: PhantomData };
        let mut scratch_server = C::Server::default();
        let mut scratch_directory = C::Directory::default();
        let server = if command.is_in_htaccess() {
            // The server's configuration is shared by all threads now.
            &mut scratch_server
        } else {
            match NonNull::new(command.server().module_config().cast_mut()) {
                // SAFETY: made by `create_server`; while the configuration is read, one
                // thread applies one line at a time, and sections hold no borrow while
                // their lines are applied (`apply_section` is called without one).
                Some(server) => unsafe { server.cast::<C::Server>().as_mut() },
                None => &mut scratch_server,
            }
        };
        let directory = match NonNull::new(directory.cast::<Node<C::Directory>>()) {
            // SAFETY: made by `create_directory`; nobody else has it while its section
            // is read.
            Some(mut node) => match unsafe { node.as_mut() } {
                Node::Own(own) => own,
                Node::Merged { .. } => &mut scratch_directory,
            },
            None => &mut scratch_directory,
        };
        C::apply(&command, server, directory)
    });
    match result {
        Ok(()) => std::ptr::null(),
        Err(message) => {
            // SAFETY: the pool lives as long as httpd needs the message.
            let pool = unsafe { Pool::new(NonNull::new_unchecked(raw.as_ref().temp_pool)) };
            pool.string(message.as_bytes()).as_ptr()
        }
    }
}
