//! What Karrigell 2.3.5 needs of its host, each thing alone, on Python 2.7.

use crate::harness::{Config, Request, Server};
use crate::pythons::{python_2, with_libraries};
use crate::{ours_only, skip};

/// A server whose script, on Python 2.7, has Windows' line ends and no last one.
fn serve(options: &str, script: &str) -> Option<Server> {
    let python = python_2()?;
    let config = with_libraries(Config::new(), std::slice::from_ref(&python))
        .file("host.wsgi", &script.trim().replace('\n', "\r\n"))
        .daemon("karrigell", &format!("python={} {options}", python.program.display()))
        .line("WSGIProcessGroup karrigell")
        .mount("/", "host.wsgi")
        .expect_errors();
    Some(config.start())
}

macro_rules! serve {
    ($options:expr, $script:expr) => {{
        ours_only!("mod_wsgi is linked with one Python");
        match serve($options, $script) {
            Some(server) => server,
            None => skip!("no Python 2.7 of pyenv's"),
        }
    }};
}

#[test]
fn a_script_is_a_module_before_it_runs_and_survives_its_removal() {
    let script = "
import os, sys
assert sys.argv == ['mod_wsgi'], sys.argv
assert os.path.isabs(__file__) and __file__.endswith('/apps/host.wsgi'), __file__
assert sys.modules[__name__].__dict__ is globals()
value = ['kept']
def application(environ, start_response):
    sys.modules.pop(__name__, None)
    start_response('200 OK', [])
    return [value[0], ' ', str(os.getpid())]
";
    let server = serve!("threads=1", script);
    let first = server.text("/");
    assert!(first.starts_with("kept "), "{first}");
    assert_eq!(server.text("/"), first);
}

#[test]
fn cgi_values_are_native_strings() {
    let script = "
NAMES = ['REQUEST_URI', 'REMOTE_ADDR', 'REMOTE_PORT', 'SERVER_SOFTWARE', 'SERVER_PROTOCOL',
         'REQUEST_METHOD', 'SERVER_NAME', 'SERVER_PORT', 'mod_wsgi.process_group', 'HTTP_X']
def application(environ, start_response):
    assert isinstance(environ['wsgi.multithread'], bool)
    for name in NAMES:
        assert type(environ[name]) is str, name
    int(environ['REMOTE_PORT'])
    assert all(type(name) is str for name in environ)
    start_response('200 OK', [])
    return [environ['REQUEST_URI'], ' ', environ['HTTP_X'], ' ', environ['mod_wsgi.process_group']]
";
    let server = serve!("threads=1", script);
    let get = |target: &str| {
        let request = Request::get(target).header("X", "\u{e9}");
        server.request(&request).expect(200).text()
    };
    assert_eq!(get("/a%20b/?c=%C3%A9"), "/a%20b/?c=%C3%A9 \u{e9} karrigell");
    let whole = format!("http://{}/a?b", server.address());
    assert_eq!(get(&whole), format!("{whole} \u{e9} karrigell"));
}

#[test]
fn write_sends_the_body_of_a_response_from_a_dict() {
    let script = "
def application(environ, start_response):
    headers = {'X-One': '1', 'Content-Type': 'text/html'}
    write = start_response('200 Ok', headers.items())
    assert write and callable(write)
    for piece in ('a', 'b', '', 'c' * 100000):
        write(piece)
    return []
";
    let server = serve!("threads=1", script);
    let response = server.get("/").expect(200);
    assert_eq!(response.header("X-One"), Some("1"));
    assert_eq!(response.text(), format!("ab{}", "c".repeat(100_000)));
}

#[test]
fn a_status_that_is_none_is_refused_and_the_process_lives_on() {
    let script = "
import os
def application(environ, start_response):
    if environ['PATH_INFO'] == '/none':
        try:
            start_response('%d %s' % (0, None), [])
        except ValueError:
            environ['wsgi.errors'].write('ValueError indeed\\n')
            raise
    start_response('200 OK', [])
    return [str(os.getpid())]
";
    let server = serve!("threads=1", script);
    let process = server.text("/");
    assert_eq!(server.get("/none").status(), 500);
    server.log().wait_for("ValueError indeed");
    assert_eq!(server.text("/"), process);
}

#[test]
fn a_process_bears_a_new_stdout_path_and_directory_at_each_request() {
    let script = "
import os, sys
from StringIO import StringIO
initial = list(sys.path)
count = [0]
def application(environ, start_response):
    count[0] += 1
    folder = os.path.join(os.environ['SCRATCH'], 'd%d' % count[0])
    os.mkdir(folder)
    os.chdir(folder)
    sys.stdout = StringIO()
    print 'page', count[0], os.path.basename(os.getcwd())
    sys.path = list(initial)
    start_response('200 OK', [])
    return [sys.stdout.getvalue()]
";
    let Some(python) = python_2() else { skip!("no Python 2.7 of pyenv's") };
    ours_only!("mod_wsgi is linked with one Python");
    let server = with_libraries(Config::new(), std::slice::from_ref(&python))
        .environment("SCRATCH", "{root}/scratch")
        .file("host.wsgi", script)
        .daemon("karrigell", &format!("python={} threads=1", python.program.display()))
        .line("WSGIProcessGroup karrigell")
        .mount("/", "host.wsgi")
        .start();
    for count in 1..4 {
        assert_eq!(server.text("/"), format!("page {count} d{count}\n"));
    }
}

#[test]
fn field_storage_reads_forms() {
    let script = "
import cgi
def application(environ, start_response):
    body = environ['wsgi.input']
    start_response('200 OK', [])
    if environ['PATH_INFO'] == '/parts':
        return [body.read(3), '|', body.readline(4), '|', body.readline(100), '|', body.read(100)]
    form = cgi.FieldStorage(fp=body, environ=environ, keep_blank_values=1)
    if form.list is None:
        return [form.value]
    return [' '.join(sorted('%s=%s' % (field.name, field.value) for field in form.list))]
";
    let server = serve!("threads=1", script);
    let post = |target: &str, kind: &str, body: &str| {
        let request = Request::post(target, body).header("Content-Type", kind);
        server.request(&request).expect(200).text()
    };
    assert_eq!(post("/parts", "text/plain", "abcdefgh\nrest"), "abc|defg|h\n|rest");
    assert_eq!(post("/?q=1", "application/x-www-form-urlencoded", "a=&b=x+y"), "a= b=x y q=1");
    assert_eq!(post("/", "text/plain", "just text"), "just text");
    let multipart = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"g\"\r\n\r\n1\n2\r\n\
                     --b--\r\n";
    assert_eq!(post("/", "multipart/form-data; boundary=b", multipart), "f=1\n2");
}

#[test]
fn multithread_and_multiprocess_follow_the_options() {
    let script = "
def application(environ, start_response):
    start_response('200 OK', [])
    return ['%s %s' % (environ['wsgi.multithread'], environ['wsgi.multiprocess'])]
";
    let cases = [
        ("", "True False"),
        ("threads=1", "False False"),
        ("processes=1", "True True"),
        ("processes=1 threads=1", "False True"),
        ("processes=2 threads=2", "True True"),
    ];
    for (options, expected) in cases {
        let server = serve!(options, script);
        assert_eq!(server.text("/"), expected, "{options}");
    }
}
