//! A request. What is known of the two ends of its connection is in [`endpoints`](super::endpoints).

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use super::pool::Pool;
use super::server::{Server, bytes};
use super::table::Table;
use super::{Status, sys};

/// What the directory walk found at the request's filename.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileType {
    Missing,
    Directory,
    File,
    Other,
}

/// A file that httpd found, for another request to the same path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found(sys::apr_finfo_t);

// SAFETY: its pointers are null.
unsafe impl Send for Found {}
// SAFETY: as above.
unsafe impl Sync for Found {}

/// A request during one hook, `'r`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'r> {
    raw: NonNull<sys::request_rec>,
    lifetime: PhantomData<&'r ()>,
}

impl<'r> Request<'r> {
    /// # Safety
    /// `raw` must be the request that httpd passed to a hook, and `'r` no longer
    /// than this hook. The calling thread is the only one that uses it.
    pub(crate) unsafe fn new(raw: NonNull<sys::request_rec>) -> Self {
        Self { raw, lifetime: PhantomData }
    }

    pub(crate) fn raw(self) -> *mut sys::request_rec {
        self.raw.as_ptr()
    }

    /// One field of the record. Fields are copied out: httpd's filters write to the
    /// record, so no reference to it is kept.
    pub(super) fn field<T: Copy>(self, pick: impl FnOnce(&sys::request_rec) -> T) -> T {
        // SAFETY: the record is alive during the hook, and nobody writes to it while
        // `pick` reads one field.
        pick(unsafe { self.raw.as_ref() })
    }

    pub(super) fn connection(self) -> *mut sys::conn_rec {
        self.field(|r| r.connection)
    }

    pub(super) fn connection_field<T: Copy>(self, pick: impl FnOnce(&sys::conn_rec) -> T) -> T {
        // SAFETY: a request's connection outlives it.
        pick(unsafe { &*self.connection() })
    }

    pub(crate) fn pool(self) -> Pool<'r> {
        let raw = self.field(|r| r.pool);
        // SAFETY: a request has a pool, which lives as long as the request.
        unsafe { Pool::new(NonNull::new_unchecked(raw)) }
    }

    pub(crate) fn server(self) -> Server<'r> {
        let raw = self.field(|r| r.server);
        // SAFETY: a request has a server, which outlives it.
        unsafe { Server::new(NonNull::new_unchecked(raw)) }
    }

    fn table(self, raw: *mut sys::apr_table_t) -> Table<'r> {
        // SAFETY: httpd creates a request's tables with it, in its pool.
        unsafe { Table::new(NonNull::new_unchecked(raw), self.pool()) }
    }

    pub(crate) fn headers_in(self) -> Table<'r> {
        self.table(self.field(|r| r.headers_in))
    }

    pub(crate) fn headers_out(self) -> Table<'r> {
        self.table(self.field(|r| r.headers_out))
    }

    pub(crate) fn err_headers_out(self) -> Table<'r> {
        self.table(self.field(|r| r.err_headers_out))
    }

    pub(crate) fn subprocess_env(self) -> Table<'r> {
        self.table(self.field(|r| r.subprocess_env))
    }

    pub(crate) fn notes(self) -> Table<'r> {
        self.table(self.field(|r| r.notes))
    }

    pub(crate) fn method(self) -> &'r [u8] {
        bytes(self.field(|r| r.method))
    }

    /// Whether the client wants no body (HEAD).
    pub(crate) fn is_head(self) -> bool {
        self.field(|r| r.header_only) != 0
    }

    /// Decoded path of the URL, slashes merged.
    pub(crate) fn uri(self) -> &'r [u8] {
        bytes(self.field(|r| r.uri))
    }

    /// The rest of the path behind the script; empty if there is none.
    pub(crate) fn path_info(self) -> &'r [u8] {
        bytes(self.field(|r| r.path_info))
    }

    /// Query string, not decoded.
    pub(crate) fn query(self) -> &'r [u8] {
        bytes(self.field(|r| r.args))
    }

    /// First line as received.
    pub(crate) fn request_line(self) -> &'r [u8] {
        bytes(self.field(|r| r.the_request))
    }

    pub(crate) fn protocol(self) -> &'r [u8] {
        bytes(self.field(|r| r.protocol))
    }

    /// Host of the request, lower-cased by httpd; empty if there is none.
    pub(crate) fn hostname(self) -> &'r [u8] {
        bytes(self.field(|r| r.hostname))
    }

    /// Filesystem path to which httpd mapped the URL.
    pub(crate) fn filename(self) -> &'r [u8] {
        bytes(self.field(|r| r.filename))
    }

    pub(crate) fn set_filename(self, filename: &'r CStr) {
        // SAFETY: the record is alive, the string lives in its pool.
        unsafe { (*self.raw()).filename = filename.as_ptr().cast_mut() };
    }

    pub(crate) fn set_path_info(self, path_info: &'r CStr) {
        // SAFETY: the record is alive, the string lives in its pool.
        unsafe { (*self.raw()).path_info = path_info.as_ptr().cast_mut() };
    }

    /// Looks what the request's filename is, and leaves it for the directory walk; nothing is
    /// left if there is no file.
    pub(crate) fn find_file(self) -> FileType {
        let wanted = sys::APR_FINFO_MIN.cast_signed();
        // SAFETY: the record is alive; no file is a valid answer of the same type as zeros.
        unsafe {
            let found = &raw mut (*self.raw()).finfo;
            if sys::ap_run_dirwalk_stat(found, self.raw(), wanted) != 0
                || (*found).filetype != sys::APR_REG
            {
                found.write_bytes(0, 1);
            }
        }
        self.file_type()
    }

    /// What [`Request::find_file`] has left.
    pub(crate) fn found(self) -> Found {
        let mut found = self.field(|r| r.finfo);
        found.pool = ptr::null_mut();
        found.fname = ptr::null();
        found.name = ptr::null();
        found.filehand = ptr::null_mut();
        Found(found)
    }

    /// Leaves what another request found at this one's filename.
    pub(crate) fn set_found(self, Found(found): Found) {
        // SAFETY: the record is alive, and so are its pool and the filename in it.
        unsafe {
            let raw = self.raw();
            (*raw).finfo = found;
            (*raw).finfo.pool = (*raw).pool;
            (*raw).finfo.fname = (*raw).filename;
        }
    }

    /// Has httpd apply the settings of the directories on the way to the file, and of the file,
    /// as its own hook for `map_to_storage` does.
    pub(crate) fn walk_directories(self) -> Status {
        // SAFETY: the request is alive, and in the hook from which httpd calls these.
        Status(unsafe {
            match sys::ap_directory_walk(self.raw()) {
                0 => sys::ap_file_walk(self.raw()),
                refused => refused,
            }
        })
    }

    pub(crate) fn handler(self) -> &'r [u8] {
        bytes(self.field(|r| r.handler))
    }

    pub(crate) fn set_handler(self, handler: &'static CStr) {
        // SAFETY: the record is alive, the string constant. A handler name of the
        // module's own is looked at only while the module is loaded.
        unsafe { (*self.raw()).handler = handler.as_ptr() };
    }

    /// The user that httpd authenticated.
    pub(crate) fn user(self) -> Option<&'r [u8]> {
        let user = self.field(|r| r.user);
        (!user.is_null()).then(|| bytes(user))
    }

    /// Makes `user` the authenticated user.
    pub(crate) fn set_user(self, user: &'r CStr) {
        // SAFETY: the record is alive, the string lives in its pool.
        unsafe { (*self.raw()).user = user.as_ptr().cast_mut() };
    }

    /// How httpd authenticated.
    pub(crate) fn auth_type(self) -> &'r [u8] {
        bytes(self.field(|r| r.ap_auth_type))
    }

    /// Microseconds since the epoch when the request line was read.
    pub(crate) fn start_time(self) -> u64 {
        u64::try_from(self.field(|r| r.request_time)).unwrap_or(0)
    }

    pub(crate) fn file_type(self) -> FileType {
        match self.field(|r| r.finfo.filetype) {
            sys::APR_NOFILE => FileType::Missing,
            sys::APR_DIR => FileType::Directory,
            sys::APR_REG => FileType::File,
            _ => FileType::Other,
        }
    }

    /// AcceptPathInfo Off.
    pub(crate) fn rejects_path_info(self) -> bool {
        u32::try_from(self.field(|r| r.used_path_info)) == Ok(sys::AP_REQ_REJECT_PATH_INFO)
    }

    /// Options ExecCGI.
    pub(crate) fn may_execute(self) -> bool {
        // SAFETY: the request is alive.
        let options = unsafe { sys::ap_allow_options(self.raw()) };
        options & c_int::try_from(sys::OPT_EXECCGI).unwrap_or(0) != 0
    }

    /// LimitRequestBody in bytes; 0 for none.
    pub(crate) fn body_limit(self) -> u64 {
        // SAFETY: the request is alive.
        u64::try_from(unsafe { sys::ap_get_limit_req_body(self.raw()) }).unwrap_or(0)
    }

    /// Whether the client waits for `100 Continue`, which httpd sends at the first
    /// read of the body.
    pub(crate) fn expects_continue(self) -> bool {
        // SAFETY: the request is alive.
        unsafe { sys::wsgi_request_expecting_100(self.raw()) != 0 }
    }

    /// Whether a file may go to the client by sendfile(2): EnableSendfile is On, and
    /// nothing between here and the socket wants to see the bytes.
    pub(crate) fn may_sendfile(self) -> bool {
        // SAFETY: the request is alive.
        let enabled = unsafe { sys::wsgi_request_may_sendfile(self.raw()) != 0 };
        enabled
            && self.connection_field(|c| c.master).is_null()
            && !self.is_https()
            && !self.has_content_filters()
    }

    /// CGIPassAuth On.
    pub(crate) fn passes_authorization(self) -> bool {
        // SAFETY: the request is alive.
        unsafe { sys::wsgi_request_passes_authorization(self.raw()) != 0 }
    }

    /// What REQUEST_URI is by CGIVar; none for what the client wrote.
    pub(crate) fn current_uri(self) -> Option<&'r [u8]> {
        // SAFETY: the request is alive; the string is in its pool.
        let uri = unsafe { sys::wsgi_request_current_uri(self.raw()) };
        (!uri.is_null()).then(|| bytes(uri))
    }

    /// URL and query of the request that httpd redirected from within itself to this one.
    pub(crate) fn redirected_from(self) -> Option<(&'r [u8], &'r [u8])> {
        let before = NonNull::new(self.field(|r| r.prev))?;
        // SAFETY: both requests are alive; the strings are in their pools.
        unsafe {
            let url = sys::wsgi_request_redirect_url(self.raw());
            Some((bytes(url), bytes(before.as_ref().args)))
        }
    }

    /// Whether an output filter works on content, which HEAD would deceive.
    pub(crate) fn has_content_filters(self) -> bool {
        // SAFETY: the request is alive.
        unsafe { sys::wsgi_request_has_content_filters(self.raw()) != 0 }
    }

    pub(crate) fn document_root(self) -> &'r [u8] {
        // SAFETY: the request is alive.
        bytes(unsafe { sys::ap_document_root(self.raw()) })
    }

    pub(crate) fn context_prefix(self) -> &'r [u8] {
        // SAFETY: the request is alive.
        bytes(unsafe { sys::ap_context_prefix(self.raw()) })
    }

    pub(crate) fn context_document_root(self) -> &'r [u8] {
        // SAFETY: the request is alive.
        bytes(unsafe { sys::ap_context_document_root(self.raw()) })
    }

    /// httpd's log id of the request, if it was made already or a module makes one. What
    /// httpd itself makes if no module does is not asked for: it costs a system call.
    pub(crate) fn log_id(self) -> &'r [u8] {
        let known = self.field(|r| r.log_id);
        if !known.is_null() {
            return bytes(known);
        }
        // SAFETY: the list is complete once the configuration is read.
        let makers = unsafe { sys::ap_hook_get_generate_log_id().as_ref() };
        if makers.is_none_or(|makers| makers.nelts < 2) {
            return &[];
        }
        let mut id: *const c_char = ptr::null();
        // SAFETY: request and connection are alive, `id` is a valid place.
        unsafe { sys::ap_run_generate_log_id(self.connection(), self.raw(), &raw mut id) };
        if !id.is_null() {
            // SAFETY: the record is alive, the string as long-lived as the request.
            unsafe { (*self.raw()).log_id = id };
        }
        bytes(id)
    }

    /// Makes `id` the request's log id, for the entries of all modules.
    pub(crate) fn set_log_id(self, id: &'r CStr) {
        // SAFETY: the record is alive, the string lives in its pool.
        unsafe { (*self.raw()).log_id = id.as_ptr() };
    }

    /// Whether a write to the client has failed.
    pub(crate) fn is_aborted(self) -> bool {
        // SAFETY: the connection outlives the request.
        unsafe { sys::wsgi_connection_aborted(self.connection()) != 0 }
    }

    /// Leaves a reference for the request's later hooks. `T` is one type for the
    /// whole module.
    pub(crate) fn attach<T>(self, object: &'r T) {
        let object: *const T = object;
        // SAFETY: the vector belongs to the request; our index is valid as long as the
        // module is loaded.
        unsafe {
            sys::ap_set_module_config(
                self.field(|r| r.request_config),
                super::hooks::module_record(),
                object.cast_mut().cast(),
            );
        }
    }

    /// What an earlier hook left.
    pub(crate) fn attached<T>(self) -> Option<&'r T> {
        // SAFETY: as for `attach`, which stored a reference to the same type that
        // lives as long as the request.
        unsafe {
            let object = sys::ap_get_module_config(
                self.field(|r| r.request_config),
                super::hooks::module_record(),
            );
            NonNull::new(object).map(|object| object.cast::<T>().as_ref())
        }
    }

    pub(super) fn bucket_alloc(self) -> *mut sys::apr_bucket_alloc_t {
        self.connection_field(|c| c.bucket_alloc)
    }

    pub(super) fn output_filters(self) -> *mut sys::ap_filter_t {
        self.field(|r| r.output_filters)
    }

    pub(super) fn directory_config(self) -> *const std::ffi::c_void {
        // SAFETY: the vector belongs to the request; our index is valid as long as
        // the module is loaded.
        unsafe {
            sys::ap_get_module_config(
                self.field(|r| r.per_dir_config),
                super::hooks::module_record(),
            )
        }
    }

    /// The status that a failed read of the body calls for.
    pub(super) fn body_error(status: sys::apr_status_t) -> Status {
        // SAFETY: a pure function. 400 is the status of what it doesn't know.
        Status(unsafe { sys::ap_map_http_request_error(status, 400) })
    }
}
