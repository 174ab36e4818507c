#include "shim.h"


void wsgi_brigade_append(apr_bucket_brigade *brigade, apr_bucket *bucket)
{
    APR_BRIGADE_INSERT_TAIL(brigade, bucket);
}

int wsgi_brigade_is_empty(apr_bucket_brigade *brigade)
{
    return APR_BRIGADE_EMPTY(brigade);
}

apr_bucket *wsgi_brigade_first(apr_bucket_brigade *brigade)
{
    return APR_BRIGADE_EMPTY(brigade) ? NULL : APR_BRIGADE_FIRST(brigade);
}

void wsgi_bucket_delete(apr_bucket *bucket)
{
    apr_bucket_delete(bucket);
}

int wsgi_bucket_is_eos(apr_bucket *bucket)
{
    return APR_BUCKET_IS_EOS(bucket);
}

int wsgi_bucket_is_metadata(apr_bucket *bucket)
{
    return APR_BUCKET_IS_METADATA(bucket);
}

apr_status_t wsgi_bucket_keep(apr_bucket *bucket, apr_bucket_brigade *brigade, const char **data,
                              apr_size_t *length, int nonblocking)
{
    apr_status_t status = apr_bucket_read(bucket, data, length,
                                          nonblocking ? APR_NONBLOCK_READ : APR_BLOCK_READ);

    if (status != APR_SUCCESS || *length == 0) {
        *data = NULL;
        apr_bucket_delete(bucket);
        return status;
    }
    if (!APR_BUCKET_IS_HEAP(bucket)) {
        apr_bucket *copy = apr_bucket_heap_create(*data, *length, NULL, bucket->list);

        *data = ((apr_bucket_heap *)copy->data)->base;
        apr_bucket_delete(bucket);
        bucket = copy;
    } else {
        APR_BUCKET_REMOVE(bucket);
    }
    APR_BRIGADE_INSERT_TAIL(brigade, bucket);
    return APR_SUCCESS;
}

int wsgi_request_expecting_100(const request_rec *r)
{
    return r->expecting_100;
}

void wsgi_send_interim_response(request_rec *r, int status, const char *line,
                                apr_table_t *fields)
{
    apr_table_t *headers = r->headers_out;
    const char *status_line = r->status_line;
    int old_status = r->status;
    unsigned expecting = r->expecting_100;

    r->headers_out = fields;
    r->status_line = line;
    r->status = status;
    ap_send_interim_response(r, 1);
    r->headers_out = headers;
    r->status_line = status_line;
    r->status = old_status;
    r->expecting_100 = expecting;
}

int wsgi_connection_aborted(const conn_rec *c)
{
    return c->aborted;
}

void wsgi_connection_close(conn_rec *c)
{
    c->keepalive = AP_CONN_CLOSE;
}

int wsgi_request_has_content_filters(const request_rec *r)
{
    const ap_filter_t *filter;

    for (filter = r->output_filters; filter != NULL; filter = filter->next) {
        if (filter->frec->ftype < AP_FTYPE_PROTOCOL) {
            return 1;
        }
    }
    return 0;
}

static apr_status_t close_file(void *file)
{
    return apr_file_close(file);
}

apr_bucket *wsgi_file_bucket(int descriptor, apr_off_t offset, apr_size_t length,
                             apr_pool_t *pool, apr_bucket_alloc_t *list)
{
    apr_file_t *file = NULL;
    apr_bucket *bucket;

    if (apr_os_file_put(&file, &descriptor, APR_FOPEN_READ | APR_FOPEN_SENDFILE_ENABLED, pool)
        != APR_SUCCESS) {
        return NULL;
    }
    apr_pool_cleanup_register(pool, file, close_file, apr_pool_cleanup_null);
    bucket = apr_bucket_file_create(file, offset, length, pool, list);
#if APR_HAS_MMAP
    /* A file that shrinks under a mapping kills the process that reads it. */
    apr_bucket_file_enable_mmap(bucket, 0);
#endif
    return bucket;
}

int wsgi_request_may_sendfile(const request_rec *r)
{
    core_dir_config *config = ap_get_core_module_config(r->per_dir_config);

    return config->enable_sendfile == ENABLE_SENDFILE_ON;
}

int wsgi_request_passes_authorization(const request_rec *r)
{
    core_dir_config *config = ap_get_core_module_config(r->per_dir_config);

    return config->cgi_pass_auth == AP_CGI_PASS_AUTH_ON;
}

const char *wsgi_request_current_uri(const request_rec *r)
{
    core_dir_config *config = ap_get_core_module_config(r->per_dir_config);
    const char *rule = NULL;

    if (config->cgi_var_rules != NULL) {
        rule = apr_hash_get(config->cgi_var_rules, "REQUEST_URI", APR_HASH_KEY_STRING);
    }
    return rule != NULL && strcmp(rule, "current-uri") == 0 ? r->uri : NULL;
}

const char *wsgi_request_redirect_url(request_rec *r)
{
    core_dir_config *config = ap_get_core_module_config(r->per_dir_config);

    if (r->prev == NULL) {
        return NULL;
    }
    if (config->qualify_redirect_url != AP_CORE_CONFIG_ON) {
        return r->prev->uri;
    }
    return ap_construct_url(r->pool, ap_escape_uri(r->pool, r->prev->uri), r->prev);
}

void wsgi_log_server(const char *file, int line, int module_index, int level, apr_status_t status,
                     const server_rec *s, const char *text, apr_size_t length)
{
    ap_log_error_(file, line, module_index, level, status, s, "%.*s", (int)length, text);
}

void wsgi_log_request(const char *file, int line, int module_index, int level,
                      apr_status_t status, const request_rec *r, const char *text,
                      apr_size_t length)
{
    ap_log_rerror_(file, line, module_index, level, status, r, "%.*s", (int)length, text);
}

int wsgi_log_server_level(const server_rec *s, int module_index)
{
    return ap_get_server_module_loglevel(s, module_index);
}

int wsgi_log_request_level(const request_rec *r, int module_index)
{
    return ap_get_request_module_loglevel(r, module_index);
}

int wsgi_connection_is_https(conn_rec *c)
{
    return ap_ssl_conn_is_ssl(c);
}

void wsgi_hook_status(int (*hook)(request_rec *r, int flags))
{
    APR_OPTIONAL_HOOK(ap, status_hook, hook, NULL, NULL, APR_HOOK_MIDDLE);
}

unsigned int wsgi_unixd_user_id(void)
{
    return ap_unixd_config.user_id;
}

unsigned int wsgi_unixd_group_id(void)
{
    return ap_unixd_config.group_id;
}

const char *wsgi_unixd_user_name(void)
{
    return ap_unixd_config.user_name;
}
