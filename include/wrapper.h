/* The headers that bindgen reads and shim.c includes. */
#ifndef MOD_WSGI_WRAPPER_H
#define MOD_WSGI_WRAPPER_H

#include "ap_config.h"
#include "httpd.h"
#include "http_config.h"
#include "http_core.h"
#include "http_log.h"
#include "http_main.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_connection.h"
#include "http_ssl.h"
#include "ap_mpm.h"
#include "mod_auth.h"
#include "mpm_common.h"
#include "ap_listen.h"
#include "ap_regex.h"
#include "ap_release.h"
#include "scoreboard.h"
#include "unixd.h"
#include "util_filter.h"
#include "util_script.h"
#include "util_time.h"
#include "apr_buckets.h"
#include "apr_file_io.h"
#include "apr_optional.h"
#include "apr_portable.h"
#include "apr_strings.h"
#include "apr_tables.h"
#include "apr_thread_proc.h"

#endif
