//! Environ names that travel as one byte.

/// The names behind the numbers 1, 2, 3 …, in this order. Appending a name needs
/// a new [`VERSION`](crate::VERSION).
pub const ENVIRON_NAMES: &[&str] = &[
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "PATH_INFO",
    "QUERY_STRING",
    "REQUEST_URI",
    "REQUEST_SCHEME",
    "SCRIPT_FILENAME",
    "DOCUMENT_ROOT",
    "CONTEXT_PREFIX",
    "CONTEXT_DOCUMENT_ROOT",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_ADDR",
    "SERVER_ADMIN",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "REMOTE_ADDR",
    "REMOTE_PORT",
    "REMOTE_USER",
    "AUTH_TYPE",
    "CONTENT_TYPE",
    "CONTENT_LENGTH",
    "HTTP_HOST",
    "HTTP_USER_AGENT",
    "HTTP_ACCEPT",
    "HTTP_ACCEPT_LANGUAGE",
    "HTTP_ACCEPT_ENCODING",
    "HTTP_ACCEPT_CHARSET",
    "HTTP_AUTHORIZATION",
    "HTTP_CACHE_CONTROL",
    "HTTP_CONNECTION",
    "HTTP_COOKIE",
    "HTTP_DNT",
    "HTTP_IF_MATCH",
    "HTTP_IF_MODIFIED_SINCE",
    "HTTP_IF_NONE_MATCH",
    "HTTP_ORIGIN",
    "HTTP_PRAGMA",
    "HTTP_RANGE",
    "HTTP_REFERER",
    "HTTP_SEC_CH_UA",
    "HTTP_SEC_CH_UA_MOBILE",
    "HTTP_SEC_CH_UA_PLATFORM",
    "HTTP_SEC_FETCH_DEST",
    "HTTP_SEC_FETCH_MODE",
    "HTTP_SEC_FETCH_SITE",
    "HTTP_SEC_FETCH_USER",
    "HTTP_UPGRADE_INSECURE_REQUESTS",
    "HTTP_VIA",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_REAL_IP",
    "HTTP_X_REQUESTED_WITH",
    "REDIRECT_STATUS",
    "REDIRECT_URL",
    "REDIRECT_QUERY_STRING",
    "UNIQUE_ID",
    "wsgi.url_scheme",
    "mod_wsgi.callable_object",
    "mod_wsgi.request_handler",
    "mod_wsgi.handler_script",
    "mod_wsgi.script_name",
    "mod_wsgi.path_info",
    "mod_wsgi.mount_point",
    "mod_wsgi.listener_host",
    "mod_wsgi.listener_port",
    "mod_wsgi.server_pid",
    "mod_wsgi.request_id",
    "mod_wsgi.connection_id",
];

/// The name behind a number.
#[must_use]
pub fn environ_name(id: u8) -> Option<&'static str> {
    ENVIRON_NAMES.get(usize::from(id).checked_sub(1)?).copied()
}

/// The number of a name, or 0 if it has none: for names that are known when this is
/// compiled. [`find_environ_name`] is quicker where they are not.
#[must_use]
pub const fn environ_name_id(name: &str) -> u8 {
    let wanted = name.as_bytes();
    let mut index = 0;
    while index < ENVIRON_NAMES.len() {
        if equal(ENVIRON_NAMES[index].as_bytes(), wanted) {
            #[allow(clippy::cast_possible_truncation)] // the table has fewer than 255 names
            return index as u8 + 1;
        }
        index += 1;
    }
    0
}

/// The number of a name that came with a request, or 0 if it has none.
#[must_use]
pub fn find_environ_name(name: &[u8]) -> u8 {
    let mut id = CHAINS.first[bucket(name)];
    while let Some(known) = environ_name(id) {
        if known.as_bytes() == name {
            break;
        }
        id = CHAINS.next[usize::from(id)];
    }
    id
}

/// The numbers of names that share a bucket: the first by bucket, the next by number.
/// 0 ends a chain.
struct Chains {
    first: [u8; BUCKETS],
    next: [u8; ENVIRON_NAMES.len() + 1],
}

const BUCKETS: usize = 256;

static CHAINS: Chains = chains();

const fn chains() -> Chains {
    let mut chains = Chains { first: [0; BUCKETS], next: [0; ENVIRON_NAMES.len() + 1] };
    let mut index = 0;
    while index < ENVIRON_NAMES.len() {
        let bucket = bucket(ENVIRON_NAMES[index].as_bytes());
        index += 1;
        chains.next[index] = chains.first[bucket];
        #[allow(clippy::cast_possible_truncation)] // the table has fewer than 255 names
        let id = index as u8;
        chains.first[bucket] = id;
    }
    chains
}

/// Where to look for a name. Few of them share their length and three of their bytes; the
/// factors were found by trying.
const fn bucket(name: &[u8]) -> usize {
    let length = name.len();
    if length < 3 {
        return length;
    }
    let (last, third, middle) = (name[length - 1], name[length - 3], name[length / 2]);
    (last as usize * 2 + third as usize * 13 + middle as usize * 9 + length * 11) % BUCKETS
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

const _: () = assert!(ENVIRON_NAMES.len() < 255);
