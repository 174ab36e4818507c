/* See probe.h. Runs only in an httpd that explains its configuration and exits. */
#include "probe.h"

#include "ap_listen.h"
#include "ap_mmn.h"
#include "apr_strings.h"
#include "http_config.h"
#include "http_protocol.h"
#include "http_request.h"
#include "http_vhost.h"
#include "mpm_common.h"

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 106)
#include "http_ssl.h"
#endif

/* Note of a connection that is taken for one with TLS. */
#define HTTPS "wsgi-probe-https"

/* More than the event MPM has of its own in a connection. */
#define MPM_SIZE 4096

/* Whether this process probes: no request that somebody sent passes unasked. */
static int has_begun;

/* httpd asks nobody about a request whose predecessor passed with the same settings. */
static int pass_access(request_rec *r)
{
    request_rec *passed;

    if (!has_begun) {
        return DECLINED;
    }
    passed = apr_pcalloc(r->pool, sizeof(*passed));
    passed->per_dir_config = r->per_dir_config;
    r->prev = passed;
    return DECLINED;
}

/* Requests within the request, such as those for an index file. */
static int pass_access_within(request_rec *r)
{
    return r->main ? pass_access(r) : DECLINED;
}

static int passed_access(request_rec *r)
{
    if (has_begun) {
        r->prev = NULL;
    }
    return DECLINED;
}

#if AP_MODULE_MAGIC_AT_LEAST(20120211, 106)
static int is_https(conn_rec *c)
{
    return apr_table_get(c->notes, HTTPS) ? OK : DECLINED;
}
#endif

void wsgi_probe_register(void)
{
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 106)
    ap_hook_ssl_conn_is_ssl(is_https, NULL, NULL, APR_HOOK_MIDDLE);
#endif
    ap_hook_post_perdir_config(pass_access_within, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_header_parser(pass_access, NULL, NULL, APR_HOOK_REALLY_LAST);
    ap_hook_type_checker(passed_access, NULL, NULL, APR_HOOK_REALLY_FIRST);
}

/* Modules that map requests only after post_config, which does no more than that in
 * httpd's first pass. It can't be run for all: others open there what the httpd that
 * serves has open. */
static int is_needed(const char *module)
{
    return module && (!strcmp(module, "mod_mime.c") || !strcmp(module, "mod_rewrite.c"));
}

int wsgi_probe_begin(apr_pool_t *pool, server_rec *base)
{
    const apr_array_header_t *hooks = ap_hook_get_post_config();
    int at;

    for (at = 0; hooks && at < hooks->nelts; at++) {
        const ap_LINK_post_config_t *hook = &APR_ARRAY_IDX(hooks, at, ap_LINK_post_config_t);

        if (is_needed(hook->szName)) {
            hook->pFunc(pool, pool, pool, base);
        }
    }
    has_begun = ap_run_drop_privileges(pool, base) == OK;
    return has_begun;
}

request_rec *wsgi_probe(apr_pool_t *pool, server_rec *base, const char *address,
                        unsigned short port, int https, const char *host, const char *uri,
                        int *status)
{
#if AP_MODULE_MAGIC_AT_LEAST(20120211, 106)
    conn_rec *c = apr_pcalloc(pool, sizeof(*c));
    const module *event = ap_find_linked_module("event.c");
    request_rec *r;

    if (apr_sockaddr_info_get(&c->local_addr, address, APR_UNSPEC, port, 0, pool) != APR_SUCCESS ||
        apr_sockaddr_info_get(&c->client_addr, "127.0.0.1", APR_UNSPEC, 0, 0, pool)
            != APR_SUCCESS) {
        return NULL;
    }
    apr_sockaddr_ip_get(&c->local_ip, c->local_addr);
    apr_sockaddr_ip_get(&c->client_ip, c->client_addr);
    c->pool = pool;
    c->base_server = base;
    c->conn_config = ap_create_conn_config(pool);
    c->notes = apr_table_make(pool, 5);
    if (https) {
        apr_table_setn(c->notes, HTTPS, "on");
    }
    c->bucket_alloc = apr_bucket_alloc_create(pool);
    if (event) {
        /* It takes for granted that it has accepted the connection, and writes there. */
        ap_set_module_config(c->conn_config, event, apr_pcalloc(pool, MPM_SIZE));
    }
    ap_update_vhost_given_ip(c);

    r = ap_create_request(c);
    r->method = "GET";
    r->method_number = M_GET;
    r->protocol = "HTTP/1.1";
    r->proto_num = HTTP_VERSION(1, 1);
    r->request_time = apr_time_now();
    r->the_request = apr_pstrcat(r->pool, "GET ", uri, " HTTP/1.1", NULL);
    r->status = HTTP_OK;
    apr_table_setn(r->headers_in, "Host", apr_pstrdup(r->pool, host));
    ap_parse_uri(r, apr_pstrdup(r->pool, uri));
    ap_update_vhost_from_headers(r);
    r->per_dir_config = r->server->lookup_defaults;
    *status = r->status != HTTP_OK ? r->status : ap_run_post_read_request(r);
    if (*status == OK || *status == DECLINED) {
        *status = ap_process_request_internal(r);
    }
    return r;
#else
    return NULL;
#endif
}

const char *wsgi_listens(unsigned short port)
{
    const ap_listen_rec *listener;

    for (listener = ap_listeners; listener; listener = listener->next) {
        if (listener->bind_addr && listener->bind_addr->port == port) {
            char *ip = NULL;

            return apr_sockaddr_ip_get(&ip, listener->bind_addr) == APR_SUCCESS ? ip : NULL;
        }
    }
    return NULL;
}
