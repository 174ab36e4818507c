//! Finds httpd and APR through `apxs` and `apr-1-config`, generates bindings for
//! their headers and compiles the C shim.
//!
//! `APXS` and `APR_CONFIG` name other programs; `MOD_WSGI_PYTHON` names the
//! interpreter of groups that do not choose one.

// A build script that can't go on says why and ends.
#![allow(clippy::expect_used, clippy::panic)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything that src/apache uses; nothing else is generated.
const FUNCTIONS: &[&str] = &[
    "ap_add_version_component",
    "ap_bucket_eoc_create",
    "ap_bucket_error_create",
    "ap_document_root",
    "ap_escape_html2",
    "ap_exists_config_define",
    "ap_get_conn_socket",
    "ap_get_limit_req_body",
    "ap_get_module_config",
    "ap_set_module_config",
    "ap_copy_scoreboard_worker",
    "ap_exists_scoreboard_image",
    "ap_get_scoreboard_(global|process)",
    "ap_get_server_banner",
    "ap_get_server_revision",
    "ap_get_server_name",
    "ap_get_server_port",
    "ap_context_document_root",
    "ap_context_prefix",
    "ap_allow_options",
    "ap_auth_type",
    "ap_map_http_request_error",
    "ap_directory_walk",
    "ap_file_walk",
    "ap_hook_get_generate_log_id",
    "ap_hook_(check_access|check_config|child_init|end_generation|handler|map_to_storage|monitor|post_config|test_config|translate_name)",
    "ap_internal_redirect_handler",
    "ap_mpm_query",
    "ap_pass_brigade",
    "ap_pregcomp",
    "ap_pregfree",
    "ap_regexec",
    "ap_register_auth_provider",
    "ap_get_useragent_host",
    "ap_run_dirwalk_stat",
    "ap_run_generate_log_id",
    "ap_rwrite",
    "ap_run_http_scheme",
    "ap_set_content_length",
    "ap_set_content_type(_ex)?",
    "ap_runtime_dir_relative",
    "ap_show_mpm",
    "ap_ssl_var_lookup",
    "ap_state_query",
    "apr_brigade_cleanup",
    "apr_brigade_create",
    "apr_brigade_destroy",
    "apr_bucket_eos_create",
    "apr_bucket_flush_create",
    "apr_bucket_heap_create",
    "apr_bucket_transient_create",
    "apr_os_file_get",
    "apr_os_sock_get",
    "apr_palloc",
    "apr_pool_cleanup_register",
    "apr_pool_cleanup_kill",
    "apr_pool_cleanup_null",
    "apr_pool_userdata_get",
    "apr_pool_userdata_set",
    "apr_proc_other_child_register",
    "apr_proc_other_child_unregister",
    "apr_socket_timeout_(get|set)",
    "apr_table_(addn|get|make|setn|unset|elts|add|set)",
    "apr_time_now",
    "ap_walk_config",
    "wsgi_.*",
];

const TYPES: &[&str] = &[
    "request_rec",
    "conn_rec",
    "server_rec",
    "module",
    "cmd_parms",
    "process_rec",
    "apr_table_entry_t",
    "authn_provider",
    "authz_provider",
];

const VARIABLES: &[&str] = &[
    "ap_conftree",
    "ap_server_conf",
    "ap_server_root",
    "AP_AUTH_INTERNAL_.*",
    "AUTH_.*",
    "AUTHZ_.*",
    "AP_HTTP_.*",
    "AP_MPMQ_.*",
    "AP_SQ_.*",
    "AP_STATUS_.*",
    "APLOG_.*",
    "APR_.*_READ",
    "APR_EAGAIN",
    "APR_EOF",
    "APR_FINFO_MIN",
    "APR_OC_.*",
    "APR_HOOK_.*",
    "MODULE_MAGIC_.*",
    "OPT_EXECCGI",
    "RSRC_CONF",
    "ACCESS_CONF",
    "OR_FILEINFO",
    "OR_AUTHCFG",
    "EXEC_ON_READ",
    "AP_REQ_.*",
    "REMOTE_NAME",
];

fn main() {
    println!("cargo:rerun-if-changed=include");
    for variable in ["APXS", "APR_CONFIG", "MOD_WSGI_PYTHON"] {
        println!("cargo:rerun-if-env-changed={variable}");
    }
    let python = env::var("MOD_WSGI_PYTHON").unwrap_or_else(|_| default_python());
    println!("cargo:rustc-env=MOD_WSGI_PYTHON={python}");

    let flags = compiler_flags();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    generate_bindings(&flags, &out);
    compile_shim(&flags);
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        // Undefined symbols are httpd's: it provides them when it loads the module.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,mod_wsgi.so");
    }
}

/// The preprocessor's flags with which httpd and APR were built. Large-file
/// flags among them change the layout of what we share.
fn compiler_flags() -> Vec<String> {
    let apxs = env::var("APXS").unwrap_or_else(|_| "apxs".into());
    let apr_config = env::var("APR_CONFIG").unwrap_or_else(|_| {
        let named = output(&apxs, &["-q", "APR_CONFIG"]);
        if named.is_empty() { "apr-1-config".into() } else { named }
    });
    let mut flags = vec![format!("-I{}", output(&apxs, &["-q", "INCLUDEDIR"]))];
    let words = [
        output(&apxs, &["-q", "CFLAGS"]),
        output(&apxs, &["-q", "EXTRA_CPPFLAGS"]),
        output(&apr_config, &["--includes", "--cppflags"]),
    ]
    .join(" ");
    flags.extend(
        words
            .split_whitespace()
            .filter(|word| ["-D", "-I", "-U"].iter().any(|kind| word.starts_with(kind)))
            .map(String::from),
    );
    flags.push("-Iinclude".into());
    flags
}

/// What a command prints.
fn output(program: &str, arguments: &[&str]) -> String {
    match Command::new(program).args(arguments).output() {
        Ok(result) if result.status.success() => {
            String::from_utf8_lossy(&result.stdout).trim().to_owned()
        }
        Ok(result) => panic!(
            "{program} {} failed: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&result.stderr).trim()
        ),
        Err(error) => panic!(
            "{program} can't be run ({error}): install httpd's development files \
             (Debian: apache2-dev, Red Hat: httpd-devel), or name it with APXS or APR_CONFIG"
        ),
    }
}

fn generate_bindings(flags: &[String], out: &Path) {
    let mut builder = bindgen::builder()
        .header("include/shim.h")
        .clang_args(flags)
        .generate_comments(false)
        .layout_tests(true)
        .use_core()
        .default_enum_style(bindgen::EnumVariation::Consts)
        .blocklist_type("IPPORT_.*")
        .prepend_enum_name(false);
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in TYPES {
        builder = builder.allowlist_type(name);
    }
    for name in VARIABLES {
        builder = builder.allowlist_var(name);
    }
    let bindings = builder.generate().expect("bindgen reads httpd's headers");
    bindings.write_to_file(out.join("httpd.rs")).expect("OUT_DIR is writable");
}

fn compile_shim(flags: &[String]) {
    let mut build = cc::Build::new();
    build
        .file("include/shim.c")
        .file("include/probe.c")
        .file("include/network.c")
        .warnings(true)
        .extra_warnings(false);
    for flag in flags {
        build.flag(flag);
    }
    build.compile("wsgi_shim");
}

/// The interpreter found now; the Makefile names it explicitly.
fn default_python() -> String {
    if Path::new("/usr/bin/python3").exists() {
        return "/usr/bin/python3".into();
    }
    output("python3", &["-c", "import sys; print(sys.executable)"])
}
